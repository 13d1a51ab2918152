// How a provider counts tokens against its limits, and what a cap on the output covers there: data of its provider
// file. Values only; charge.hpp computes with them.
#pragma once

#include <cstdint>
#include <string>

namespace weir::proxy {

// When and how much a request counts against the token limits. The words are those of `weir simulate --charge`.
enum class ChargeRule : std::uint8_t {
  max_or_estimate,    // on arrival: the larger of max output x n and the estimated input
  estimate_plus_max,  // on arrival: estimated input + max output x max(n, best_of)
  input_then_output,  // input on arrival, output as it is produced
  actual,             // what `usage` says, at the end
  none,               // tokens are not limited
};

struct Charge {
  ChargeRule rule = ChargeRule::actual;
  bool cached_input_free = false;
};

// What a cap on the output covers, by the parameter that carries it.
struct OutputCap {
  std::string parameter;          // "max_tokens", "max_completion_tokens", "max_output_tokens"
  bool includes_thinking = true;  // false: the answer only
};

}  // namespace weir::proxy
