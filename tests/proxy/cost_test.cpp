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

TEST(Cost, IsMultipliedAtPeakHours) {
  using namespace std::chrono;
  PeakHours peak;
  peak.since = "2026-08-16T16:00Z";
  peak.factor = 2;
  peak.days = {false, true, true, true, true, true, false};
  peak.hours = {{60, 240}, {360, 600}};
  const sys_days monday = 2026y / August / 17;
  EXPECT_EQ(peak_factor(peak, monday + 59min), 1);
  EXPECT_EQ(peak_factor(peak, monday + 1h), 2);
  EXPECT_EQ(peak_factor(peak, monday + 3h + 59min + 59s), 2);
  EXPECT_EQ(peak_factor(peak, monday + 4h), 1);
  EXPECT_EQ(peak_factor(peak, monday + 9h), 2);
  EXPECT_EQ(peak_factor(peak, monday + days(5) + 2h), 1) << "a Saturday";
  EXPECT_EQ(peak_factor(peak, monday - days(7) + 2h), 1) << "before it began";
  EXPECT_EQ(peak_factor(std::nullopt, monday + 2h), 1);
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
