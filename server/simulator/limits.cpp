#include "simulator/limits.hpp"

#include <algorithm>
#include <cassert>

namespace weir::simulator {

Limits::Limits(const Options& options)
    : charge_(options.charge),
      count_refused_(options.count_refused),
      rpm_(options.rpm),
      tpm_(options.charge == Charge::none ? 0 : options.tpm),
      concurrency_(options.concurrency) {
  forget_charges(options);
}

void Limits::forget_charges(const Options& options) {
  if (rpm_ > 0) requests_ = make_meter(options.limiter, rpm_, options.window, options.burst);
  if (tpm_ > 0) tokens_ = make_meter(options.limiter, tpm_, options.window, options.burst);
}

std::uint64_t Limits::charge_on_arrival(const Claim& claim) const {
  switch (charge_) {
    case Charge::max_or_estimate:
      return std::max(claim.cap * claim.n, claim.input);
    case Charge::estimate_plus_max:
      return claim.input + claim.cap * std::max(claim.n, claim.best_of);
    case Charge::input_then_output:
      return claim.input;
    case Charge::actual:
    case Charge::none:
      return 0;
  }
  return 0;
}

Verdict Limits::admit(const Claim& claim, Instant now) {
  Verdict verdict;
  const std::uint64_t cost = charge_on_arrival(claim);
  // A rule that charges later lets in whoever comes while anything is left.
  const std::uint64_t wanted = charge_ == Charge::actual ? std::max<std::uint64_t>(cost, 1) : cost;
  if (requests_ && !requests_->fits(1, now)) {
    verdict = {Verdict::Refusal::requests, rpm_, rpm_ - requests_->remaining(now), 1, requests_->until_fits(1, now)};
  } else if (tokens_ && !tokens_->fits(wanted, now)) {
    verdict = {Verdict::Refusal::tokens, tpm_, tpm_ - std::min(tpm_, tokens_->remaining(now)), wanted,
               tokens_->until_fits(wanted, now)};
  } else if (concurrency_ > 0 && in_flight_ >= concurrency_) {
    verdict = {Verdict::Refusal::concurrency, concurrency_, in_flight_, 1, std::nullopt};
  }
  if (verdict.refusal != Verdict::Refusal::none) {
    if (requests_ && count_refused_) requests_->charge(1, now);
    return verdict;
  }
  if (requests_) requests_->charge(1, now);
  if (tokens_ && cost > 0) tokens_->charge(cost, now);
  ++in_flight_;
  return verdict;
}

void Limits::produce(std::uint64_t tokens, Instant now) {
  if (tokens_ && charges_as_produced()) tokens_->charge(tokens, now);
}

void Limits::finish(std::uint64_t total_tokens, Instant now) {
  assert(in_flight_ > 0);
  --in_flight_;
  if (tokens_ && charges_at_end()) tokens_->charge(total_tokens, now);
}

MeterView Limits::requests(Instant now) {
  return requests_ ? MeterView{rpm_, requests_->remaining(now), requests_->until_full(now)} : MeterView{};
}

MeterView Limits::tokens(Instant now) {
  return tokens_ ? MeterView{tpm_, tokens_->remaining(now), tokens_->until_full(now)} : MeterView{};
}

}  // namespace weir::simulator
