// When a call that was turned away without a hint would have room, by what the head says is left.
#include "proxy/upstream_words.hpp"

#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

class WaitForRoom : public ::testing::Test {
 protected:
  std::optional<std::chrono::milliseconds> wait(std::vector<net::Field> fields, std::uint64_t tokens = 100) {
    net::ResponseHead head;
    head.fields = std::move(fields);
    return wait_for_room(upstream, head, tokens);
  }
  static Upstream believed() {
    Upstream upstream = test::upstream_at(9);
    upstream.limit_headers = LimitHeaders::all;
    return upstream;
  }
  Upstream upstream = believed();
};

TEST_F(WaitForRoom, IsThePartOfTheWindowThatTheCallLacks) {
  EXPECT_EQ(wait({{"x-ratelimit-limit-requests", "60"}, {"x-ratelimit-remaining-requests", "0"}}), 1s);
  EXPECT_EQ(wait({{"x-ratelimit-limit-tokens", "6000"}, {"x-ratelimit-remaining-tokens", "40"}}), 600ms);
  upstream.limits.window = 6s;
  EXPECT_EQ(wait({{"x-ratelimit-limit-tokens", "6000"}, {"x-ratelimit-remaining-tokens", "40"}}), 60ms);
}

TEST_F(WaitForRoom, IsOfTheMeterThatTakesLongest) {
  EXPECT_EQ(wait({{"x-ratelimit-limit-requests", "60"},
                  {"x-ratelimit-remaining-requests", "0"},
                  {"x-ratelimit-limit-tokens", "6000"},
                  {"x-ratelimit-remaining-tokens", "40"}}),
            1s);
}

TEST_F(WaitForRoom, IsAWindowAtTheMost) {
  EXPECT_EQ(wait({{"x-ratelimit-limit-tokens", "6000"}, {"x-ratelimit-remaining-tokens", "0"}}, 1'000'000), 60s);
}

TEST_F(WaitForRoom, IsNotKnownWhereNothingIsShortOrSaid) {
  EXPECT_EQ(wait({}), std::nullopt);
  EXPECT_EQ(wait({{"x-ratelimit-limit-tokens", "6000"}, {"x-ratelimit-remaining-tokens", "5000"}}), std::nullopt);
  EXPECT_EQ(wait({{"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "6m0s"}}), std::nullopt);
  EXPECT_EQ(wait({{"x-ratelimit-limit-tokens", "-1"}, {"x-ratelimit-remaining-tokens", "-1"}}), std::nullopt)
      << "Azure does not know";
}

TEST_F(WaitForRoom, OfAMeterOfTheDayIsThePartOfADayUntilItIsFullAtTheMost) {
  const auto wait_of = [this](const char* limit) {
    return wait({{"x-ratelimit-limit-requests", limit},
                 {"x-ratelimit-remaining-requests", "0"},
                 {"x-ratelimit-reset-requests", "2m59.56s"}});
  };
  EXPECT_EQ(wait_of("14400"), 6s);
  EXPECT_EQ(wait_of("100"), 179560ms);
}

TEST_F(WaitForRoom, OfAMeterOfASecondIsThePartOfASecond) {
  EXPECT_EQ(wait({{"x-tokenlimit-limit", "1000"}, {"x-tokenlimit-remaining", "40"}}), 60ms);
  EXPECT_EQ(wait({{"x-tokenlimit-limit", "50"}, {"x-tokenlimit-remaining", "0"}}), 1s);
  EXPECT_EQ(wait({{"x-ratelimit-limit", "10"}, {"x-ratelimit-remaining", "0"}, {"x-tokenlimit-limit", "1000"}}), 100ms);
  EXPECT_EQ(wait({{"x-ratelimit-limit-tokens-generated", "400"}, {"x-ratelimit-remaining-tokens-generated", "0"}}),
            250ms);
}

TEST_F(WaitForRoom, OfAMeterThatIsFullOnlyAfterItsSecondIsThatOfTheNextLongerWindow) {
  EXPECT_EQ(wait({{"x-ratelimit-limit", "10"},
                  {"x-ratelimit-remaining", "0"},
                  {"x-ratelimit-reset", "30"},
                  {"x-tokenlimit-limit", "1000"}}),
            6s);
}

TEST_F(WaitForRoom, OfTheMonthIsNone) {
  EXPECT_EQ(wait({{"x-ratelimitbysize-remaining-month", "0"}}), std::nullopt);
}

TEST_F(WaitForRoom, LooksAtUncachedInputWhereOnlyThatCounts) {
  const std::vector<net::Field> head{{"x-ratelimit-limit-tokens-prompt", "4000"},
                                     {"x-ratelimit-remaining-tokens-prompt", "4000"},
                                     {"x-ratelimit-limit-tokens-cache-adjusted-prompt", "1000"},
                                     {"x-ratelimit-remaining-tokens-cache-adjusted-prompt", "0"}};
  EXPECT_EQ(wait(head), std::nullopt);
  upstream.charge.cached_input_free = true;
  EXPECT_EQ(wait(head), 100ms);
}

TEST_F(WaitForRoom, IsNotBelievedOfEverybody) {
  const std::vector<net::Field> short_of_requests{{"x-ratelimit-limit-requests", "60"},
                                                  {"x-ratelimit-remaining-requests", "0"}};
  upstream.limit_headers = LimitHeaders::none;
  EXPECT_EQ(wait(short_of_requests), std::nullopt);
  upstream.limit_headers = LimitHeaders::tokens;
  EXPECT_EQ(wait(short_of_requests), std::nullopt);
}

}  // namespace
}  // namespace weir::proxy
