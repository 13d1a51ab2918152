// When an account is left alone, at made-up instants.
#include "proxy/account_health.hpp"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

const net::Instant begin = net::Instant(1000s);
const Symptom symptom{Cause::fault, 500, "api_error", "weir_upstream_reset", "It broke."};

TEST(AccountHealth, RestsAfterFiveFailuresTwiceAsLongEachTime) {
  AccountHealth health;
  RetrySettings retry;
  net::Instant now = begin;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(health.note_failure("up", symptom, retry, now), std::nullopt);
  for (const auto rest : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    EXPECT_EQ(health.note_failure("up", symptom, retry, now), now + rest);
    now += rest;
  }
}

TEST(AccountHealth, FailuresOfCallsThatWereOnTheirWayAreNotCountedAgain) {
  AccountHealth health;
  RetrySettings retry;
  for (int i = 0; i < 4; ++i) health.note_failure("up", symptom, retry, begin);
  EXPECT_EQ(health.note_failure("up", symptom, retry, begin), begin + 1s);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(health.note_failure("up", symptom, retry, begin + 500ms), std::nullopt);
  EXPECT_EQ(health.state("up")->failures, 5u);
}

TEST(AccountHealth, ARefusalAfterAFailureDoesNotMakeItAFailingAccount) {
  AccountHealth health;
  RetrySettings retry;
  health.note_failure("up", symptom, retry, begin);
  health.note_refusal("up", symptom, begin);
  health.note_rest("up", begin + 60s);
  EXPECT_EQ(health.state("up")->rests_until, begin + 60s);
  EXPECT_EQ(health.state("up")->failing_until, net::Instant::min());
}

TEST(AccountHealth, APauseThatWasAskedForIsARestUntilSomebodyLooks) {
  AccountHealth health;
  health.note_asked("up/m", symptom, 24h, begin + 10min, begin);
  health.note_asked("up/m", symptom, 2s, begin + 3s, begin + 1s);
  const auto state = health.state("up/m");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->refusals, 1u);
  EXPECT_EQ(state->rests_until, begin + 10min);
  EXPECT_EQ(state->asked, 24h);
  EXPECT_EQ(state->asked_until, begin + 10min);
}

TEST(AccountHealth, ASuccessForgetsEverything) {
  AccountHealth health;
  RetrySettings retry;
  for (int i = 0; i < 4; ++i) health.note_failure("up", symptom, retry, begin);
  health.note_success("up");
  EXPECT_FALSE(health.state("up"));
  EXPECT_EQ(health.note_failure("up", symptom, retry, begin), std::nullopt);
}

TEST(AccountHealth, RefusalsOfOneMomentCountOnce) {
  AccountHealth health;
  EXPECT_EQ(health.note_refusal("up", symptom, begin), 1u);
  health.note_rest("up", begin + 1s);
  EXPECT_EQ(health.note_refusal("up", symptom, begin), 1u);
  EXPECT_EQ(health.note_refusal("up", symptom, begin + 999ms), 1u);
  EXPECT_EQ(health.note_refusal("up", symptom, begin + 1s), 2u);
}

TEST(AccountHealth, AccountsDoNotShareTheirTroubles) {
  AccountHealth health;
  health.note_refusal("up", symptom, begin);
  EXPECT_FALSE(health.state("other"));
  health.note_success("other");
  EXPECT_TRUE(health.state("up"));
}

TEST(AccountHealth, WithoutMoneyItRestsForAMinuteAndKnowsWhatWasSaid) {
  AccountHealth health;
  EXPECT_EQ(health.note_no_money("up", symptom, begin), begin + 60s);
  const auto state = health.state("up");
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->without_money);
  EXPECT_EQ(state->no_money_until, begin + 60s);
  EXPECT_EQ(state->last.message, "It broke.");
  EXPECT_EQ(state->last_at, begin);
}

TEST(AccountHealth, ARefusedKeyIsAnAnswerSoThatWhatElseWasIsOver) {
  AccountHealth health;
  for (int i = 0; i < 10; ++i) health.note_failure("up", symptom, {}, begin);
  health.note_key_refused("up", {Cause::caller, 401, "", "invalid_api_key", ""}, begin + 1s);
  const auto state = health.state("up");
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->refuses_key);
  EXPECT_EQ(state->failures, 0u);
  EXPECT_EQ(state->last.code, "invalid_api_key");
  health.note_success("up");
  EXPECT_FALSE(health.state("up"));
}

TEST(AccountHealth, ListsTheTroubledByTheBeginningOfTheirNames) {
  AccountHealth health;
  for (const char* name : {"up@key-2", "up@key-1", "up", "up2@key-3", "up-@key-4", "up/m"})
    health.note_refusal(name, symptom, begin);
  EXPECT_EQ(health.troubled_below("up@", 10), (std::vector<std::string>{"up@key-1", "up@key-2"}));
  EXPECT_EQ(health.troubled_below("up@", 1), std::vector<std::string>{"up@key-1"});
  EXPECT_EQ(health.troubled_below("up/", 10), std::vector<std::string>{"up/m"});
  health.note_success("up@key-1");
  EXPECT_EQ(health.troubled_below("up@", 10), std::vector<std::string>{"up@key-2"});
}

TEST(AccountHealth, ForgetsTheOldestTroubleWhenCallersInventAccounts) {
  AccountHealth health;
  net::Instant now = begin;
  for (std::size_t i = 0; i <= AccountHealth::troubled_max; ++i)
    health.note_refusal("up@" + std::to_string(i), symptom, now += 1s);
  EXPECT_FALSE(health.state("up@0"));
  EXPECT_TRUE(health.state("up@1"));
  EXPECT_TRUE(health.state("up@" + std::to_string(AccountHealth::troubled_max)));
}

}  // namespace
}  // namespace weir::proxy
