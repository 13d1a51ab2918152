#include "proxy/cost.hpp"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

protocol::Usage usage(std::uint64_t input, std::uint64_t cached, std::uint64_t output) {
  protocol::Usage used;
  used.input = input;
  used.cached = cached;
  used.output = output;
  return used;
}

const std::vector<Price> prices{{"", "2026-01-01", "USD", 1.0, 0.1, 2.0}, {"2026-01-01", "", "USD", 2.0, 0.2, 4.0}};

TEST(Cost, PricesCachedInputApart) {
  const auto cost = cost_of(prices, usage(1'000'000, 400'000, 100'000), "2026-06-01T00:00:00Z");
  ASSERT_TRUE(cost);
  EXPECT_DOUBLE_EQ(cost->amount, 0.6 * 2.0 + 0.4 * 0.2 + 0.1 * 4.0);
  EXPECT_EQ(cost->currency, "USD");
}

TEST(Cost, TakesThePriceThatHolds) {
  EXPECT_DOUBLE_EQ(cost_of(prices, usage(1'000'000, 0, 0), "2025-12-31T23:59:59Z")->amount, 1.0);
  EXPECT_DOUBLE_EQ(cost_of(prices, usage(1'000'000, 0, 0), "2026-01-01T00:00:00Z")->amount, 2.0);
}

TEST(Cost, IsUnknownWithoutAPrice) {
  EXPECT_FALSE(cost_of({}, usage(1, 0, 1), "2026-06-01T00:00:00Z"));
  EXPECT_FALSE(cost_of({{"2027-01-01", "", "USD", 1, 1, 1}}, usage(1, 0, 1), "2026-06-01T00:00:00Z"));
}

TEST(Cost, BelievesNoMoreCachedInputThanThereIsInput) {
  EXPECT_DOUBLE_EQ(cost_of(prices, usage(1'000'000, 9'000'000, 0), "2026-06-01T00:00:00Z")->amount, 0.2);
}

}  // namespace
}  // namespace weir::proxy
