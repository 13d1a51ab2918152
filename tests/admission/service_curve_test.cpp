// Lanes served side by side, beside the sum of each on its own.
#include "admission/service_curve.hpp"

#include <gtest/gtest.h>

#include <random>
#include <tuple>
#include <vector>

namespace weir::admission {
namespace {

TEST(ServiceCurve, IsTheSumOfItsLanes) {
  std::mt19937_64 random(1);
  ServiceCurve curve;
  std::vector<std::tuple<Tag, std::int64_t, Amount>> lanes;
  for (int i = 0; i < 300; ++i) {
    const auto requests = static_cast<Tokens>(random() % 50) + 1;
    const Tag start = static_cast<Tag>(random() % 100'000) * tag_scale;
    const auto weight = static_cast<std::int64_t>(random() % 5) + 1;
    const Amount all = {requests, requests * (static_cast<Tokens>(random() % 2'000) + 1),
                        requests * static_cast<Tokens>(random() % 9'000)};
    curve.add(start, weight, all);
    lanes.emplace_back(start, weight, all);
  }
  for (Tokens at = -1'000; at < 250'000; at += 997) {
    Amount sum;
    for (const auto& [start, weight, all] : lanes) sum += served_within(at * tag_scale - start, weight, all);
    const Amount served = curve.at(at * tag_scale);
    ASSERT_NEAR(static_cast<double>(served.tokens), static_cast<double>(sum.tokens), 300 * 5);
    ASSERT_NEAR(static_cast<double>(served.requests), static_cast<double>(sum.requests), 300)
        << "rounded for each lane";
    ASSERT_NEAR(static_cast<double>(served.upstream), static_cast<double>(sum.upstream), 300 * 9'000);
  }
  EXPECT_EQ(curve.at(500'000 * tag_scale), curve.all());
  EXPECT_EQ(curve.at(-1), Amount{});
  curve.clear();
  EXPECT_EQ(curve.at(500'000 * tag_scale), Amount{});
}

TEST(ServiceCurve, HoldsQueuesOfAnySize) {
  ServiceCurve curve;
  const Amount absurd = {1'000, 1'000'000'000'000, 1'000'000'000'000};
  for (Tag start = 0; start < 100; ++start) curve.add(start * 1'000'000 * tag_scale, 1'000, absurd);
  const Amount half = curve.at(500'000'000 * tag_scale);
  EXPECT_GT(half.requests, 40'000);
  EXPECT_LT(half.requests, 50'000);
  EXPECT_EQ(curve.at(Tag{2'000'000'000} * tag_scale), curve.all());
}

}  // namespace
}  // namespace weir::admission
