#include "protocol/requested_figure.hpp"

#include <cmath>
#include <cstddef>

#include "protocol/ascii.hpp"

namespace weir::protocol {
namespace {

// The number behind `word`, digits with or without commas between them: "Limit 30,000," is 30000.
std::optional<std::uint64_t> number_after(std::string_view message, std::string_view word) {
  const std::size_t at = message.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  std::size_t i = at + word.size();
  while (i < message.size() && (message[i] == ' ' || message[i] == ':')) ++i;
  std::optional<std::uint64_t> value;
  constexpr std::uint64_t most = 1'000'000'000'000;
  for (; i < message.size(); ++i) {
    const bool separator = message[i] == ',' && value && i + 1 < message.size() && is_digit(message[i + 1]);
    if (separator) continue;
    if (!is_digit(message[i])) break;
    value = value.value_or(0) * 10 + static_cast<std::uint64_t>(message[i] - '0');
    if (*value > most) return std::nullopt;
  }
  return value;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_wait(std::string_view text) {
  double total_ms = 0;
  bool any = false;
  std::size_t i = 0;
  while (i < text.size() && is_digit(text[i])) {
    double value = 0, place = 1;
    for (; i < text.size() && is_digit(text[i]); ++i) value = value * 10 + (text[i] - '0');
    if (i < text.size() && text[i] == '.') {
      for (++i; i < text.size() && is_digit(text[i]); ++i) value += (text[i] - '0') * (place /= 10);
    }
    const std::string_view unit = text.substr(i);
    if (unit.starts_with("ms")) {
      total_ms += value;
      i += 2;
    } else if (!unit.empty() && (unit[0] == 's' || unit[0] == 'm' || unit[0] == 'h')) {
      total_ms += value * (unit[0] == 's' ? 1e3 : unit[0] == 'm' ? 60e3 : 3600e3);
      i += 1;
    } else {
      return std::nullopt;
    }
    any = true;
  }
  constexpr double day_ms = 86'400e3;
  if (!any || total_ms > 366 * day_ms) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(total_ms - 1e-6)));
}

std::optional<RequestedFigure> read_requested_figure(std::string_view message) {
  const auto limit = number_after(message, "Limit");
  const auto requested = number_after(message, "Requested");
  if (!limit || !requested) return std::nullopt;
  RequestedFigure figure;
  figure.of_tokens = message.find("tokens per") != std::string_view::npos ||
                     message.find("TPM") != std::string_view::npos || message.find("TPD") != std::string_view::npos;
  figure.limit = *limit;
  figure.used = number_after(message, "Used");
  figure.requested = *requested;
  constexpr std::string_view again = "try again in ";
  if (const std::size_t at = message.find(again); at != std::string_view::npos) {
    std::string_view wait = message.substr(at + again.size());
    wait = wait.substr(0, wait.find(' '));
    while (wait.ends_with('.')) wait.remove_suffix(1);
    figure.try_again_in = parse_wait(wait);
  }
  return figure;
}

}  // namespace weir::protocol
