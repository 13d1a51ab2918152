#include "simulator/options.hpp"

#include <charconv>
#include <cmath>

namespace weir::simulator {
namespace {

template <class Number>
bool read_all(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

// What stands before and after the first colon; the second is empty without one.
struct Halves {
  std::string_view before, after;
  bool has_colon;
};
Halves split(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {text, {}, false};
  return {text.substr(0, colon), text.substr(colon + 1), true};
}

bool read_status(std::string_view text, int& status) {
  return read_all(text, status) && status >= 200 && status <= 599;
}

}  // namespace

std::optional<Limiter> parse_limiter(std::string_view text) {
  if (text == "bucket") return Limiter::bucket;
  if (text == "fixed") return Limiter::fixed;
  if (text == "sliding") return Limiter::sliding;
  return std::nullopt;
}

std::optional<Charge> parse_charge(std::string_view text) {
  if (text == "max-or-estimate") return Charge::max_or_estimate;
  if (text == "estimate-plus-max") return Charge::estimate_plus_max;
  if (text == "input-then-output") return Charge::input_then_output;
  if (text == "actual") return Charge::actual;
  if (text == "none") return Charge::none;
  return std::nullopt;
}

std::optional<Dialect> parse_dialect(std::string_view text) {
  if (text == "openai") return Dialect::openai;
  if (text == "ark") return Dialect::ark;
  if (text == "deepseek") return Dialect::deepseek;
  return std::nullopt;
}

std::optional<StreamUsage> parse_stream_usage(std::string_view text) {
  if (text == "none") return StreamUsage::none;
  if (text == "total") return StreamUsage::total;
  if (text == "running") return StreamUsage::running;
  return std::nullopt;
}

std::optional<FailFirst> parse_fail_first(std::string_view text) {
  const Halves halves = split(text);
  FailFirst result;
  if (!read_all(halves.before, result.count)) return std::nullopt;
  if (halves.has_colon && !read_status(halves.after, result.status)) return std::nullopt;
  return result;
}

std::optional<FailRate> parse_fail_rate(std::string_view text) {
  const Halves halves = split(text);
  FailRate result;
  if (!read_all(halves.before, result.probability)) return std::nullopt;
  if (!std::isfinite(result.probability) || result.probability < 0 || result.probability > 1) return std::nullopt;
  if (halves.has_colon && !read_status(halves.after, result.status)) return std::nullopt;
  return result;
}

std::optional<Duration> parse_duration(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  double nanoseconds = 0;
  if (unit == "us") nanoseconds = 1e3;
  if (unit == "ms") nanoseconds = 1e6;
  if (unit == "s") nanoseconds = 1e9;
  if (unit == "m") nanoseconds = 60e9;
  if (unit == "h") nanoseconds = 3600e9;
  if (nanoseconds == 0 && (!unit.empty() || value > 0)) return std::nullopt;
  constexpr double longest = 365.0 * 86400e9;  // now + a duration must stay a valid instant
  return Duration(std::llround(std::min(value * nanoseconds, longest)));
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  if (!read_all(text, value)) return std::nullopt;
  return value;
}

}  // namespace weir::simulator
