// What pairs and runs of character classes cost in tokens, per family of tokenizers: the constants of the estimate.
// written_weights.cpp is the work of bench/estimate/fit.cpp, nothing in it by hand.
#pragma once

#include <array>
#include <cstdint>

#include "protocol/model_family.hpp"
#include "protocol/text_profile.hpp"

namespace weir::protocol {

// Indexed as the counters of a TextProfile.
struct TokenWeights {
  std::array<float, char_class_count * char_class_count> pairs{};
  std::array<float, char_kind_count * TextProfile::run_positions> runs{};
};

const TokenWeights& weights_of(TokenizerFamily family);

// How a table of pairs is written down: one string per class, two letters per class before it, the second one finer.
constexpr int letter_count = 91;
constexpr int weight_levels = letter_count * letter_count;
constexpr double weight_step = 0.001, weight_lowest = -4;
constexpr char letter_of(int digit) {
  const int c = '#' + digit;
  return static_cast<char>(c >= '\\' ? c + 1 : c);  // neither quotes nor backslashes
}
constexpr int digit_of(char letter) {
  return letter - '#' - (letter > '\\' ? 1 : 0);
}
constexpr float weight_of(char coarse, char fine) {
  return static_cast<float>(weight_lowest + (digit_of(coarse) * letter_count + digit_of(fine)) * weight_step);
}

// As in written_weights.cpp, for the families that were fitted.
struct WrittenWeights {
  std::array<const char*, char_class_count> pairs;
  std::array<std::array<float, TextProfile::run_positions>, char_kind_count> runs;
};
constexpr std::size_t fitted_family_count = 4;  // o200k, cl100k, deepseek, qwen
extern const std::array<WrittenWeights, fitted_family_count> written_weights;

}  // namespace weir::protocol
