#include "protocol/limit_figures.hpp"

#include <gtest/gtest.h>

namespace weir::protocol {
namespace {

using Of = LimitFigures::Of;

struct FiguresCase {
  const char* name;
  const char* message;
  Of of;
  std::optional<std::uint64_t> limit, used;
};

class Messages : public ::testing::TestWithParam<FiguresCase> {};

TEST_P(Messages, AreReadForLimitAndUse) {
  const LimitFigures read = read_limit_figures(GetParam().message);
  EXPECT_EQ(read.of, GetParam().of);
  EXPECT_EQ(read.limit, GetParam().limit);
  EXPECT_EQ(read.used, GetParam().used);
}

const FiguresCase messages[] = {
    {"OpenAiTokens",
     "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Used 29500, Requested "
     "1200. Please try again in 1.4s.",
     Of::tokens, 30'000, 29'500},
    {"OpenAiRequests", "Rate limit reached for m on requests per min (RPM): Limit 3, Used 3, Requested 1.",
     Of::requests, 3, 3},
    {"OpenAiDay", "Rate limit reached on requests per day (RPD): Limit 200, Used 200, Requested 1.", Of::day, 200, 200},
    {"Commas", "on tokens per min (TPM): Limit: 30,000 / min. Current: 29,999 / min.", Of::tokens, 30'000, 29'999},
    {"DeepSeek", "Too many concurrent requests: current 501, allowed 500.", Of::concurrency, 500, 501},
    {"DeepSeekInASentence", "Your current concurrency is 501 while the maximum allowed concurrency is 500",
     Of::concurrency, 500, 501},
    {"Plain", "Concurrency limit of 50 exceeded", Of::concurrency, 50, std::nullopt},
    {"InFlight", "max in-flight requests: 20", Of::concurrency, 20, std::nullopt},
    {"NoFigures", "Rate limit reached: too many concurrent requests.", Of::concurrency, std::nullopt, std::nullopt},
    {"Nothing", "Slow down", Of::unknown, std::nullopt, std::nullopt},
    {"ATimeIsNoLimit", "Rate limit reached. Please try again in 20 seconds.", Of::unknown, std::nullopt, std::nullopt},
    {"AFractionIsNoLimit", "limit 1.5", Of::unknown, std::nullopt, std::nullopt},
    {"AModelIsNoLimit", "limit of gpt4 reached", Of::unknown, std::nullopt, std::nullopt},
    {"NoNumberIsThatLarge", "Limit 99999999999999999999", Of::unknown, std::nullopt, std::nullopt},
    {"Empty", "", Of::unknown, std::nullopt, std::nullopt},
};
INSTANTIATE_TEST_SUITE_P(Of, Messages, ::testing::ValuesIn(messages),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace weir::protocol
