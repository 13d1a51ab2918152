#include "protocol/token_weights.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace weir::protocol {
namespace {

// Thousandths of a token; of the mean of families, their sum until it is divided.
struct Weights {
  std::array<int, char_class_count * char_class_count> pairs{};
  std::array<std::array<int, run_positions>, char_kind_count> places{};
};

Weights read_back(const WrittenWeights& written) {
  Weights weights;
  for (std::size_t c = 0; c < char_class_count; ++c) {
    for (std::size_t before = 0; before < char_class_count; ++before) {
      const char* const letters = written.pairs[c] + 2 * before;
      weights.pairs[c * char_class_count + before] = weight_of(letters[0], letters[1]);
    }
  }
  for (std::size_t kind = 0; kind < char_kind_count; ++kind) {
    for (std::size_t i = 0; i < run_positions; ++i)
      weights.places[kind][i] =
          std::clamp(static_cast<int>(std::lround(written.runs[kind][i] * 1000)), -weight_highest, weight_highest);
  }
  return weights;
}

int mean_of(int sum) {
  return static_cast<int>(std::lround(static_cast<double>(sum) / static_cast<double>(fitted_family_count)));
}

Weights mean_of_families() {
  Weights mean;
  for (const WrittenWeights& written : written_weights) {
    const Weights one = read_back(written);
    for (std::size_t i = 0; i < mean.pairs.size(); ++i) mean.pairs[i] += one.pairs[i];
    for (std::size_t kind = 0; kind < char_kind_count; ++kind) {
      for (std::size_t i = 0; i < run_positions; ++i) mean.places[kind][i] += one.places[kind][i];
    }
  }
  for (int& weight : mean.pairs) weight = mean_of(weight);
  for (auto& kind : mean.places) {
    for (int& weight : kind) weight = mean_of(weight);
  }
  return mean;
}

std::array<std::uint16_t, ascii_count> make_rows() {
  std::array<std::uint16_t, ascii_count> rows{};
  for (std::size_t byte = 0; byte < ascii_count; ++byte) {
    const std::uint8_t c = ascii_classes[byte];
    if (c != class_special) rows[byte] = static_cast<std::uint16_t>(c * ascii_count);
  }
  return rows;
}

TokenWeights ready_to_add(const Weights& weights) {
  TokenWeights ready;
  for (std::size_t i = 0; i < weights.pairs.size(); ++i) ready.pairs[i] = static_cast<std::int16_t>(weights.pairs[i]);
  for (std::size_t i = 0; i < ready.ascii_pairs.size(); ++i) {
    const std::size_t before = i / ascii_count, c = ascii_classes[i % ascii_count];
    if (c != class_special)
      ready.ascii_pairs[i] = in_lane(weights.pairs[c * char_class_count + before], kind_of_class[c]);
  }
  for (std::size_t kind = 0; kind < char_kind_count; ++kind) {
    for (std::size_t i = 0; i < run_positions; ++i)
      ready.places[kind][i] = static_cast<std::int16_t>(weights.places[kind][i]);
  }
  for (std::size_t i = 0; i < ready.ascii_places.size(); ++i) {
    const std::size_t kind = i / AsciiBlock::places_per_kind, place = i % AsciiBlock::places_per_kind;
    ready.ascii_places[i] = in_lane(weights.places[kind][run_position(place)], kind);
  }
  return ready;
}

}  // namespace

const std::array<std::uint16_t, ascii_count> ascii_rows = make_rows();

const TokenWeights& weights_of(TokenizerFamily family) {
  static const auto all = [] {
    std::array<TokenWeights, tokenizer_family_count> families;
    for (std::size_t i = 0; i < fitted_family_count; ++i) families[i] = ready_to_add(read_back(written_weights[i]));
    families[static_cast<std::size_t>(TokenizerFamily::generic)] = ready_to_add(mean_of_families());
    return families;
  }();
  return all[static_cast<std::size_t>(family)];
}

}  // namespace weir::protocol
