// Fits the weights of the estimate to counted texts and prints server/protocol/written_weights.cpp.
//   fit FOLDER/fit.jsonl > written_weights.cpp
// Ridge regression on relative errors. A pair's weight is the sum of what its kinds, its class, the class before it and
// the pair itself add; only the last is held down strongly, so that pairs rarely seen behave as their kinds do.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "corpus.hpp"
#include "protocol/token_weights.hpp"
#include "text_profile.hpp"

namespace {

using namespace weir::protocol;

constexpr std::size_t classes = char_class_count, kinds = char_kind_count;
constexpr std::size_t pair_count = classes * classes, run_count = kinds * run_positions;
constexpr std::size_t runs_at = pair_count, kinds_at = runs_at + run_count, class_at = kinds_at + kinds * kinds,
                      before_at = class_at + classes, feature_count = before_at + classes;
constexpr double pair_penalty = 1e-2, run_penalty = 1e-2, kind_penalty = 1e-2;
constexpr double noise_tokens = 100;  // below so many tokens a text is noise more than a witness

using Sparse = std::vector<std::pair<std::size_t, double>>;

std::size_t kind_pair(std::size_t c, std::size_t before) {
  return std::size_t{kind_of_class[c]} * kinds + kind_of_class[before];
}

Sparse features_of(const std::string& text) {
  const TextProfile profile = profile_of(text);
  std::vector<double> all(feature_count);
  for (std::size_t i = 0; i < pair_count; ++i) {
    const double count = profile.pairs[i];
    all[i] = count;
    all[kinds_at + kind_pair(i / classes, i % classes)] += count;
    all[class_at + i / classes] += count;
    all[before_at + i % classes] += count;
  }
  for (std::size_t i = 0; i < run_count; ++i) all[runs_at + i] = profile.runs[i];
  Sparse sparse;
  for (std::size_t i = 0; i < feature_count; ++i) {
    if (all[i] != 0) sparse.emplace_back(i, all[i]);
  }
  return sparse;
}

// Solves A x = b in place for a symmetric positive definite A, whose lower half is given.
std::vector<double> solve(std::vector<double>& a, std::vector<double> b) {
  const std::size_t n = b.size();
  const auto dot = [&](std::size_t i, std::size_t j, std::size_t length) {
    double sum = 0;
    for (std::size_t k = 0; k < length; ++k) sum += a[i * n + k] * a[j * n + k];
    return sum;
  };
  for (std::size_t j = 0; j < n; ++j) {
    a[j * n + j] = std::sqrt(a[j * n + j] - dot(j, j, j));
    for (std::size_t i = j + 1; i < n; ++i) a[i * n + j] = (a[i * n + j] - dot(i, j, j)) / a[j * n + j];
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    b[i] /= a[i * n + i];
    for (std::size_t k = 0; k < i; ++k) b[k] -= a[i * n + k] * b[i];
  }
  return b;
}

double penalty_of(std::size_t feature) {
  return feature < runs_at ? pair_penalty : feature < kinds_at ? run_penalty : kind_penalty;
}

// All weights, by feature.
std::vector<double> fit(const std::vector<Sparse>& texts, const std::vector<double>& counts) {
  std::vector<std::size_t> place(feature_count, feature_count), features;
  for (const Sparse& text : texts) {
    for (const auto& [feature, value] : text) {
      if (place[feature] == feature_count) place[feature] = features.size(), features.push_back(feature);
    }
  }
  const std::size_t n = features.size();
  std::vector<double> a(n * n), b(n);
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const double weight = 1 / (counts[t] * (counts[t] + noise_tokens));
    for (const auto& [f, x] : texts[t]) {
      const std::size_t i = place[f];
      b[i] += weight * x * counts[t];
      for (const auto& [g, y] : texts[t]) {
        if (place[g] <= i) a[i * n + place[g]] += weight * x * y;
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) a[i * n + i] += penalty_of(features[i]);
  const std::vector<double> solution = solve(a, b);
  std::vector<double> weights(feature_count);
  for (std::size_t i = 0; i < n; ++i) weights[features[i]] = solution[i];
  return weights;
}

void print_family(const std::vector<double>& weights, const std::string& name) {
  std::printf("    // %s\n    WrittenWeights{\n        {", name.c_str());
  std::size_t clipped = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    std::string row;
    for (std::size_t before = 0; before < classes; ++before) {
      const double weight = weights[c * classes + before] + weights[kinds_at + kind_pair(c, before)] +
                            weights[class_at + c] + weights[before_at + before];
      const int level = static_cast<int>(std::lround(weight * 1000)) - weight_lowest;
      clipped += level < 0 || level >= weight_levels;
      const int written = std::clamp(level, 0, weight_levels - 1);
      row += letter_of(written / letter_count);
      row += letter_of(written % letter_count);
    }
    std::printf("%s\"%s\"", c == 0 ? "" : ",\n         ", row.c_str());
  }
  std::printf("},\n        {{");
  for (std::size_t k = 0; k < kinds; ++k) {
    std::printf("%s{", k == 0 ? "" : ",\n          ");
    for (std::size_t i = 0; i < run_positions; ++i) {
      const double weight = weights[runs_at + k * run_positions + i];
      std::printf("%s%.3ff", i == 0 ? "" : ", ", weight == 0 ? 0 : weight);
    }
    std::printf("}");
  }
  std::printf("}}},\n");
  std::fprintf(stderr, "%s: %zu weights out of range\n", name.c_str(), clipped);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: fit FOLDER/fit.jsonl\n"), 2;
  const std::vector<CountedText> corpus = read_corpus(argv[1]);
  std::vector<Sparse> texts;
  for (const CountedText& text : corpus) texts.push_back(features_of(text.text));
  std::printf(
      "// Written by bench/estimate/fit.cpp from counted texts; do not edit. Rows: a character's class; columns: the "
      "class\n"
      "// before it. See token_weights.hpp for the letters.\n"
      "#include \"protocol/token_weights.hpp\"\n\nnamespace weir::protocol {\n\n// clang-format off\n"
      "const std::array<WrittenWeights, fitted_family_count> written_weights{{\n");
  for (std::size_t family = 0; family < fitted_family_count; ++family) {
    std::vector<double> counts;
    for (const CountedText& text : corpus) counts.push_back(text.counts[family]);
    print_family(fit(texts, counts), std::string(name_of(static_cast<TokenizerFamily>(family))));
  }
  std::printf("}};\n// clang-format on\n\n}  // namespace weir::protocol\n");
  return 0;
}
