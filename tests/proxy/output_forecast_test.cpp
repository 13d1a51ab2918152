#include "proxy/output_forecast.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace weir::proxy {
namespace {

void learn(OutputForecast& forecast, const char* key, const char* model, std::uint64_t output, int times) {
  for (int i = 0; i < times; ++i) forecast.learn(key, model, output);
}

TEST(OutputForecast, StartsFromThePrior) {
  OutputForecast forecast;
  const OutputExpectation nothing_known = forecast.expect("alice", "m", std::nullopt);
  EXPECT_GT(nothing_known.mean, 300U);
  EXPECT_LT(nothing_known.mean, 700U);
  EXPECT_GT(nothing_known.high, 1'500U);
  EXPECT_LT(nothing_known.high, 4'000U);
}

TEST(OutputForecast, IsNeverAboveTheCap) {
  OutputForecast forecast;
  learn(forecast, "alice", "m", 20'000, 50);
  for (const std::uint64_t cap : {0U, 1U, 16U, 300U, 100'000U}) {
    const OutputExpectation expected = forecast.expect("alice", "m", cap);
    EXPECT_LE(expected.mean, cap);
    EXPECT_LE(expected.high, cap);
    EXPECT_LE(expected.mean, expected.high);
  }
}

TEST(OutputForecast, LearnsTheLengthsOfAKey) {
  OutputForecast forecast;
  learn(forecast, "alice", "m", 20, 40);
  learn(forecast, "bob", "m", 6'000, 40);
  EXPECT_LT(forecast.expect("alice", "m", std::nullopt).mean, 1'200U);
  EXPECT_NEAR(static_cast<double>(forecast.expect("bob", "m", std::nullopt).mean), 6'000, 1'200);
}

TEST(OutputForecast, ANewKeyLeansOnItsModel) {
  OutputForecast forecast;
  learn(forecast, "alice", "m", 8'000, 40);
  EXPECT_GT(forecast.expect("new", "m", std::nullopt).mean, 5'000U);
  EXPECT_LT(forecast.expect("new", "other", std::nullopt).mean, 700U);
}

TEST(OutputForecast, ForgetsOldLengths) {
  OutputForecast forecast;
  learn(forecast, "alice", "m", 9'000, 60);
  learn(forecast, "alice", "m", 50, 200);
  EXPECT_LT(forecast.expect("alice", "m", std::nullopt).mean, 150U);
}

TEST(OutputForecast, OneEssayDoesNotFillABudget) {
  OutputForecast forecast;
  learn(forecast, "alice", "m", 100, 60);
  learn(forecast, "alice", "m", 1'000'000, 1);
  EXPECT_LT(forecast.expect("alice", "m", std::nullopt).mean, 400U);
}

// A hundred answers begin at once, half of them short and half long: the short ones are complete first.
TEST(OutputForecast, IsNotMisledByShortAnswersThatEndFirst) {
  OutputForecast forecast;
  for (int i = 0; i < 100; ++i) forecast.progress("alice", "m", 0, 90);
  for (int i = 0; i < 50; ++i) forecast.learn("alice", "m", 100, 90);
  for (int i = 0; i < 50; ++i) forecast.progress("alice", "m", 90, 1'000);
  const OutputExpectation running = forecast.expect("alice", "m", std::nullopt);
  EXPECT_GT(running.mean, 450U);
  EXPECT_GE(running.high, 1'000U);
  for (int i = 0; i < 50; ++i) forecast.learn("alice", "m", 1'000, 1'000);
  for (int i = 0; i < 100; ++i) forecast.learn("alice", "m", i % 2 == 0 ? 100 : 1'000);
  EXPECT_NEAR(static_cast<double>(forecast.expect("alice", "m", std::nullopt).mean), 550, 120);
}

TEST(OutputForecast, CountsAnAnswerOnceHoweverOftenItWasToldOf) {
  OutputForecast told, at_once;
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t output = i % 3 == 0 ? 3'000 : 70;
    for (std::uint64_t sofar = 50; sofar < output; sofar += 50) told.progress("alice", "m", sofar - 50, sofar);
    told.learn("alice", "m", output, (output - 1) / 50 * 50);
    at_once.learn("alice", "m", output);
  }
  EXPECT_EQ(told.expect("alice", "m", std::nullopt).mean, at_once.expect("alice", "m", std::nullopt).mean);
  EXPECT_EQ(told.expect("alice", "m", std::nullopt).high, at_once.expect("alice", "m", std::nullopt).high);
}

TEST(OutputForecast, KeepsABoundedNumberOfPairs) {
  OutputForecast forecast(64);
  for (int i = 0; i < 1'000; ++i) forecast.learn("key" + std::to_string(i), "m", 10);
  EXPECT_EQ(forecast.pairs(), 64U);
  // The model in general was used all the time, so it stayed.
  EXPECT_LT(forecast.expect("nobody", "m", std::nullopt).mean, 200U);
}

TEST(OutputForecast, TakesAnyNumber) {
  OutputForecast forecast;
  for (const std::uint64_t output : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}})
    forecast.learn("k", "m", output);
  EXPECT_LE(forecast.expect("k", "m", 10).mean, 10U);
}

TEST(OutputForecast, ServesSeveralThreads) {
  OutputForecast forecast(16);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&forecast, t] {
      for (int i = 0; i < 2'000; ++i) {
        forecast.learn("k" + std::to_string((i + t) % 40), "m", 100);
        forecast.expect("k" + std::to_string(i % 40), "m", 500);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(forecast.pairs(), 16U);
}

}  // namespace
}  // namespace weir::proxy
