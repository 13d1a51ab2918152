// What one request costs a provider that limits, and whether there is room: the meters, the charge rule and the count
// of requests in flight together. All are checked before any is charged, so a refusal costs nothing (unless
// --count-refused). Pure, with `now` passed in; the caller locks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "simulator/meter.hpp"
#include "simulator/options.hpp"

namespace weir::simulator {

// What the provider knows of a request on arrival.
struct Claim {
  std::uint64_t input = 0;  // its estimate of the prompt, which here is what it will report as prompt_tokens
  std::uint64_t cap = 0;    // of one choice, as sent; without one see --default-cap
  std::uint64_t n = 1;
  std::uint64_t best_of = 1;
};

struct Verdict {
  enum class Refusal { none, requests, tokens, concurrency };
  Refusal refusal = Refusal::none;
  std::uint64_t limit = 0, used = 0, requested = 0;  // of the meter that refused
  std::optional<Duration> wait;                      // until it would fit; nullopt: never, or nobody knows
};

// One meter as the x-ratelimit headers show it.
struct MeterView {
  std::uint64_t limit = 0;  // 0: there is no such limit
  std::uint64_t remaining = 0;
  Duration reset{0};
};

class Limits {
 public:
  explicit Limits(const Options& options);

  // A request that is not refused is in flight until finish().
  Verdict admit(const Claim& claim, Instant now);
  void produce(std::uint64_t tokens, Instant now);       // output tokens, as they come
  void finish(std::uint64_t total_tokens, Instant now);  // input and all that was produced

  void forget_charges(const Options& options);  // every meter full again; what is in flight stays so

  std::uint64_t charge_on_arrival(const Claim& claim) const;
  bool charges_as_produced() const { return charge_ == Charge::input_then_output; }
  bool charges_at_end() const { return charge_ == Charge::actual; }

  std::uint64_t in_flight() const { return in_flight_; }
  MeterView requests(Instant now);
  MeterView tokens(Instant now);

 private:
  Charge charge_;
  bool count_refused_;
  std::uint64_t rpm_, tpm_, concurrency_;     // 0: none
  std::unique_ptr<Meter> requests_, tokens_;  // nullptr: no limit
  std::uint64_t in_flight_ = 0;
};

}  // namespace weir::simulator
