// What pairs and runs of character classes cost in tokens, per family of tokenizers: the constants of the estimate.
// written_weights.cpp is the work of bench/estimate/fit.cpp, nothing in it by hand.
#pragma once

#include <array>
#include <cstdint>

#include "protocol/ascii_block.hpp"
#include "protocol/char_classes.hpp"
#include "protocol/model_family.hpp"

namespace weir::protocol {

// The place of a character in a run of its kind, as far as weights know it: places above 15 count as 13, 14, 15, 13,
// ..., since digits go in threes.
constexpr std::size_t run_positions = 16;
constexpr std::size_t run_position(std::size_t place) {
  return place < run_positions ? place : 13 + (place - 13) % 3;
}

constexpr std::size_t ascii_count = 128;
extern const std::array<std::uint16_t, ascii_count> ascii_rows;

// Thousandths of a token, ready to be added up.
struct TokenWeights {
  // By class and the class before it: pairs[c * 64 + previous].
  std::array<std::int16_t, char_class_count * char_class_count> pairs{};
  // By kind and the place in a run of that kind.
  std::array<std::array<std::int16_t, run_positions>, char_kind_count> places{};

  // The same for ASCII, each shifted to the lane of its kind (in_lane), so that one addition serves all lanes. Pairs by
  // the bytes themselves: ascii_pairs[ascii_rows[before] + byte]; places as an AsciiBlock has them.
  std::array<std::int64_t, ascii_class_count * ascii_count> ascii_pairs{};
  std::array<std::int64_t, AsciiBlock::place_count> ascii_places{};
};

// Three sums in one integer: letters, digits and all other ASCII. They hold what so many characters cost at most.
constexpr int lane_bits = 21;
constexpr int lane_chars_max = 120;
constexpr std::int64_t in_lane(int weight, std::size_t ascii_kind) {
  const int lane = ascii_kind == kind_letter ? 0 : ascii_kind == kind_digit ? 1 : 2;
  return std::int64_t{weight} * (std::int64_t{1} << (lane_bits * lane));
}

const TokenWeights& weights_of(TokenizerFamily family);

// How a table of pairs is written down: one string per class, two letters per class before it, the second one finer.
constexpr int letter_count = 91;
constexpr int weight_levels = letter_count * letter_count;
constexpr int weight_lowest = -4000;  // thousandths
constexpr char letter_of(int digit) {
  const int c = '#' + digit;
  return static_cast<char>(c >= '\\' ? c + 1 : c);  // neither quotes nor backslashes
}
constexpr int digit_of(char letter) {
  return letter - '#' - (letter > '\\' ? 1 : 0);
}
constexpr int weight_of(char coarse, char fine) {
  return weight_lowest + digit_of(coarse) * letter_count + digit_of(fine);
}
constexpr int weight_highest = weight_lowest + weight_levels - 1;
// A pair and a place for each character.
static_assert(-weight_lowest <= weight_highest && 2 * lane_chars_max * weight_highest < 1 << (lane_bits - 1));

// As in written_weights.cpp, for the families that were fitted.
struct WrittenWeights {
  std::array<const char*, char_class_count> pairs;
  std::array<std::array<float, run_positions>, char_kind_count> runs;
};
constexpr std::size_t fitted_family_count = 4;  // o200k, cl100k, deepseek, qwen
extern const std::array<WrittenWeights, fitted_family_count> written_weights;

}  // namespace weir::protocol
