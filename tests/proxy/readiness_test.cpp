// When /readyz says no: when no call gets through, and not while calls wait.
#include "proxy/readiness.hpp"

#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

class ReadinessOf : public ::testing::Test {
 protected:
  ReadinessOf() {
    settings.upstreams = {test::upstream_at(1, "one"), test::upstream_at(2, "two")};
    settings.breaker_enabled = true;
  }
  // Call after call, each as soon as the last rest was over, for so long; until when the last rest is.
  net::Instant fail(const std::string& upstream, net::Instant from, Duration lasting) {
    net::Instant now = from;
    for (;;) {
      const auto until = health.note_failure(upstream, {Cause::fault, 503, {}, {}, "down"}, settings.retry, now);
      if (until && *until > from + lasting) return *until;
      now = until.value_or(now);
    }
  }
  bool ready(net::Instant now) { return readiness_of(settings, health, now).ready; }

  const net::Instant start{1000h};
  Settings settings;
  AccountHealth health;
};

TEST_F(ReadinessOf, AFreshStartIsYesAndNoUpstreamNo) {
  EXPECT_EQ(readiness_of(settings, health, start).reason, "ready: 2 upstream(s) configured");
  settings.upstreams.clear();
  EXPECT_FALSE(ready(start));
}

TEST_F(ReadinessOf, AHiccupThatCallsSitOutIsYes) {
  settings.upstreams.pop_back();
  const net::Instant until = fail("one", start, 5s);
  EXPECT_TRUE(ready(until - 1ms));
  EXPECT_EQ(readiness_of(settings, health, until - 1ms).reason.substr(0, 49),
            "ready: 1 upstream(s) configured; one failed 7 tim");
}

TEST_F(ReadinessOf, AnOutageLongerThanACallWaitsIsNoUntilTheNextTry) {
  settings.upstreams.pop_back();
  const net::Instant until = fail("one", start, 90s);
  EXPECT_FALSE(ready(until - 1ms));
  EXPECT_EQ(readiness_of(settings, health, until - 1ms).reason.find("no upstream is usable; one failed "), 0u);
  EXPECT_TRUE(ready(until)) << "the next call finds out";
  health.note_success("one");
  EXPECT_TRUE(ready(until - 1ms));
}

TEST_F(ReadinessOf, OneThatWorksIsEnough) {
  const net::Instant until = fail("one", start, 90s);
  EXPECT_TRUE(ready(until - 1ms));
  health.note_no_money("two", {Cause::quota, 402, {}, {}, "pay"}, until - 1ms);
  EXPECT_FALSE(ready(until - 1ms));
}

TEST_F(ReadinessOf, OneWithoutMoneyIsAskedAgainAfterItsRestWhateverComesThen) {
  settings.upstreams.pop_back();
  const net::Instant until = health.note_no_money("one", {Cause::quota, 402, {}, {}, "pay"}, start);
  EXPECT_FALSE(ready(until - 1ms));
  health.note_refusal("one", {Cause::minute_budget, 429, {}, {}, "later"}, until);
  health.note_rest("one", until + 10s);
  EXPECT_TRUE(ready(until)) << "this is waited for";
}

TEST_F(ReadinessOf, BeingToldToComeBackLaterIsYes) {
  settings.upstreams.pop_back();
  health.note_refusal("one", {Cause::minute_budget, 429, {}, {}, "later"}, start);
  health.note_rest("one", start + 10min);
  EXPECT_TRUE(ready(start + 9min));
}

TEST_F(ReadinessOf, WithoutBreakersEveryCallIsTried) {
  settings.upstreams.pop_back();
  settings.breaker_enabled = false;
  const net::Instant until = fail("one", start, 90s);
  EXPECT_TRUE(ready(until - 1ms));
}

}  // namespace
}  // namespace weir::proxy
