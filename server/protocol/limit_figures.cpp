#include "protocol/limit_figures.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "protocol/ascii.hpp"

namespace weir::protocol {
namespace {

// Between the word and its number there may be so much: "limit of your account is 50".
constexpr std::size_t reach_max = 24;

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

// The number soon after one of these words, each a word of its own; "30,000" is 30000, "1.5" is none.
template <std::size_t Count>
std::optional<std::uint64_t> number_after(std::string_view text, const std::array<std::string_view, Count>& words) {
  for (const std::string_view word : words) {
    for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
      std::size_t i = at + word.size();
      if ((at > 0 && is_letter(text[at - 1])) || (i < text.size() && is_letter(text[i]))) continue;
      const std::size_t end = std::min(text.size(), i + reach_max);
      while (i < end && !is_digit(text[i]) && text[i] != ',' && text[i] != '.' && text[i] != ';') ++i;
      constexpr std::string_view before = " :=(";
      if (i == end || !is_digit(text[i]) || before.find(text[i - 1]) == std::string_view::npos) continue;
      constexpr std::uint64_t most = 1'000'000'000'000;
      std::uint64_t value = 0;
      for (; i < text.size() && value <= most; ++i) {
        const bool separator = text[i] == ',' && i + 1 < text.size() && is_digit(text[i + 1]);
        if (separator) continue;
        if (!is_digit(text[i])) break;
        value = value * 10 + static_cast<std::uint64_t>(text[i] - '0');
      }
      const bool fraction = i + 1 < text.size() && text[i] == '.' && is_digit(text[i + 1]);
      const bool name = i < text.size() && is_letter(text[i]);  // "4o"
      if (value <= most && !fraction && !name) return value;
    }
  }
  return std::nullopt;
}

bool has(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

LimitFigures::Of meter_of(std::string_view text) {
  using Of = LimitFigures::Of;
  if (has(text, "concurren") || has(text, "in flight") || has(text, "in-flight")) return Of::concurrency;
  if (has(text, "per day") || has(text, "(rpd)") || has(text, "(tpd)")) return Of::day;
  if (has(text, "tokens per min") || has(text, "(tpm)")) return Of::tokens;
  if (has(text, "requests per min") || has(text, "(rpm)")) return Of::requests;
  return Of::unknown;
}

}  // namespace

LimitFigures read_limit_figures(std::string_view message) {
  std::string text(message);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  LimitFigures figures;
  figures.of = meter_of(text);
  figures.limit = number_after(text, std::array<std::string_view, 5>{"limit", "allowed", "maximum", "max", "up to"});
  figures.used = number_after(text, std::array<std::string_view, 3>{"used", "current", "currently"});
  return figures;
}

}  // namespace weir::protocol
