#include "admission/service_curve.hpp"

#include <algorithm>
#include <iterator>

namespace weir::admission {
namespace {

// Fractions of a request and of a token that are served for each token of virtual time.
constexpr Tokens request_unit = 1 << 24, token_unit = 1 << 10;
// What a lane can hold of the upstream's tokens without the sums running over.
constexpr Tokens upstream_max = Tokens{1} << 42;

// What is served of `all` while another one moves on by `distance` of virtual time.
Amount served_within(Tag distance, std::int64_t weight, const Amount& all) {
  if (distance <= 0) return {};
  const Tokens tokens = distance / tag_scale;
  if (tokens >= all.tokens) return all;  // before multiplying: the product could not be told from a large queue
  const Tokens served = tokens * weight;
  if (served >= all.tokens) return all;
  constexpr Tokens one = 1 << 16;
  return {(all.requests * served + all.tokens / 2) / all.tokens, served,
          all.upstream * (served * one / all.tokens) / one};
}

}  // namespace

Tag Contour::rest_begins() const {
  const Amount behind = rest();
  const Tokens half = behind.requests > 0 ? behind.tokens / behind.requests / 2 : 0;
  return turn.share + std::max<Tokens>(0, first.tokens - half) * tag_scale / weight;
}

Amount served_before(const Turn& turn, const Contour& contour) {
  if (!(contour.turn < turn)) return {};
  return contour.first + served_within(turn.share - contour.rest_begins(), contour.weight, contour.rest());
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
  const Amount behind = contour.rest();
  if (behind.requests == 0) return;
  const Amount whole = {behind.requests * request_unit, behind.tokens * token_unit,
                        std::min(behind.upstream, upstream_max) * token_unit};
  const Tokens time = (behind.tokens + contour.weight - 1) / contour.weight;
  const Amount slope = {whole.requests / time, whole.tokens / time, whole.upstream / time};
  const Amount rounded = {whole.requests - slope.requests * time, whole.tokens - slope.tokens * time,
                          whole.upstream - slope.upstream * time};
  const Tokens begin = contour.rest_begins() / tag_scale;
  bends_.push_back({begin, slope, {}, {}});
  bends_.push_back({begin + time, Amount{} - slope, rounded, {}});
}

void ServiceCurve::build() {
  std::sort(bends_.begin(), bends_.end(), [](const Bend& a, const Bend& b) { return a.at < b.at; });
  Amount served, slope;
  Tokens at = bends_.empty() ? 0 : bends_.front().at;
  for (Bend& bend : bends_) {
    const Tokens time = bend.at - at;
    served += {slope.requests * time, slope.tokens * time, slope.upstream * time};
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

Amount ServiceCurve::before(const Turn& turn) {
  if (!built_) build();
  const Amount served = evenly(turn.share);
  const auto next = std::lower_bound(steps_.begin(), steps_.end(), turn,
                                     [](const Step& step, const Turn& sought) { return step.turn < sought; });
  return next == steps_.begin() ? served : served + std::prev(next)->served;
}

// Of the rests.
Amount ServiceCurve::evenly(Tag time) const {
  const Tokens at = time / tag_scale;
  const auto next =
      std::upper_bound(bends_.begin(), bends_.end(), at, [](Tokens t, const Bend& b) { return t < b.at; });
  if (next == bends_.begin()) return {};
  const Bend& last = *std::prev(next);
  const Tokens more = at - last.at;
  return {(last.served.requests + last.slope.requests * more + request_unit / 2) / request_unit,
          (last.served.tokens + last.slope.tokens * more) / token_unit,
          (last.served.upstream + last.slope.upstream * more) / token_unit};
}

}  // namespace weir::admission
