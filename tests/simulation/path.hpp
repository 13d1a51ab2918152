// A way from a caller to the provider: straight, through a limiter that refuses, or through weir.
#pragma once

#include <optional>

#include "simulation/traffic.hpp"

namespace weir::simulation {

struct Outcome {
  enum class Kind : std::uint8_t { answered, refused, failed } kind = Kind::answered;  // refused: 429, failed: 5xx
  std::optional<Duration> hint;                                                        // when to come back
  bool by_provider = false;  // refused: by the provider itself
  Instant sent_at{};         // answered: when the call that was answered went to the provider
  Tokens used = 0;           // answered: input and output
};

class Path {
 public:
  class Caller {
   public:
    virtual ~Caller() = default;
    virtual void outcome(std::uint64_t tag, const Outcome& outcome) = 0;
  };
  using Id = std::uint64_t;

  virtual ~Path() = default;
  // `arrived`: of the first try, which decides about the place in line of one that was refused and came back.
  virtual Id call(const Call& call, Instant arrived, Caller& caller, std::uint64_t tag) = 0;
  virtual void leave(Id id) = 0;  // the caller has gone
};

}  // namespace weir::simulation
