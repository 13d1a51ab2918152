// What the simulated provider saw, for tests and benches to hold against what weir claims. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "simulator/options.hpp"
#include "simulator/route.hpp"

namespace weir::simulator {

// Why a request was not answered as asked.
enum class Cause {
  requests,
  tokens,
  concurrency,
  fail_first,
  fail_rate,
  scripted,
  bad_key,
  bad_body,
  unknown_model,
  other
};
inline constexpr std::size_t cause_count = static_cast<std::size_t>(Cause::other) + 1;
std::string_view name_of(Cause cause);

struct Stats {
  std::array<std::uint64_t, route_count> received{};  // requests, by route; the /__ ones are not counted
  std::uint64_t accepted = 0;                         // inference requests that passed every limit
  std::array<std::uint64_t, cause_count> refused{};

  std::uint64_t connections_opened = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t streams_open = 0;
  std::uint64_t in_flight = 0;  // accepted and not finished
  std::uint64_t in_flight_largest = 0;
  std::uint64_t client_disconnects = 0;  // the client left before its answer was complete

  std::uint64_t tokens_in = 0;
  std::uint64_t tokens_out = 0;  // produced, also of answers nobody waited for

  // In any window of the configured length, by a log of its own.
  Duration window{0};
  std::uint64_t largest_requests = 0;           // accepted
  std::uint64_t largest_requests_received = 0;  // refused ones too
  std::uint64_t largest_tokens = 0;             // as the charge rule booked them; with `none` as they were used
  std::uint64_t largest_tokens_used = 0;        // input on arrival, output as produced

  std::uint64_t requests_received() const;  // of inference
  std::uint64_t requests_refused() const;
};

std::string to_json(const Stats& stats);

}  // namespace weir::simulator
