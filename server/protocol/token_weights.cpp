#include "protocol/token_weights.hpp"

#include <cstddef>

namespace weir::protocol {
namespace {

TokenWeights read_back(const WrittenWeights& written) {
  TokenWeights weights;
  for (std::size_t c = 0; c < char_class_count; ++c) {
    for (std::size_t before = 0; before < char_class_count; ++before) {
      const char* const letters = written.pairs[c] + 2 * before;
      weights.pairs[c * char_class_count + before] = weight_of(letters[0], letters[1]);
    }
  }
  for (std::size_t kind = 0; kind < char_kind_count; ++kind) {
    for (std::size_t i = 0; i < TextProfile::run_positions; ++i)
      weights.runs[kind * TextProfile::run_positions + i] = written.runs[kind][i];
  }
  return weights;
}

std::array<TokenWeights, tokenizer_family_count> all_families() {
  std::array<TokenWeights, tokenizer_family_count> all{};
  TokenWeights& mean = all[static_cast<std::size_t>(TokenizerFamily::generic)];
  for (std::size_t family = 0; family < fitted_family_count; ++family) {
    all[family] = read_back(written_weights[family]);
    constexpr float part = 1.0F / fitted_family_count;
    for (std::size_t i = 0; i < mean.pairs.size(); ++i) mean.pairs[i] += part * all[family].pairs[i];
    for (std::size_t i = 0; i < mean.runs.size(); ++i) mean.runs[i] += part * all[family].runs[i];
  }
  return all;
}

}  // namespace

const TokenWeights& weights_of(TokenizerFamily family) {
  static const auto all = all_families();
  return all[static_cast<std::size_t>(family)];
}

}  // namespace weir::protocol
