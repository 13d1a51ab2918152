// What a provider's response headers say about its limits: retry-after and the x-ratelimit-* families of OpenAI, Azure,
// Groq, Mistral, Moonshot, Together and Fireworks, and anthropic-ratelimit-*. Text in, numbers out; the wall clock
// comes in as an argument. Malformed values are as if absent: a header must never make a request fail.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::protocol {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
using HeaderField = std::pair<std::string_view, std::string_view>;  // a name in any case
using HeaderFields = std::vector<HeaderField>;

// No wait or reset is believed beyond this: a clock that is wrong by years must not stop an account for years.
inline constexpr std::chrono::milliseconds hint_max = std::chrono::hours(24);

// One meter as reported.
struct MeterReading {
  std::optional<std::uint64_t> limit;
  std::optional<std::uint64_t> remaining;
  std::optional<std::chrono::milliseconds> reset;  // until the meter is full again; no hint when to come back
  std::chrono::seconds window{0};                  // of limit and remaining; 0: the headers do not name it

  bool any() const { return limit || remaining || reset; }
};

struct RateLimitHeaders {
  std::optional<std::chrono::milliseconds> retry_after;  // retry-after-ms, else retry-after
  // A field of a provider's own that says the same: Mistral's ratelimitbysize-reset, of a window that begins anew then.
  std::optional<std::chrono::milliseconds> next_window;
  std::optional<bool> should_retry;  // x-should-retry
  MeterReading requests;
  MeterReading tokens;
  MeterReading input_tokens;
  MeterReading output_tokens;
  MeterReading project_tokens;         // OpenAI: a bucket of its own beside `tokens`
  MeterReading uncached_input_tokens;  // Fireworks: what was not read from its cache, beside `input_tokens`
  MeterReading tokens_of_month;        // Mistral; what remains
};

RateLimitHeaders parse_rate_limit_headers(std::span<const HeaderField> headers, WallTime now);
inline RateLimitHeaders parse_rate_limit_headers(const HeaderFields& headers, WallTime now) {
  return parse_rate_limit_headers(std::span(headers), now);
}
// Whether a header of this name says something of a meter: a quick look, so that the others need not be parsed.
bool tells_of_a_meter(std::string_view name);
// All that are read of meters, for the reference.
std::vector<std::string_view> meter_header_names();

// `120`, `1.5`, or an HTTP date in any of its three forms. The past is zero, the far future hint_max.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value, WallTime now);

// `7.66s`, `6m0s`, `1h0m0s`, `12ms`: one or more numbers, each with a unit. Google's retryDelay has the same form.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view value);

// A reset in any of its forms: a duration as above, seconds from now, a Unix time in seconds or milliseconds, RFC 3339.
std::optional<std::chrono::milliseconds> parse_reset(std::string_view value, WallTime now);

}  // namespace weir::protocol
