// The limit that the message of a refusal names, and how much of it is used: "Rate limit reached for m in organization
// o on tokens per min (TPM): Limit 30000, Used 29500, Requested 1200.", "too many concurrent requests (current
// concurrency: 501, allowed: 500)". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::protocol {

struct LimitFigures {
  enum class Of : std::uint8_t { unknown, requests, tokens, concurrency, day } of = Of::unknown;
  std::optional<std::uint64_t> limit, used;
};

// What the message does not say stays empty.
LimitFigures read_limit_figures(std::string_view message);

}  // namespace weir::protocol
