// What `weir simulate` can be told: one field per flag, every default here. A request can override most of it for
// itself with x-sim-… headers (behaviour.hpp). Plain values; the words of the flags are read by the functions below,
// which the command line and the headers share.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::simulator {

using Duration = std::chrono::nanoseconds;

// How a limit is enforced (meter.hpp).
enum class Limiter {
  bucket,   // limit × burst, refilled continuously: OpenAI, Anthropic
  fixed,    // full again at every multiple of the window
  sliding,  // exactly the last window
};

// What a request costs the token meter, and when (providers.md §0.2).
enum class Charge {
  max_or_estimate,    // on arrival: the larger of cap × n and the input
  estimate_plus_max,  // on arrival: the input + cap × max(n, best_of)
  input_then_output,  // the input on arrival, each output token as it is produced
  actual,             // input + output when the answer is complete; on arrival only whether the meter is not exhausted
  none,               // nothing: concurrency is what limits
};

// Whose refusals, headers and codes (refusal.hpp).
enum class Dialect { openai, ark, deepseek };

// --stream-usage: what stream_options the provider takes. The others get 400, as from an older or another server.
enum class StreamUsage {
  none,     // stream_options is unknown
  total,    // include_usage only
  running,  // chunk_include_usage and continuous_usage_stats too
};

// --fail-first N:STATUS
struct FailFirst {
  std::uint64_t count = 0;  // 0: none
  int status = 503;
};

// --fail-rate P[:STATUS]
struct FailRate {
  double probability = 0;  // of each request, 0 to 1
  int status = 503;
};

struct Options {
  std::string listen = "127.0.0.1:8090";  // --listen; port 0: any free one
  unsigned workers = 1;                   // --workers; a test needs one, a bench as many as it has cores to spare

  Duration ttft{0};                  // --ttft: from the request to the first token
  double tokens_per_second = 60;     // --tokens-per-second: DeepSeek-V3's published speed; 0: as fast as possible
  std::uint64_t output_tokens = 64;  // --output-tokens: length of an answer that nothing caps earlier
  Duration keepalive_every{0};       // --keepalive-every: blank lines or comments before the first token; 0: none

  std::uint64_t rpm = 0;                       // --rpm: requests per window; 0: no limit
  std::uint64_t tpm = 0;                       // --tpm: tokens per window; 0: no limit
  std::uint64_t concurrency = 0;               // --concurrency: requests in flight; 0: no limit
  Duration window = std::chrono::seconds(60);  // --window: what "per minute" means, for limits and for /__stats
  Limiter limiter = Limiter::bucket;           // --limiter
  double burst = 1.0;                          // --burst: size of the bucket as a part of the limit
  Charge charge = Charge::max_or_estimate;     // --charge
  std::uint64_t default_cap = 0;  // --default-cap: the cap of a request that names none, for the max rules; 0:
                                  // what it is going to produce
  bool count_refused = false;     // --count-refused: a refused request counts in the request meter, as at OpenAI

  Dialect dialect = Dialect::openai;                // --dialect
  StreamUsage stream_usage = StreamUsage::running;  // --stream-usage
  FailFirst fail_first;                             // --fail-first
  FailRate fail_rate;                               // --fail-rate
  std::uint64_t seed = 1;                           // --seed: of the fail rate and of the ids
  Duration idle_timeout{0};                         // of a kept-alive connection; 0: never. Tests only
};

// The words of the flags; nullopt: not one of them.
std::optional<Limiter> parse_limiter(std::string_view text);  // bucket | fixed | sliding
std::optional<Charge> parse_charge(
    std::string_view text);  // max-or-estimate | estimate-plus-max | input-then-output | actual | none
std::optional<Dialect> parse_dialect(std::string_view text);           // openai | ark | deepseek
std::optional<StreamUsage> parse_stream_usage(std::string_view text);  // none | total | running
std::optional<FailFirst> parse_fail_first(std::string_view text);      // "3:429"
std::optional<FailRate> parse_fail_rate(std::string_view text);        // "0.1" or "0.1:429"
std::optional<Duration> parse_duration(
    std::string_view text);  // "250ms", "1.5s", "2m", "0"; a unit is wanted except for 0
std::optional<std::uint64_t> parse_count(std::string_view text);  // digits

// Serves until SIGINT or SIGTERM; the exit status of `weir simulate`. Says on stderr where it listens.
int run(const Options& options);

}  // namespace weir::simulator
