// Whether and when the clients' libraries try again, as they do by themselves with default settings. Pure.
#pragma once

#include <optional>

#include "simulation/traffic.hpp"

namespace weir::simulation {

enum class Sdk : std::uint8_t { python, node, ai_sdk, langchain_js };
constexpr std::size_t sdk_count = 4;

struct Answered {
  unsigned tries = 1;            // so far
  bool too_many = true;          // 429; else 5xx
  std::optional<Duration> hint;  // of Retry-After and retry-after-ms
};

// nullopt: the caller gets the error.
std::optional<Duration> next_try(Sdk sdk, const Answered& answered, Rng& rng);

}  // namespace weir::simulation
