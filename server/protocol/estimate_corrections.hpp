// What is learned about one model: by how much each class of tokens is off, and how far single estimates stray. A
// recursive least-squares fit (a Kalman filter with slow drift) that starts from the corpus's constants: one report
// moves what it is sure of. Robust: one wild report moves it by a bounded step. Pure; not thread-safe, 2 KiB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/token_estimator.hpp"

namespace weir::protocol {

using TokenFeatures = std::array<float, token_class_count>;
using Factors = std::array<double, token_class_count>;  // of the features; the last one is tokens, its feature 1

// How far actual figures lie above expected ones: quantiles of their ratio, old ones forgotten.
class RatioQuantile {
 public:
  // `spread`: the standard deviation of the ratio before anything is known.
  explicit RatioQuantile(double spread);
  void add(double ratio);
  double upper() const;  // 99 % of ratios are below

 private:
  static constexpr std::size_t bin_count = 96;
  std::array<float, bin_count> bins_{};
  float weight_ = 1;  // of the last report
  double total_ = 0;  // of all bins
};

class EstimateCorrections {
 public:
  enum class Prior : std::uint8_t { known_family, unknown_family };
  explicit EstimateCorrections(Prior prior);

  const Factors& factors() const { return factors_; }
  static Factors neutral();  // before anything is learned
  static double expected(const Factors& factors, const TokenFeatures& features);

  void learn(const TokenFeatures& features, double actual);
  void learn_requested(const TokenFeatures& features, double requested);

  double margin() const { return usage_ratio_.upper(); }
  // What the provider's own estimate comes to, per expected token, at most.
  // `margin`: of margin(), which is all that is known before the provider has shown one.
  double requested_margin(double margin) const {
    return has_requested_ ? requested_factor_ * requested_ratio_.upper() : margin;
  }

  // Counts that any estimate of a short prompt may be off by, on top of a margin.
  static constexpr double slack_tokens = 4;

 private:
  void forget(double factor);

  Prior prior_;
  Factors factors_ = neutral();
  std::array<Factors, token_class_count> covariance_{};
  int strays_in_a_row_ = 0;  // signed: all above or all below
  RatioQuantile usage_ratio_;
  RatioQuantile requested_ratio_;
  bool has_requested_ = false;
  double requested_factor_ = 1;
  unsigned requests_seen_ = 0;
};

// Factor and quantile of a model of which nothing is learned.
double untaught_margin(EstimateCorrections::Prior prior);

}  // namespace weir::protocol
