#include "proxy/why.hpp"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

admission::BudgetLimits account(std::chrono::seconds window = 60s) {
  admission::BudgetLimits limits;
  limits.scope = admission::Scope::account;
  limits.name = "ark-1";
  limits.window = window;
  limits.limits[static_cast<std::size_t>(admission::Meter::tokens)] = 5'000'000;
  limits.limits[static_cast<std::size_t>(admission::Meter::in_flight)] = 20;
  return limits;
}

TEST(Why, NamesMeterScopeThoseAheadAndTheStart) {
  const auto limits = account();
  EXPECT_EQ(why_waiting({&limits, admission::Meter::tokens, 4'980'000, 12, "bob", 8'000ms, {}, 30'000}),
            "waits for tokens per minute of the upstream 'ark-1' (4980000 of 5000000 taken, it needs 30000) behind 12 "
            "others, "
            "the next of 'bob'; it can start in about 8 s");
  EXPECT_EQ(why_waiting({&limits, admission::Meter::in_flight, 20, 0, "", 250ms}),
            "waits for requests in flight of the upstream 'ark-1' (20 of 20 taken); it can start in about 0.3 s");
}

TEST(Why, NamesASliceOrABurstThatHoldsTheCall) {
  auto limits = account();
  limits.pacing = 1s;
  limits.burst = 1000;
  using admission::Hold;
  EXPECT_EQ(
      why_waiting({&limits, admission::Meter::tokens, 800, 0, "", 1s, {}, 900, Hold::slice}),
      "waits for a slice of 1 s (pacing) of the 5000000 tokens per minute of the upstream 'ark-1' (it needs 900); "
      "it can start in about 1 s");
  EXPECT_EQ(why_waiting({&limits, admission::Meter::tokens, 800, 0, "", 1s, {}, 900, Hold::burst}),
            "waits for the even rate (burst: 1000) of the 5000000 tokens per minute of the upstream 'ark-1' (it needs "
            "900); it can start in about 1 s");
}

TEST(Why, SaysThatOthersComeFirst) {
  EXPECT_EQ(why_waiting({nullptr, admission::Meter::tokens, {}, 1, "", 1s}),
            "waits for its turn behind 1 other; it can start in about 1 s");
}

TEST(Why, NamesAPauseOfTheUpstreamAndNoMeter) {
  const auto limits = account();
  EXPECT_EQ(why_waiting({&limits, admission::Meter::requests, 0, 0, "", 9s, UpstreamPause{}}),
            "waits out a pause of the upstream 'ark-1'; it can start in about 9 s");
  EXPECT_EQ(why_waiting({&limits, admission::Meter::requests, 0, 3, "", 600s, UpstreamPause{100'000s}}),
            "waits out a pause of the upstream 'ark-1' (the upstream asked for one of 27 h 47 min) behind 3 others; it "
            "can start in about 10 min");
}

TEST(Why, OwnsUpToNotKnowing) {
  EXPECT_EQ(why_waiting({nullptr, admission::Meter::tokens, {}, 0, "", {}}),
            "waits for its turn; it can start at a time that nobody knows yet");
}

TEST(Why, CallsWindowsByTheirLength) {
  for (const auto& [window, words] : {std::pair{1s, "tokens per second"}, std::pair{5s, "tokens in 5 s"},
                                      std::pair{std::chrono::seconds(1h), "tokens per hour"}}) {
    const auto limits = account(window);
    EXPECT_EQ(limit_in_words(limits, admission::Meter::tokens),
              "the upstream 'ark-1' (tpm: 5000000 " + std::string(words) + ")");
  }
}

}  // namespace
}  // namespace weir::proxy
