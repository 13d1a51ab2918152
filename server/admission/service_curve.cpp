#include "admission/service_curve.hpp"

#include <algorithm>
#include <iterator>

namespace weir::admission {
namespace {

// The units: fractions of a request and of a token that are served for each token of virtual time.
constexpr Tokens request_unit = 1 << 24, token_unit = 1 << 10;
// What a lane can hold of the upstream's tokens without the sums running over.
constexpr Tokens upstream_max = Tokens{1} << 42;

Amount times(const Amount& amount, Tokens factor) {
  return {amount.requests * factor, amount.tokens * factor, amount.upstream * factor};
}

// How the rest of a lane is served in virtual time, in units: evenly, and with the last token what rounding left out.
struct Ramp {
  Tokens begin = 0, end = 0;
  Amount slope, whole;

  Amount until(Tokens time) const {
    if (time <= begin) return {};
    return time < end ? times(slope, time - begin) : whole;
  }
};

Ramp ramp_of(const Contour& contour) {
  const Amount rest = contour.rest();
  if (rest.requests == 0) return {};
  const Tokens time = (rest.tokens + contour.weight - 1) / contour.weight;
  const Tokens begin = contour.rest_begins() / tag_scale;
  const Amount whole = {rest.requests * request_unit, rest.tokens * token_unit,
                        std::min(rest.upstream, upstream_max) * token_unit};
  return {begin, begin + time, {whole.requests / time, whole.tokens / time, whole.upstream / time}, whole};
}

Amount out_of_units(const Amount& served) {
  return {(served.requests + request_unit / 2) / request_unit, served.tokens / token_unit,
          served.upstream / token_unit};
}

}  // namespace

Tag Contour::rest_begins() const {
  const Amount behind = rest();
  const Tokens half = behind.requests > 0 ? behind.tokens / behind.requests / 2 : 0;
  return turn.share + std::max<Tokens>(0, first.tokens - half) * tag_scale / weight;
}

Amount served_before(const Turn& turn, const Contour& contour) {
  if (!(contour.turn < turn)) return {};
  return contour.first + out_of_units(ramp_of(contour).until(turn.share / tag_scale));
}

void ServiceCurve::clear() {
  bends_.clear();
  steps_.clear();
  all_ = {};
  built_ = false;
}

void ServiceCurve::add(const Contour& contour) {
  all_ += contour.all;
  built_ = false;
  steps_.push_back({contour.turn, contour.first});
  if (contour.rest().requests == 0) return;
  const Ramp ramp = ramp_of(contour);
  const Amount rounded = ramp.whole - times(ramp.slope, ramp.end - ramp.begin);
  bends_.push_back({ramp.begin, ramp.slope, {}, {}});
  bends_.push_back({ramp.end, Amount{} - ramp.slope, rounded, {}});
}

void ServiceCurve::build() {
  std::sort(bends_.begin(), bends_.end(), [](const Bend& a, const Bend& b) { return a.at < b.at; });
  Amount served, slope;
  Tokens at = bends_.empty() ? 0 : bends_.front().at;
  for (Bend& bend : bends_) {
    const Tokens time = bend.at - at;
    served += times(slope, time);
    served += bend.jump;
    slope += bend.slope;
    at = bend.at;
    bend.slope = slope;
    bend.served = served;
  }
  std::sort(steps_.begin(), steps_.end(), [](const Step& a, const Step& b) { return a.turn < b.turn; });
  for (std::size_t i = 1; i < steps_.size(); ++i) steps_[i].served += steps_[i - 1].served;
  built_ = true;
}

Amount ServiceCurve::first() {
  if (!built_) build();
  return steps_.front().served;
}

Amount ServiceCurve::before(const Turn& turn, const Contour* without) {
  if (!built_) build();
  const Tokens time = turn.share / tag_scale;
  Amount evenly = evenly_until(time), whole;
  const auto next = std::lower_bound(steps_.begin(), steps_.end(), turn,
                                     [](const Step& step, const Turn& sought) { return step.turn < sought; });
  if (next != steps_.begin()) whole = std::prev(next)->served;
  if (without && without->turn < turn) {
    evenly -= ramp_of(*without).until(time);
    whole -= without->first;
  }
  return whole + out_of_units(evenly);
}

Amount ServiceCurve::evenly_until(Tokens time) const {
  const auto next =
      std::upper_bound(bends_.begin(), bends_.end(), time, [](Tokens t, const Bend& b) { return t < b.at; });
  if (next == bends_.begin()) return {};
  const Bend& last = *std::prev(next);
  return last.served + times(last.slope, time - last.at);
}

}  // namespace weir::admission
