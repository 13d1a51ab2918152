#include "protocol/estimate_corrections.hpp"

#include <algorithm>
#include <cmath>

namespace weir::protocol {
namespace {

constexpr std::size_t constant = static_cast<std::size_t>(TokenClass::constant);

// How far the constants are expected to be off, per class: for families that were fitted, and for the others.
constexpr Factors known_spread{0.06, 0.06, 0.08, 0.12, 0.10, 0.10, 0.30, 0.40, 0.40, 0.50, 12};
constexpr Factors unknown_spread{0.15, 0.40, 0.20, 0.30, 0.30, 0.30, 0.40, 0.50, 0.60, 0.60, 20};
constexpr Factors lowest{0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.2, 0, 0, 0, -50};
constexpr Factors highest{3, 3, 3, 3, 3, 3, 5, 6, 6, 8, 100'000};

constexpr double known_ratio_spread = 0.06, unknown_ratio_spread = 0.10;  // docs/estimates.md
constexpr double noise = 0.03;        // what no correction removes, of a whole prompt
constexpr double noise_tokens = 2;    //
constexpr double drift = 0.003;       // per report: old reports fade over some hundreds of new ones
constexpr double stray_sigmas = 3.5;  // beyond it a report counts as if it were just there
constexpr int strays_max = 4;         // so many to one side are no strays: something changed

double spread_of(EstimateCorrections::Prior prior) {
  return prior == EstimateCorrections::Prior::known_family ? known_ratio_spread : unknown_ratio_spread;
}

// Bins of the logarithm of a ratio.
constexpr double bin_width = 0.0125, lowest_bin = -0.4;
constexpr double quantile = 0.99;
constexpr float prior_reports = 20, kept = 0.997F;
constexpr float weight_max = 1024;  // of one report, before all are made smaller: floats stay exact enough

}  // namespace

RatioQuantile::RatioQuantile(double spread) {
  float sum = 0;
  for (std::size_t i = 0; i < bin_count; ++i) {
    const double middle = lowest_bin + (static_cast<double>(i) + 0.5) * bin_width;
    bins_[i] = static_cast<float>(std::exp(-0.5 * (middle / spread) * (middle / spread)));
    sum += bins_[i];
  }
  for (float& bin : bins_) bin *= prior_reports / sum;
  total_ = static_cast<double>(prior_reports);
}

// The older fade: each one counts more than all before it did, instead of each bin less.
void RatioQuantile::add(double ratio) {
  const double place = (std::log(std::max(ratio, 1e-3)) - lowest_bin) / bin_width;
  const auto bin = static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(bin_count - 1)));
  weight_ /= kept;
  bins_[bin] += weight_;
  total_ += static_cast<double>(weight_);
  if (weight_ < weight_max) return;
  for (float& b : bins_) b /= weight_;
  weight_ = 1;
  total_ = 0;
  for (const float b : bins_) total_ += static_cast<double>(b);
}

double RatioQuantile::upper() const {
  double above = total_ * (1 - quantile);
  std::size_t i = bin_count;
  while (i > 1 && above >= static_cast<double>(bins_[i - 1])) above -= static_cast<double>(bins_[--i]);
  return std::max(1.0, std::exp(lowest_bin + static_cast<double>(i) * bin_width));
}

double untaught_margin(EstimateCorrections::Prior prior) {
  return RatioQuantile(spread_of(prior)).upper();
}

EstimateCorrections::EstimateCorrections(Prior prior)
    : prior_(prior), usage_ratio_(spread_of(prior)), requested_ratio_(spread_of(prior)) {
  forget(1);
}

Factors EstimateCorrections::neutral() {
  Factors factors;
  factors.fill(1);
  factors[constant] = 0;
  return factors;
}

double EstimateCorrections::expected(const Factors& factors, const TokenFeatures& features) {
  double sum = 0;
  for (std::size_t i = 0; i < token_class_count; ++i) sum += factors[i] * static_cast<double>(features[i]);
  return std::max(sum, 0.0);
}

// What was learned stays as a starting point, its certainty goes.
void EstimateCorrections::forget(double factor) {
  const Factors& spread = prior_ == Prior::known_family ? known_spread : unknown_spread;
  covariance_ = {};
  for (std::size_t i = 0; i < token_class_count; ++i) covariance_[i][i] = spread[i] * spread[i] * factor;
}

void EstimateCorrections::learn(const TokenFeatures& features, double actual) {
  const double before = expected(factors_, features);
  usage_ratio_.add(std::max(actual - slack_tokens, 1.0) / std::max(before, 1.0));

  Factors gain{};  // the covariance, which is symmetric, times the features, of which most are zero
  double variance = 0;
  for (std::size_t i = 0; i < token_class_count; ++i) covariance_[i][i] += (i == constant ? 1 : drift) * drift;
  for (std::size_t k = 0; k < token_class_count; ++k) {
    const auto feature = static_cast<double>(features[k]);
    if (feature == 0) continue;
    for (std::size_t i = 0; i < token_class_count; ++i) gain[i] += covariance_[k][i] * feature;
  }
  for (std::size_t i = 0; i < token_class_count; ++i) variance += gain[i] * static_cast<double>(features[i]);
  const double own = noise * before + noise_tokens;
  double total = variance + own * own;

  double error = actual - before;
  const double bound = stray_sigmas * std::sqrt(total);
  if (std::abs(error) > bound) {
    const int side = error > 0 ? 1 : -1;
    strays_in_a_row_ = strays_in_a_row_ * side > 0 ? strays_in_a_row_ + side : side;
    error = side * bound;
    if (std::abs(strays_in_a_row_) >= strays_max) {
      strays_in_a_row_ = 0;
      forget(16);
    }
  } else {
    strays_in_a_row_ = 0;
  }

  for (std::size_t i = 0; i < token_class_count; ++i) {
    const double share = gain[i] / total;
    factors_[i] = std::clamp(factors_[i] + share * error, lowest[i], highest[i]);
    for (std::size_t k = 0; k < token_class_count; ++k) covariance_[i][k] -= share * gain[k];
  }
}

void EstimateCorrections::learn_requested(const TokenFeatures& features, double requested) {
  const double before = std::max(expected(factors_, features), 1.0);
  const double ratio = std::clamp(requested / before, 0.1, 10.0);
  // The mean of the first ten, then a slow average. The first figure is believed.
  requests_seen_ = std::min(requests_seen_ + 1, 10U);
  requested_factor_ += (ratio - requested_factor_) / requests_seen_;
  if (has_requested_) requested_ratio_.add(ratio / requested_factor_);
  has_requested_ = true;
}

}  // namespace weir::protocol
