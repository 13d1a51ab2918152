// How a provider's refusals and failures are read: data of its provider file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::proxy {

enum class Cause {
  minute_budget,  // a per-minute (or per-day) meter is full: wait for the hint
  ramp,           // too steep, though within the limits: slow the slope
  concurrency,    // too many in flight
  overload,       // the provider is short of capacity: back off
  quota,          // money or quota: never retry
  caller,         // the request itself is at fault: pass through
  fault,          // the provider failed: another try may work
};
std::string_view name_of(Cause cause);

// First match wins. Empty fields match anything.
struct ErrorRule {
  std::optional<int> status;
  std::string code, type;  // patterns over the error body's fields
  std::string words;       // lower case, somewhere in the message
  std::string source;      // OpenRouter's metadata.limit_source, Anthropic's details.error_code, Google's quotaId
  Cause cause = Cause::fault;
  std::string meter;  // a limit word, when the code names one
  std::string scope;  // "account" or "model", when the code names one
};

}  // namespace weir::proxy
