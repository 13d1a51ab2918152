#include "protocol/requested_figure.hpp"

#include <gtest/gtest.h>

namespace weir::protocol {
namespace {

using std::chrono::milliseconds;

TEST(RequestedFigureOfA429, HasFourNumbers) {
  const auto figure = read_requested_figure(
      "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29500, Requested "
      "1200. Please try again in 1.4s. Visit https://example.com to learn more.");
  ASSERT_TRUE(figure);
  EXPECT_TRUE(figure->of_tokens);
  EXPECT_EQ(figure->limit, 30'000U);
  EXPECT_EQ(figure->used, 29'500U);
  EXPECT_EQ(figure->requested, 1'200U);
  EXPECT_EQ(figure->try_again_in, milliseconds(1'400));
}

TEST(RequestedFigureOfA429, TellsTokensFromRequests) {
  const auto figure = read_requested_figure(
      "Rate limit reached for m on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.");
  ASSERT_TRUE(figure);
  EXPECT_FALSE(figure->of_tokens);
  EXPECT_EQ(figure->try_again_in, milliseconds(20'000));
}

TEST(RequestedFigureOfA429, ReadsTheMessageOfARequestThatIsTooLarge) {
  const auto figure = read_requested_figure(
      "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30,000, Requested 51,000. The "
      "input or output tokens must be reduced.");
  ASSERT_TRUE(figure);
  EXPECT_EQ(figure->limit, 30'000U);
  EXPECT_EQ(figure->used, std::nullopt);
  EXPECT_EQ(figure->requested, 51'000U);
  EXPECT_EQ(figure->try_again_in, std::nullopt);
}

TEST(RequestedFigureOfA429, IsAbsentFromOtherMessages) {
  for (const char* message : {"", "Limit", "Requested 5", "Limit 5", "Limit x, Requested y",
                              "Limit 99999999999999999999999, Requested 1", "You exceeded your current quota."})
    EXPECT_FALSE(read_requested_figure(message)) << message;
}

TEST(ParseWait, KnowsTheUnitsOfOpenAi) {
  EXPECT_EQ(parse_wait("820ms"), milliseconds(820));
  EXPECT_EQ(parse_wait("1.0001s"), milliseconds(1'001));
  EXPECT_EQ(parse_wait("6m0s"), milliseconds(360'000));
  EXPECT_EQ(parse_wait("1h2m3s"), milliseconds(3'723'000));
  EXPECT_EQ(parse_wait("24h0m0s"), milliseconds(86'400'000));
  for (const char* text : {"", "s", "5", "5x", "-1s", "999999999h"}) EXPECT_EQ(parse_wait(text), std::nullopt) << text;
}

}  // namespace
}  // namespace weir::protocol
