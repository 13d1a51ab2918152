#include "app/units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "app/config.hpp"
#include "protocol/ascii.hpp"

namespace weir::app {
namespace {

using protocol::is_digit;
using std::chrono::milliseconds;

constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> duration_units{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 7> size_units{{{"GiB", 1ull << 30},
                                                                                {"MiB", 1ull << 20},
                                                                                {"KiB", 1ull << 10},
                                                                                {"GB", 1'000'000'000},
                                                                                {"MB", 1'000'000},
                                                                                {"KB", 1'000},
                                                                                {"B", 1}}};

// Splits "15s" into 15 and "s..."; nullopt without digits or beyond 12 of them.
std::optional<std::uint64_t> take_digits(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  if (length == 0 || length > 12) return std::nullopt;
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + length, value);
  text.remove_prefix(length);
  return value;
}

std::string_view take_letters(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && !is_digit(text[length])) ++length;
  const std::string_view letters = text.substr(0, length);
  text.remove_prefix(length);
  return letters;
}

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  std::int64_t previous_unit = std::numeric_limits<std::int64_t>::max();
  while (!text.empty()) {
    const auto whole = take_digits(text);
    if (!whole) return std::nullopt;
    double fraction = 0;
    if (!text.empty() && text.front() == '.') {
      text.remove_prefix(1);
      const std::size_t before = text.size();
      const auto digits = take_digits(text);
      if (!digits) return std::nullopt;
      double scale = 1;
      for (std::size_t i = text.size(); i < before; ++i) scale *= 10;
      fraction = static_cast<double>(*digits) / scale;
    }
    const std::string_view name = take_letters(text);
    std::int64_t unit = 0;
    for (const auto& [unit_name, milliseconds_each] : duration_units) {
      if (unit_name == name) unit = milliseconds_each;
    }
    if (unit == 0 || unit >= previous_unit) return std::nullopt;  // "1s1m" is a slip
    previous_unit = unit;
    if (static_cast<std::int64_t>(*whole) > unlimited_duration.count() / unit) return std::nullopt;
    total += static_cast<std::int64_t>(*whole) * unit +
             static_cast<std::int64_t>(std::llround(fraction * static_cast<double>(unit)));
    if (total > unlimited_duration.count()) return std::nullopt;
  }
  return milliseconds(total);
}

std::optional<std::size_t> parse_size(std::string_view text) {
  const auto value = take_digits(text);
  if (!value) return std::nullopt;
  for (const auto& [name, bytes] : size_units) {
    if (text == name) {
      if (*value > std::numeric_limits<std::size_t>::max() / 2 / bytes) return std::nullopt;
      return static_cast<std::size_t>(*value * bytes);
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  if (text.empty() || text.size() > 20 || !is_digit(text.front()) || !is_digit(text.back())) return std::nullopt;
  std::uint64_t value = 0;
  for (char c : text) {
    if (c == '_') continue;
    if (!is_digit(c)) return std::nullopt;
    if (value > (std::uint64_t{1} << 53)) return std::nullopt;  // beyond it JSON readers round
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::optional<double> parse_fraction(std::string_view text) {
  if (text.empty() || text.size() > 24) return std::nullopt;
  bool point = false;
  for (char c : text) {
    if (c == '.' && !point)
      point = true;
    else if (!is_digit(c))
      return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string format_duration(milliseconds duration) {
  if (duration >= unlimited_duration) return "unlimited";
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text;
  for (auto unit = duration_units.rbegin(); unit != duration_units.rend(); ++unit) {
    const std::int64_t amount = rest / unit->second;
    if (amount > 0) text += std::to_string(amount) + std::string(unit->first);
    rest -= amount * unit->second;
  }
  return text;
}

std::string format_size(std::size_t bytes) {
  if (bytes == 0) return "0B";
  for (const auto& [name, each] : size_units) {
    if (bytes % each == 0) return std::to_string(bytes / each) + std::string(name);
  }
  return std::to_string(bytes) + "B";
}

std::string format_fraction(double value) {
  std::array<char, 32> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc{} ? std::string(digits.data(), end) : "?";
}

}  // namespace weir::app
