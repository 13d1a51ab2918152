// Limits and waits as providers write them into headers, in every format seen.
#include "protocol/rate_limit_headers.hpp"

#include <gtest/gtest.h>

namespace weir::protocol {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// 1994-11-06 08:49:37 UTC, the RFC's own example.
constexpr WallTime now{std::chrono::seconds(784111777)};

std::string text(const std::optional<milliseconds>& wait) {
  return wait ? std::to_string(wait->count()) : "none";
}

TEST(RetryAfter, IsReadInEveryForm) {
  const std::pair<const char*, const char*> cases[] = {
      {"0", "0"},
      {"1", "1000"},
      {" 120 ", "120000"},
      {"1.5", "1500"},
      {"0.0004", "1"},
      {"7.66", "7660"},
      {"-5", "0"},
      {"99999999999999999999", "86400000"},
      {"Sun, 06 Nov 1994 08:50:37 GMT", "60000"},
      {"Sunday, 06-Nov-94 08:50:37 GMT", "60000"},
      {"Sun Nov  6 08:50:37 1994", "60000"},
      {"Sun, 06 Nov 1994 08:49:37 GMT", "0"},
      {"Fri, 31 Dec 1993 23:59:59 GMT", "0"},
      {"Fri, 31 Dec 2099 23:59:59 GMT", "86400000"},
      {"Sun, 31 Feb 1994 08:50:37 GMT", "none"},
      {"Sun, 06 Foo 1994 08:50:37 GMT", "none"},
      {"Sun, 06 Nov 1994 25:50:37 GMT", "none"},
      {"Sun, 06 Nov 1994", "none"},
      {"", "none"},
      {"soon", "none"},
      {"1s", "none"},
      {"1e3", "none"},
      {"inf", "none"},
      {"nan", "none"},
  };
  for (const auto& [value, expected] : cases) EXPECT_EQ(text(parse_retry_after(value, now)), expected) << value;
}

TEST(Duration, IsReadAsGoWritesIt) {
  const std::pair<const char*, const char*> cases[] = {
      {"1s", "1000"},
      {"7.66s", "7660"},
      {"6m0s", "360000"},
      {"1h0m0s", "3600000"},
      {"12ms", "12"},
      {"2m59.56s", "179560"},
      {"3.957525076s", "3958"},
      {"37s", "37000"},
      {"0s", "0"},
      {"500us", "1"},
      {"500\xC2\xB5s", "1"},
      {"1ns", "1"},
      {"0.496s", "496"},
      {"1000h", "86400000"},
      {"", "none"},
      {"s", "none"},
      {"1", "none"},
      {"1x", "none"},
      {"-1s", "none"},
      {"1s2", "none"},
      {"1 s", "none"},
      {"1d", "none"},
  };
  for (const auto& [value, expected] : cases) EXPECT_EQ(text(parse_duration(value)), expected) << value;
}

TEST(Reset, IsReadInEveryForm) {
  const std::pair<const char*, const char*> cases[] = {
      {"6m0s", "360000"},
      {"9ms", "9"},
      {"60", "60000"},
      {"0.5", "500"},
      {"784111778", "86400000"},  // too small to be a date of our days, so seconds, and absurd
      {"1994-11-06T08:49:47Z", "10000"},
      {"1994-11-06T08:49:47.250Z", "10250"},
      {"1994-11-06T16:49:47+08:00", "10000"},
      {"1994-11-06T00:19:47-08:30", "10000"},
      {"1994-11-06t08:49:47z", "10000"},
      {"1994-11-06T08:49:27Z", "0"},
      {"1994-13-06T08:49:47Z", "none"},
      {"1994-11-06T08:49:47", "none"},
      {"1994-11-06", "none"},
      {"", "none"},
  };
  for (const auto& [value, expected] : cases) EXPECT_EQ(text(parse_reset(value, now)), expected) << value;
  const WallTime later{std::chrono::seconds(1800000000)};
  EXPECT_EQ(text(parse_reset("1800000005", later)), "5000");
  EXPECT_EQ(text(parse_reset("1800000005250", later)), "5250");
  EXPECT_EQ(text(parse_reset("1700000000", later)), "0");
}

TEST(RateLimitHeaders, OfOpenAi) {
  const RateLimitHeaders read = parse_rate_limit_headers({{"X-RateLimit-Limit-Requests", "60"},
                                                          {"x-ratelimit-remaining-requests", "59"},
                                                          {"x-ratelimit-reset-requests", "1s"},
                                                          {"x-ratelimit-limit-tokens", "150000"},
                                                          {"x-ratelimit-remaining-tokens", " 149984 "},
                                                          {"x-ratelimit-reset-tokens", "6m0s"},
                                                          {"x-ratelimit-limit-project-tokens", "60000"},
                                                          {"x-ratelimit-reset-project-tokens", "3s"},
                                                          {"retry-after-ms", "496"},
                                                          {"Retry-After", "1"},
                                                          {"x-should-retry", "False"}},
                                                         now);
  EXPECT_EQ(read.requests.limit, 60u);
  EXPECT_EQ(read.requests.remaining, 59u);
  EXPECT_EQ(read.requests.reset, 1s);
  EXPECT_EQ(read.tokens.limit, 150000u);
  EXPECT_EQ(read.tokens.remaining, 149984u);
  EXPECT_EQ(read.tokens.reset, 6min);
  EXPECT_EQ(read.project_tokens.limit, 60000u);
  EXPECT_EQ(read.project_tokens.reset, 3s);
  EXPECT_EQ(read.retry_after, 496ms);
  EXPECT_EQ(read.should_retry, false);
  EXPECT_FALSE(read.input_tokens.any());
}

TEST(RateLimitHeaders, OfAnthropic) {
  const RateLimitHeaders read =
      parse_rate_limit_headers({{"anthropic-ratelimit-requests-limit", "50"},
                                {"anthropic-ratelimit-input-tokens-remaining", "39000"},
                                {"anthropic-ratelimit-output-tokens-reset", "1994-11-06T08:50:37Z"},
                                {"retry-after", "12"}},
                               now);
  EXPECT_EQ(read.requests.limit, 50u);
  EXPECT_EQ(read.input_tokens.remaining, 39000u);
  EXPECT_EQ(read.output_tokens.reset, 60s);
  EXPECT_EQ(read.retry_after, 12s);
  EXPECT_EQ(read.should_retry, std::nullopt);
}

TEST(RateLimitHeaders, OfAzureAreUnknownWhereItSaysMinusOne) {
  const RateLimitHeaders read = parse_rate_limit_headers({{"x-ratelimit-limit-tokens", "-1"},
                                                          {"x-ratelimit-remaining-tokens", "-1"},
                                                          {"x-ratelimit-reset-tokens", "26"},
                                                          {"retry-after-ms", "soon"},
                                                          {"retry-after", "3"}},
                                                         now);
  EXPECT_EQ(read.tokens.limit, std::nullopt);
  EXPECT_EQ(read.tokens.remaining, std::nullopt);
  EXPECT_EQ(read.tokens.reset, 26s);
  EXPECT_EQ(read.retry_after, 3s) << "a malformed header is as if absent";
}

TEST(RateLimitHeaders, OfTogetherAreThoseOfASecond) {
  const RateLimitHeaders read = parse_rate_limit_headers({{"x-ratelimit-limit", "10"},
                                                          {"x-ratelimit-remaining", "9"},
                                                          {"x-ratelimit-reset", "1"},
                                                          {"X-TokenLimit-Limit", "3000"},
                                                          {"x-tokenlimit-remaining", "2500"}},
                                                         now);
  EXPECT_EQ(read.requests.limit, 10u);
  EXPECT_EQ(read.requests.remaining, 9u);
  EXPECT_EQ(read.requests.reset, 1s);
  EXPECT_EQ(read.requests.window, 1s);
  EXPECT_EQ(read.tokens.limit, 3000u);
  EXPECT_EQ(read.tokens.remaining, 2500u);
  EXPECT_EQ(read.tokens.window, 1s);
}

TEST(RateLimitHeaders, OfTogetherThatHoldAtPresentGoFirst) {
  const RateLimitHeaders read = parse_rate_limit_headers({{"x-ratelimit-limit", "10"},
                                                          {"x-ratelimit-limit-dynamic", "4"},
                                                          {"x-ratelimit-remaining-dynamic", "3"},
                                                          {"x-tokenlimit-limit", "3000"},
                                                          {"x-tokenlimit-limit-dynamic", "2000"},
                                                          {"x-tokenlimit-remaining-dynamic", "0"}},
                                                         now);
  EXPECT_EQ(read.requests.limit, 4u);
  EXPECT_EQ(read.requests.remaining, 3u);
  EXPECT_EQ(read.tokens.limit, 2000u);
  EXPECT_EQ(read.tokens.remaining, 0u);
}

TEST(RateLimitHeaders, OfFireworksAreThoseOfASecondAndCountInputTwice) {
  const RateLimitHeaders read = parse_rate_limit_headers({{"X-Ratelimit-Limit-Tokens-Prompt", "60000"},
                                                          {"x-ratelimit-remaining-tokens-prompt", "59000"},
                                                          {"x-ratelimit-limit-tokens-cache-adjusted-prompt", "15000"},
                                                          {"x-ratelimit-remaining-tokens-cache-adjusted-prompt", "0"},
                                                          {"x-ratelimit-limit-tokens-generated", "600"},
                                                          {"x-ratelimit-remaining-tokens-generated", "599"},
                                                          {"x-ratelimit-over-limit", "no"},
                                                          {"fireworks-prompt-tokens", "1000"}},
                                                         now);
  EXPECT_EQ(read.input_tokens.limit, 60000u);
  EXPECT_EQ(read.input_tokens.remaining, 59000u);
  EXPECT_EQ(read.input_tokens.window, 1s);
  EXPECT_EQ(read.uncached_input_tokens.limit, 15000u);
  EXPECT_EQ(read.uncached_input_tokens.remaining, 0u);
  EXPECT_EQ(read.uncached_input_tokens.window, 1s);
  EXPECT_EQ(read.output_tokens.limit, 600u);
  EXPECT_EQ(read.output_tokens.remaining, 599u);
  EXPECT_EQ(read.output_tokens.window, 1s);
  EXPECT_FALSE(read.tokens.any());
  EXPECT_FALSE(read.requests.any());
}

TEST(RateLimitHeaders, OfTwoWindowsAreNotMixed) {
  const RateLimitHeaders read = parse_rate_limit_headers({{"x-ratelimit-limit-tokens", "60000"},
                                                          {"x-ratelimit-remaining-tokens", "none"},
                                                          {"x-tokenlimit-limit", "3000"},
                                                          {"x-tokenlimit-remaining", "0"}},
                                                         now);
  EXPECT_EQ(read.tokens.limit, 60000u);
  EXPECT_EQ(read.tokens.remaining, std::nullopt);
  EXPECT_EQ(read.tokens.window, 0s);
}

TEST(RateLimitHeaders, OfMistralAndMoonshot) {
  const RateLimitHeaders mistral = parse_rate_limit_headers({{"ratelimitbysize-limit", "500000"},
                                                             {"ratelimitbysize-remaining", "499000"},
                                                             {"ratelimitbysize-reset", "31"},
                                                             {"x-ratelimitbysize-remaining-minute", "1"}},
                                                            now);
  EXPECT_EQ(mistral.tokens.limit, 500000u);
  EXPECT_EQ(mistral.tokens.remaining, 499000u);
  EXPECT_EQ(mistral.tokens.reset, 31s);
  const RateLimitHeaders newer = parse_rate_limit_headers({{"x-ratelimit-limit-req-minute", "50"},
                                                           {"x-ratelimit-remaining-req-minute", "49"},
                                                           {"x-ratelimit-limit-tokens-minute", "50000"},
                                                           {"x-ratelimit-remaining-tokens-minute", "47300"},
                                                           {"x-ratelimit-remaining-tokens-month", "12"}},
                                                          now);
  EXPECT_EQ(newer.requests.limit, 50u);
  EXPECT_EQ(newer.requests.remaining, 49u);
  EXPECT_EQ(newer.tokens.limit, 50000u);
  EXPECT_EQ(newer.tokens.remaining, 47300u);
  EXPECT_EQ(newer.tokens_of_month.remaining, 12u);
  EXPECT_EQ(parse_rate_limit_headers({{"x-ratelimitbysize-remaining-month", "0"}}, now).tokens_of_month.remaining, 0u);
  const RateLimitHeaders moonshot =
      parse_rate_limit_headers({{"X-RateLimit-Limit", "3"}, {"X-RateLimit-Remaining", "2"}}, now);
  EXPECT_EQ(moonshot.requests.limit, 3u);
  EXPECT_EQ(moonshot.requests.remaining, 2u);
  EXPECT_EQ(moonshot.requests.window, 0s);
}

TEST(RateLimitHeaders, OfNobodyAreNothing) {
  const RateLimitHeaders read =
      parse_rate_limit_headers({{"content-type", "x"}, {"x-ratelimit-limit-requests", "many"}}, now);
  EXPECT_FALSE(read.requests.any());
  EXPECT_FALSE(read.tokens.any());
  EXPECT_EQ(read.retry_after, std::nullopt);
}

// Every name that is read, with every value that is no count and no time.
TEST(RateLimitHeaders, OfAnyNameAreAsIfAbsentWhereMalformed) {
  const auto any = [](const RateLimitHeaders& read) {
    return read.requests.any() || read.tokens.any() || read.input_tokens.any() || read.output_tokens.any() ||
           read.project_tokens.any() || read.uncached_input_tokens.any() || read.tokens_of_month.any();
  };
  for (const std::string_view name : meter_header_names()) {
    EXPECT_TRUE(tells_of_a_meter(name)) << name;
    EXPECT_TRUE(any(parse_rate_limit_headers({{name, "7"}}, now))) << name;
    const bool reset = name.find("reset") != std::string_view::npos;
    for (const char* value : {"", " ", "many", "1,000", "0x10", "1e3", "nan", "inf", "7 7", "\xff"})
      EXPECT_FALSE(any(parse_rate_limit_headers({{name, value}}, now))) << name << ": " << value;
    for (const char* value : {"-1", "1000000000000000000", "99999999999999999999999999"})
      EXPECT_EQ(any(parse_rate_limit_headers({{name, value}}, now)), reset) << name << ": " << value;
  }
}

TEST(RateLimitHeaders, AreKnownByTheBeginningOfTheirNames) {
  for (const char* name : {"x-ratelimit-limit-tokens", "X-RateLimit-Limit", "anthropic-ratelimit-requests-limit",
                           "ratelimitbysize-limit", "x-ratelimitbysize-limit-minute", "X-TokenLimit-Remaining"})
    EXPECT_TRUE(tells_of_a_meter(name)) << name;
  for (const char* name : {"x-request-id", "x-ratelimi", "x-ratelimit", "retry-after", "anthropic-organization-id", ""})
    EXPECT_FALSE(tells_of_a_meter(name)) << name;
}

}  // namespace
}  // namespace weir::protocol
