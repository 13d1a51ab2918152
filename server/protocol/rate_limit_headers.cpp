#include "protocol/rate_limit_headers.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "protocol/ascii.hpp"

namespace weir::protocol {
namespace {

using std::chrono::milliseconds;
using Wait = std::optional<milliseconds>;

constexpr double unix_seconds_min = 1e9;  // 2001: plain numbers below it are seconds from now
constexpr double unix_millis_min = 1e11;  // 1973 in milliseconds, the year 5138 in seconds

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same_word(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return lower(a) == b; });
}

// Rounded up: coming back a fraction of a millisecond early is coming back too early. What decimal fractions lose in
// binary (some 1e-11) is no fraction to round up.
milliseconds bounded(double millis) {
  if (!(millis > 0)) return milliseconds(0);
  return millis >= static_cast<double>(hint_max.count()) ? hint_max
                                                         : milliseconds(std::llround(std::ceil(millis - 1e-7)));
}

// The number at the front of `text`, which is then shortened by it. No exponent, no infinity.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(value)) return {};
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<double> whole_figure(std::string_view text) {
  const auto value = take_number(text);
  return value && text.empty() ? value : std::nullopt;
}

std::optional<int> digits(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return {};
  return value;
}

std::optional<WallTime> instant(std::optional<int> year, std::optional<int> month, std::optional<int> day,
                                std::string_view clock) {
  using namespace std::chrono;
  if (!year || !month || !day || clock.size() < 8 || clock[2] != ':' || clock[5] != ':') return {};
  const year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                            std::chrono::day(static_cast<unsigned>(*day))};
  const auto hour = digits(clock.substr(0, 2));
  const auto minute = digits(clock.substr(3, 2));
  const auto second = digits(clock.substr(6, 2));
  if (!date.ok() || !hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return {};
  return WallTime(sys_days(date)) + hours(*hour) + minutes(*minute) + seconds(*second);
}

std::optional<int> month_number(std::string_view name) {
  constexpr std::array<std::string_view, 12> names{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (same_word(name, names[i])) return static_cast<int>(i) + 1;
  }
  return {};
}

// RFC 9110 §5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
std::optional<WallTime> parse_http_date(std::string_view value) {
  std::array<std::string_view, 6> words;
  std::size_t count = 0;
  while (true) {
    const std::size_t begin = value.find_first_not_of(" ,-");
    if (begin == std::string_view::npos) break;
    if (count == words.size()) return {};
    value.remove_prefix(begin);
    words[count++] = value.substr(0, value.find_first_of(" ,-"));
    value.remove_prefix(words[count - 1].size());
  }
  if (count == 5) return instant(digits(words[4]), month_number(words[1]), digits(words[2]), words[3]);
  if (count != 6) return {};
  std::optional<int> year = digits(words[3]);
  if (year && words[3].size() == 2) *year += *year < 70 ? 2000 : 1900;
  return instant(year, month_number(words[2]), digits(words[1]), words[4]);
}

// `2026-01-31T12:00:00Z`, with a fraction of a second and an offset instead of the Z if need be.
std::optional<WallTime> parse_rfc3339(std::string_view value) {
  if (value.size() < 20 || value[4] != '-' || value[7] != '-' || (lower(value[10]) != 't' && value[10] != ' '))
    return {};
  auto time =
      instant(digits(value.substr(0, 4)), digits(value.substr(5, 2)), digits(value.substr(8, 2)), value.substr(11, 8));
  if (!time) return {};
  value.remove_prefix(19);
  if (value.front() == '.') {
    const auto fraction = take_number(value);
    if (!fraction) return {};
    *time += milliseconds(std::llround(std::ceil(*fraction * 1000)));
  }
  if (same_word(value, "z")) return time;
  if (value.size() != 6 || (value[0] != '+' && value[0] != '-') || value[3] != ':') return {};
  const auto hours = digits(value.substr(1, 2));
  const auto minutes = digits(value.substr(4, 2));
  if (!hours || !minutes) return {};
  const auto offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  return value[0] == '+' ? *time - offset : *time + offset;
}

Wait until(WallTime time, WallTime now) {
  return bounded(static_cast<double>((time - now).count()));
}

// Azure says -1 where it does not know.
std::optional<std::uint64_t> parse_count(std::string_view value) {
  const auto number = whole_figure(trim(value));
  if (!number || *number < 0 || *number >= 1e18) return {};
  return static_cast<std::uint64_t>(*number);
}

enum class Quantity { limit, remaining, reset };

constexpr std::chrono::seconds second{1};

struct Name {
  std::string_view name;
  MeterReading RateLimitHeaders::* meter;
  Quantity quantity;
  std::chrono::seconds window{0};
  bool plain = false;  // Moonshot's and Together's: of a second where it stands beside Together's other family
};

constexpr std::string_view of_together = "x-tokenlimit-";

// Where two names fill the same field, the first in this table wins.
constexpr auto header_names = std::to_array<Name>({
    {"x-ratelimit-limit-requests", &RateLimitHeaders::requests, Quantity::limit},
    {"x-ratelimit-remaining-requests", &RateLimitHeaders::requests, Quantity::remaining},
    {"x-ratelimit-reset-requests", &RateLimitHeaders::requests, Quantity::reset},
    {"x-ratelimit-limit-tokens", &RateLimitHeaders::tokens, Quantity::limit},
    {"x-ratelimit-remaining-tokens", &RateLimitHeaders::tokens, Quantity::remaining},
    {"x-ratelimit-reset-tokens", &RateLimitHeaders::tokens, Quantity::reset},
    {"x-ratelimit-limit-input-tokens", &RateLimitHeaders::input_tokens, Quantity::limit},
    {"x-ratelimit-remaining-input-tokens", &RateLimitHeaders::input_tokens, Quantity::remaining},
    {"x-ratelimit-reset-input-tokens", &RateLimitHeaders::input_tokens, Quantity::reset},
    {"x-ratelimit-limit-output-tokens", &RateLimitHeaders::output_tokens, Quantity::limit},
    {"x-ratelimit-remaining-output-tokens", &RateLimitHeaders::output_tokens, Quantity::remaining},
    {"x-ratelimit-reset-output-tokens", &RateLimitHeaders::output_tokens, Quantity::reset},
    {"x-ratelimit-limit-project-tokens", &RateLimitHeaders::project_tokens, Quantity::limit},
    {"x-ratelimit-remaining-project-tokens", &RateLimitHeaders::project_tokens, Quantity::remaining},
    {"x-ratelimit-reset-project-tokens", &RateLimitHeaders::project_tokens, Quantity::reset},
    {"anthropic-ratelimit-requests-limit", &RateLimitHeaders::requests, Quantity::limit},
    {"anthropic-ratelimit-requests-remaining", &RateLimitHeaders::requests, Quantity::remaining},
    {"anthropic-ratelimit-requests-reset", &RateLimitHeaders::requests, Quantity::reset},
    {"anthropic-ratelimit-tokens-limit", &RateLimitHeaders::tokens, Quantity::limit},
    {"anthropic-ratelimit-tokens-remaining", &RateLimitHeaders::tokens, Quantity::remaining},
    {"anthropic-ratelimit-tokens-reset", &RateLimitHeaders::tokens, Quantity::reset},
    {"anthropic-ratelimit-input-tokens-limit", &RateLimitHeaders::input_tokens, Quantity::limit},
    {"anthropic-ratelimit-input-tokens-remaining", &RateLimitHeaders::input_tokens, Quantity::remaining},
    {"anthropic-ratelimit-input-tokens-reset", &RateLimitHeaders::input_tokens, Quantity::reset},
    {"anthropic-ratelimit-output-tokens-limit", &RateLimitHeaders::output_tokens, Quantity::limit},
    {"anthropic-ratelimit-output-tokens-remaining", &RateLimitHeaders::output_tokens, Quantity::remaining},
    {"anthropic-ratelimit-output-tokens-reset", &RateLimitHeaders::output_tokens, Quantity::reset},
    {"ratelimitbysize-limit", &RateLimitHeaders::tokens, Quantity::limit},  // Mistral
    {"ratelimitbysize-remaining", &RateLimitHeaders::tokens, Quantity::remaining},
    {"ratelimitbysize-reset", &RateLimitHeaders::tokens, Quantity::reset},
    {"x-ratelimitbysize-limit-minute", &RateLimitHeaders::tokens, Quantity::limit},
    {"x-ratelimitbysize-remaining-minute", &RateLimitHeaders::tokens, Quantity::remaining},
    {"x-ratelimit-limit-req-minute", &RateLimitHeaders::requests, Quantity::limit},  // Mistral, newer
    {"x-ratelimit-remaining-req-minute", &RateLimitHeaders::requests, Quantity::remaining},
    {"x-ratelimit-limit-tokens-minute", &RateLimitHeaders::tokens, Quantity::limit},  // Mistral, Cerebras
    {"x-ratelimit-remaining-tokens-minute", &RateLimitHeaders::tokens, Quantity::remaining},
    {"x-ratelimit-reset-tokens-minute", &RateLimitHeaders::tokens, Quantity::reset},
    {"x-ratelimitbysize-remaining-month", &RateLimitHeaders::tokens_of_month, Quantity::remaining},
    {"x-ratelimit-remaining-tokens-month", &RateLimitHeaders::tokens_of_month, Quantity::remaining},
    // Fireworks
    {"x-ratelimit-limit-tokens-prompt", &RateLimitHeaders::input_tokens, Quantity::limit, second},
    {"x-ratelimit-remaining-tokens-prompt", &RateLimitHeaders::input_tokens, Quantity::remaining, second},
    {"x-ratelimit-limit-tokens-cache-adjusted-prompt", &RateLimitHeaders::uncached_input_tokens, Quantity::limit,
     second},
    {"x-ratelimit-remaining-tokens-cache-adjusted-prompt", &RateLimitHeaders::uncached_input_tokens,
     Quantity::remaining, second},
    {"x-ratelimit-limit-tokens-generated", &RateLimitHeaders::output_tokens, Quantity::limit, second},
    {"x-ratelimit-remaining-tokens-generated", &RateLimitHeaders::output_tokens, Quantity::remaining, second},
    // Together: what holds at present goes before what holds always
    {"x-ratelimit-limit-dynamic", &RateLimitHeaders::requests, Quantity::limit, second},
    {"x-ratelimit-remaining-dynamic", &RateLimitHeaders::requests, Quantity::remaining, second},
    {"x-tokenlimit-limit-dynamic", &RateLimitHeaders::tokens, Quantity::limit, second},
    {"x-tokenlimit-remaining-dynamic", &RateLimitHeaders::tokens, Quantity::remaining, second},
    {"x-tokenlimit-limit", &RateLimitHeaders::tokens, Quantity::limit, second},
    {"x-tokenlimit-remaining", &RateLimitHeaders::tokens, Quantity::remaining, second},
    {"x-tokenlimit-reset", &RateLimitHeaders::tokens, Quantity::reset, second},
    {"x-ratelimit-limit", &RateLimitHeaders::requests, Quantity::limit, {}, true},  // Moonshot, Together
    {"x-ratelimit-remaining", &RateLimitHeaders::requests, Quantity::remaining, {}, true},
    {"x-ratelimit-reset", &RateLimitHeaders::requests, Quantity::reset, {}, true},
    {"x-ratelimit-limit-tokens_usage_based", &RateLimitHeaders::tokens, Quantity::limit},  // some OpenAI accounts
    {"x-ratelimit-remaining-tokens_usage_based", &RateLimitHeaders::tokens, Quantity::remaining},
    {"x-ratelimit-reset-tokens_usage_based", &RateLimitHeaders::tokens, Quantity::reset},
});

// The first value of a header, any case; nullopt: not there.
std::optional<std::string_view> find(std::span<const HeaderField> headers, std::string_view lower_case_name) {
  for (const auto& [name, value] : headers) {
    if (same_word(name, lower_case_name)) return trim(value);
  }
  return {};
}

void read(const Name& name, std::string_view value, WallTime now, MeterReading& meter) {
  switch (name.quantity) {
    case Quantity::limit:
      if (!meter.limit) meter.limit = parse_count(value);
      break;
    case Quantity::remaining:
      if (!meter.remaining) meter.remaining = parse_count(value);
      break;
    case Quantity::reset:
      if (!meter.reset) meter.reset = parse_reset(value, now);
      break;
  }
}

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view value) {
  constexpr std::array<std::pair<std::string_view, double>, 8> units{{{"ms", 1},
                                                                      {"ns", 1e-6},
                                                                      {"us", 1e-3},
                                                                      {"\xC2\xB5s", 1e-3},
                                                                      {"\xCE\xBCs", 1e-3},
                                                                      {"s", 1e3},
                                                                      {"m", 6e4},
                                                                      {"h", 36e5}}};
  value = trim(value);
  if (value.empty()) return {};
  double millis = 0;
  while (!value.empty()) {
    const auto number = take_number(value);
    if (!number || *number < 0) return {};
    const auto unit =
        std::find_if(units.begin(), units.end(), [&](const auto& u) { return value.starts_with(u.first); });
    if (unit == units.end()) return {};
    value.remove_prefix(unit->first.size());
    millis += *number * unit->second;
  }
  return bounded(millis);
}

std::optional<milliseconds> parse_retry_after(std::string_view value, WallTime now) {
  value = trim(value);
  if (const auto seconds = whole_figure(value)) return bounded(*seconds * 1000);
  if (const auto date = parse_http_date(value)) return until(*date, now);
  return {};
}

std::optional<milliseconds> parse_reset(std::string_view value, WallTime now) {
  value = trim(value);
  if (const auto number = whole_figure(value)) {
    if (*number >= unix_millis_min) return bounded(*number - static_cast<double>(now.time_since_epoch().count()));
    if (*number < unix_seconds_min) return bounded(*number * 1000);
    return bounded(*number * 1000 - static_cast<double>(now.time_since_epoch().count()));
  }
  if (const auto duration = parse_duration(value)) return duration;
  if (const auto time = parse_rfc3339(value)) return until(*time, now);
  if (const auto time = parse_http_date(value)) return until(*time, now);
  return {};
}

std::vector<std::string_view> meter_header_names() {
  std::vector<std::string_view> all;
  all.reserve(header_names.size());
  for (const Name& each : header_names) all.push_back(each.name);
  return all;
}

bool tells_of_a_meter(std::string_view name) {
  constexpr std::array<std::string_view, 4> families{"x-ratelimit", "anthropic-ratelimit-", "ratelimitbysize-",
                                                     of_together};
  return std::any_of(families.begin(), families.end(), [name](std::string_view family) {
    return name.size() > family.size() && lower(name.front()) == family.front() &&
           same_word(name.substr(0, family.size()), family);
  });
}

RateLimitHeaders parse_rate_limit_headers(std::span<const HeaderField> headers, WallTime now) {
  RateLimitHeaders result;
  if (const auto value = find(headers, "retry-after-ms")) {
    if (const auto millis = whole_figure(*value)) result.retry_after = bounded(*millis);
  }
  if (const auto value = find(headers, "retry-after"); value && !result.retry_after) {
    result.retry_after = parse_retry_after(*value, now);
  }
  if (const auto value = find(headers, "ratelimitbysize-reset")) result.next_window = parse_reset(*value, now);
  if (const auto value = find(headers, "x-should-retry")) {
    if (same_word(*value, "true")) result.should_retry = true;
    if (same_word(*value, "false")) result.should_retry = false;
  }
  const bool together = std::any_of(headers.begin(), headers.end(), [](const HeaderField& field) {
    return same_word(field.first.substr(0, of_together.size()), of_together);
  });
  for (const Name& name : header_names) {
    const auto value = find(headers, name.name);
    if (!value) continue;
    MeterReading& meter = result.*name.meter;
    const std::chrono::seconds window = name.plain && together ? second : name.window;
    if (meter.any() && meter.window != window) continue;
    meter.window = window;
    read(name, *value, now, meter);
  }
  return result;
}

}  // namespace weir::protocol
