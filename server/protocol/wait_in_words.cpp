#include "protocol/wait_in_words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "protocol/rate_limit_headers.hpp"

namespace weir::protocol {
namespace {

using std::chrono::milliseconds;

constexpr std::array<std::string_view, 4> markers{"try again in ", "try again after ", "retry in ", "retry after "};

constexpr std::array<std::pair<std::string_view, double>, 18> units{{{"ms", 1},
                                                                     {"millisecond", 1},
                                                                     {"milliseconds", 1},
                                                                     {"s", 1e3},
                                                                     {"sec", 1e3},
                                                                     {"secs", 1e3},
                                                                     {"second", 1e3},
                                                                     {"seconds", 1e3},
                                                                     {"m", 6e4},
                                                                     {"min", 6e4},
                                                                     {"mins", 6e4},
                                                                     {"minute", 6e4},
                                                                     {"minutes", 6e4},
                                                                     {"h", 36e5},
                                                                     {"hour", 36e5},
                                                                     {"hours", 36e5},
                                                                     {"day", 864e5},
                                                                     {"days", 864e5}}};

void skip_between(std::string_view& text) {
  while (text.starts_with(' ') || text.starts_with(',')) text.remove_prefix(1);
  if (text.starts_with("and ")) text.remove_prefix(4);
}

// A number with its unit at the front of `text`, which is then shortened by them.
std::optional<double> take_part(std::string_view& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
  std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto word_end = std::find_if_not(rest.begin(), rest.end(), letter);
  const std::string_view word = rest.substr(0, static_cast<std::size_t>(word_end - rest.begin()));
  const auto unit = std::find_if(units.begin(), units.end(), [&](const auto& each) { return each.first == word; });
  if (unit == units.end()) return std::nullopt;
  text = rest.substr(word.size());
  return number * unit->second;
}

}  // namespace

std::optional<milliseconds> wait_in_words(std::string_view lower_case) {
  for (const std::string_view marker : markers) {
    const auto at = lower_case.find(marker);
    if (at == std::string_view::npos) continue;
    std::string_view rest = lower_case.substr(at + marker.size());
    double millis = 0;
    bool any = false;
    while (const auto part = take_part(rest)) {
      millis += *part;
      any = true;
      skip_between(rest);
    }
    // Rounded up, but not for what decimal fractions lose in binary.
    const double most = static_cast<double>(hint_max.count());
    if (any) return millis >= most ? hint_max : milliseconds(std::llround(std::ceil(millis - 1e-7)));
  }
  return std::nullopt;
}

}  // namespace weir::protocol
