// How much output a call will produce, learned from what calls of the same key to the same model produced before, never
// more than the call's cap. A pair of which little is known leans on its model, a model on a prior. Safe to call from
// every worker thread; memory is bounded.
//
// What is learned is how likely an answer ends once it has come so far, bucket by bucket (the estimate of Kaplan and
// Meier), old answers fading. Short answers end first: whoever looked only at those that are complete would take all
// for short after a cold start, and let too many through. Answers that are still running count as far as they have
// come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace weir::proxy {

struct OutputExpectation {
  std::uint64_t mean = 0;  // the largest 3 % count as the 97th percentile, so that one essay does not fill a budget
  std::uint64_t high = 0;  // 97th percentile
};

class OutputForecast {
 public:
  // Before anything is learned: log-normal, median 300, 99th percentile 4,000 tokens (the mix of bench/shaping).
  static constexpr double prior_median = 300, prior_p99 = 4000;
  static constexpr std::size_t pairs_max = 4096;  // about 900 bytes each; the one used longest ago goes

  explicit OutputForecast(std::size_t most_pairs = pairs_max);
  ~OutputForecast();
  OutputForecast(const OutputForecast&) = delete;
  OutputForecast& operator=(const OutputForecast&) = delete;

  // `cap`: ChargePlan::output_cap.
  OutputExpectation expect(std::string_view key, std::string_view model, std::optional<std::uint64_t> cap);
  // A running answer of which `before` tokens were told of has `now`.
  void progress(std::string_view key, std::string_view model, std::uint64_t before, std::uint64_t now);
  // A complete answer; `told`: of how much of it progress() was told.
  void learn(std::string_view key, std::string_view model, std::uint64_t output, std::uint64_t told = 0);

  std::size_t pairs() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::proxy
