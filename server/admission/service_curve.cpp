#include "admission/service_curve.hpp"

#include <algorithm>

namespace weir::admission {
namespace {

// Fractions of a request and of a token that are served for each token of virtual time.
constexpr Tokens request_unit = 1 << 24, token_unit = 1 << 10;
// What a lane can hold of the upstream's tokens without the sums running over.
constexpr Tokens upstream_max = Tokens{1} << 42;

}  // namespace

Amount served_within(Tag distance, std::int64_t weight, const Amount& all) {
  if (distance <= 0) return {};
  const Tokens tokens = distance / tag_scale;
  if (tokens >= all.tokens) return all;  // before multiplying: the product could not be told from a large queue
  const Tokens served = tokens * weight;
  if (served >= all.tokens) return all;
  constexpr Tokens one = 1 << 16;
  return {(all.requests * served + all.tokens - 1) / all.tokens, served,
          all.upstream * (served * one / all.tokens) / one};
}

void ServiceCurve::clear() {
  bends_.clear();
  all_ = {};
  built_ = false;
}

void ServiceCurve::add(Tag start, std::int64_t weight, const Amount& all) {
  const Amount whole = {all.requests * request_unit, all.tokens * token_unit,
                        std::min(all.upstream, upstream_max) * token_unit};
  const Tokens time = (all.tokens + weight - 1) / weight;
  const Amount slope = {whole.requests / time, whole.tokens / time, whole.upstream / time};
  const Amount rest = {whole.requests - slope.requests * time, whole.tokens - slope.tokens * time,
                       whole.upstream - slope.upstream * time};
  const Tokens begin = start / tag_scale;
  bends_.push_back({begin, slope, {}, {}});
  bends_.push_back({begin + time, Amount{} - slope, rest, {}});
  all_ += all;
  built_ = false;
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
  built_ = true;
}

Amount ServiceCurve::at(Tag time) {
  if (!built_) build();
  const Tokens at = time / tag_scale;
  auto next = std::upper_bound(bends_.begin(), bends_.end(), at, [](Tokens t, const Bend& b) { return t < b.at; });
  if (next == bends_.begin()) return {};
  const Bend& last = *--next;
  const Tokens more = at - last.at;
  return {(last.served.requests + last.slope.requests * more + request_unit / 2) / request_unit,
          (last.served.tokens + last.slope.tokens * more) / token_unit,
          (last.served.upstream + last.slope.upstream * more) / token_unit};
}

}  // namespace weir::admission
