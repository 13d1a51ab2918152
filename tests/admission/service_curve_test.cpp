// Lanes served side by side, beside the sum of each on its own.
#include "admission/service_curve.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace weir::admission {
namespace {

TEST(ServiceCurve, IsTheSumOfItsLanes) {
  std::mt19937_64 random(1);
  ServiceCurve curve;
  std::vector<Contour> lanes;
  for (int i = 0; i < 300; ++i) {
    const auto requests = static_cast<Tokens>(random() % 50) + 1;
    const Tag start = static_cast<Tag>(random() % 100'000) * tag_scale;
    const auto weight = static_cast<std::int64_t>(random() % 5) + 1;
    const Amount one = {1, static_cast<Tokens>(random() % 2'000) + 1, static_cast<Tokens>(random() % 9'000)};
    const Amount all = {requests, requests * one.tokens, requests * one.upstream};
    lanes.push_back({{start, 0, static_cast<std::uint64_t>(i)}, weight, one, all});
    curve.add(lanes.back());
  }
  for (Tokens at = -1'000; at < 250'000; at += 997) {
    Amount sum;
    for (const Contour& lane : lanes) sum += served_before({at * tag_scale, 0, 0}, lane);
    const Amount served = curve.before({at * tag_scale, 0, 0});
    ASSERT_NEAR(static_cast<double>(served.tokens), static_cast<double>(sum.tokens), 300 * 5);
    ASSERT_NEAR(static_cast<double>(served.requests), static_cast<double>(sum.requests), 300)
        << "rounded for each lane";
    ASSERT_NEAR(static_cast<double>(served.upstream), static_cast<double>(sum.upstream), 300 * 9'000);
  }
  EXPECT_EQ(curve.before({500'000 * tag_scale, 0, 0}), curve.all());
  EXPECT_EQ(curve.before({-1, 0, 0}), Amount{});
  curve.clear();
  EXPECT_EQ(curve.before({500'000 * tag_scale, 0, 0}), Amount{});
}

TEST(ServiceCurve, TheFirstOfEachGoesWholeAtItsTurn) {
  const Amount call = {1, 100, 300};
  ServiceCurve curve;
  for (std::uint64_t i = 0; i < 5; ++i) curve.add({{7, 0, i}, 1, call, call});
  curve.add({{7, 0, 5}, 1, call, call + call});
  for (std::uint64_t i = 0; i <= 5; ++i) {
    const auto before = static_cast<Tokens>(i);
    EXPECT_EQ(curve.before({7, 0, i}), (Amount{before, before * 100, before * 300}));
  }
  EXPECT_EQ(curve.before({7, 0, 6}).requests, 6);
  EXPECT_EQ(curve.before({7 + 150 * tag_scale, 0, 0}), curve.all());
}

// By the calls one after another: half a call off at most, and none in the mean.
TEST(ServiceCurve, TheRestGoesAsOneByOneInTheMean) {
  const Tokens sizes[] = {10, 100, 3'000};
  for (const Tokens first : sizes) {
    for (const Tokens size : sizes) {
      const Contour contour = {{0, 0, 1}, 2, {1, first, 0}, {21, first + 20 * size, 0}};
      double off = 0;
      for (Tokens at = 1; at <= 400; ++at) {
        const Tokens time = at * 20 * size / 2 / 400 + 1;
        Tokens begun = 0;
        for (Tokens i = 0; i <= 20; ++i) begun += (i == 0 ? 0 : first + (i - 1) * size) < time * 2;
        const Tokens served = served_before({time * tag_scale, 0, 0}, contour).requests;
        ASSERT_NEAR(static_cast<double>(served), static_cast<double>(begun), 1) << first << ' ' << size << ' ' << time;
        off += static_cast<double>(served - begun);
      }
      EXPECT_NEAR(first >= size ? off / 400 : 0, 0, 0.2) << first << ' ' << size;
    }
  }
}

TEST(ServiceCurve, HoldsQueuesOfAnySize) {
  ServiceCurve curve;
  const Amount absurd = {1'000, 1'000'000'000'000, 1'000'000'000'000};
  const Amount first = {1, 1'000'000'000, 1'000'000'000};
  for (Tag start = 0; start < 100; ++start) curve.add({{start * 1'000'000 * tag_scale, 0, 0}, 1'000, first, absurd});
  const Amount half = curve.before({500'000'000 * tag_scale, 0, 0});
  EXPECT_GT(half.requests, 40'000);
  EXPECT_LT(half.requests, 50'000);
  EXPECT_EQ(curve.before({Tag{2'000'000'000} * tag_scale, 0, 0}), curve.all());
}

}  // namespace
}  // namespace weir::admission
