// Whether and when a failed call is tried again: tables and distributions, no clock.
#include "admission/retry_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace weir::admission {
namespace {

using namespace std::chrono_literals;
using Verdict = NextTry::Verdict;

constexpr Instant start = Instant(1000s);

struct Row {
  const char* name;
  Attempted attempted;
  RetryRules rules;
  Verdict verdict;
};

Attempted attempted(Trouble trouble, unsigned refusals, unsigned in_vain) {
  Attempted attempted;
  attempted.trouble = trouble;
  attempted.refusals = refusals;
  attempted.in_vain = in_vain;
  return attempted;
}

Attempted with_side_effects(Trouble trouble) {
  Attempted one = attempted(trouble, 1, 1);
  one.side_effects = true;
  return one;
}

Attempted too_late_here(Trouble trouble) {
  Attempted one = attempted(trouble, 1, 1);
  one.deadline = start;
  one.elsewhere = true;
  return one;
}

Attempted hinted(Duration hint, Instant deadline) {
  Attempted one = attempted(Trouble::refused, 1, 0);
  one.hint = hint;
  one.deadline = deadline;
  return one;
}

std::vector<Row> rows() {
  RetryRules off;
  off.enabled = false;
  RetryRules not_after_send;
  not_after_send.after_send = false;
  return {
      {"a refusal", attempted(Trouble::refused, 1, 0), {}, Verdict::again},
      {"the last but one refusal", attempted(Trouble::refused, 7, 3), {}, Verdict::again},
      {"one refusal too many", attempted(Trouble::refused, 8, 0), {}, Verdict::pointless},
      {"no connection", attempted(Trouble::unsent, 0, 1), {}, Verdict::again},
      {"no connection, four times", attempted(Trouble::unsent, 0, 4), {}, Verdict::pointless},
      {"a failure", attempted(Trouble::failed, 7, 3), {}, Verdict::again},
      {"the fourth failure", attempted(Trouble::failed, 0, 4), {}, Verdict::pointless},
      {"no answer", attempted(Trouble::unanswered, 0, 1), {}, Verdict::again},
      {"no answer, and it may have been billed", attempted(Trouble::unanswered, 0, 1), not_after_send,
       Verdict::pointless},
      {"a failure that was answered is not billed", attempted(Trouble::failed, 0, 1), not_after_send, Verdict::again},
      {"retries are off", attempted(Trouble::refused, 1, 0), off, Verdict::not_ours},
      {"a failure with side effects", with_side_effects(Trouble::failed), {}, Verdict::not_ours},
      {"no answer, with side effects", with_side_effects(Trouble::unanswered), {}, Verdict::not_ours},
      {"a refusal has none", with_side_effects(Trouble::refused), {}, Verdict::again},
      {"what was not sent has none", with_side_effects(Trouble::unsent), {}, Verdict::again},
      {"a hint within the deadline", hinted(10s, start + 12s), {}, Verdict::again},
      {"a hint beyond the deadline", hinted(10s, start + 9s), {}, Verdict::out_of_time},
      {"a deadline that has passed", hinted(0s, start - 1s), {}, Verdict::out_of_time},
      {"a refusal without time to wait, but another account", too_late_here(Trouble::refused), {}, Verdict::again},
      {"a failure without time to wait, but another account", too_late_here(Trouble::failed), {}, Verdict::again},
  };
}

TEST(RetryPolicy, DecidesByTroubleTriesAndTime) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    RetryBudget budget;
    Rng rng(1);
    EXPECT_EQ(next_try(row.attempted, row.rules, budget, start, rng).verdict, row.verdict);
  }
}

TEST(RetryPolicy, AFailureTakenToAnotherAccountCountsAgainstTheBudget) {
  RetryBudget budget;
  Rng rng(1);
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(next_try(too_late_here(Trouble::failed), {}, budget, start, rng).verdict, Verdict::again);
  EXPECT_EQ(next_try(too_late_here(Trouble::failed), {}, budget, start, rng).verdict, Verdict::pointless);
  EXPECT_EQ(next_try(too_late_here(Trouble::refused), {}, budget, start, rng).verdict, Verdict::again);
}

TEST(RetryPolicy, ObeysAHintAndAddsAtMostATenth) {
  RetryBudget budget;
  Rng rng(2);
  for (int i = 0; i < 1000; ++i) {
    const Instant when = next_try(hinted(10s, never), {}, budget, start, rng).not_before;
    ASSERT_GE(when, start + 10s);
    ASSERT_LT(when, start + 11s);
  }
}

TEST(RetryPolicy, PausesDoubleWithFullJitterUpToTheMost) {
  const RetryRules rules;
  for (const auto& [refusals, most] : {std::pair{1u, 500ms}, {2u, 1000ms}, {4u, 4000ms}, {7u, 30'000ms}}) {
    SCOPED_TRACE(refusals);
    RetryBudget budget;
    Rng rng(3);
    Instant first = never, last = start;
    for (int i = 0; i < 2000; ++i) {
      const NextTry next = next_try(attempted(Trouble::refused, refusals, 0), rules, budget, start, rng);
      first = std::min(first, next.not_before);
      last = std::max(last, next.not_before);
    }
    EXPECT_GE(first, start + 100ms);
    EXPECT_LT(first, start + 100ms + most / 20);
    EXPECT_LE(last, start + most);
    EXPECT_GT(last, start + most - most / 20);
  }
}

TEST(RetryPolicy, FailuresPauseByTheirOwnCount) {
  RetryBudget budget;
  Rng rng(4);
  const NextTry next = next_try(attempted(Trouble::failed, 7, 1), {}, budget, start, rng);
  EXPECT_LE(next.not_before, start + 500ms);
}

TEST(RetryPolicy, AnUpstreamThatFailsEverythingGetsATenthMoreAndTheFloor) {
  RetryBudget budget;
  Rng rng(5);
  constexpr int calls = 1000;
  int tries = 0;
  for (int call = 0; call < calls; ++call) {
    budget.note_first_try();
    for (unsigned in_vain = 1;; ++in_vain) {
      ++tries;
      if (next_try(attempted(Trouble::failed, 0, in_vain), {}, budget, start, rng).verdict != Verdict::again) break;
    }
  }
  EXPECT_LE(tries, calls * 11 / 10 + 10);
  EXPECT_GE(tries, calls * 11 / 10);
}

TEST(RetryPolicy, RefusalsAndCallsThatWereNotSentCostNoBudget) {
  RetryBudget budget;
  Rng rng(6);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(next_try(attempted(Trouble::refused, 1, 0), {}, budget, start, rng).verdict, Verdict::again);
    ASSERT_EQ(next_try(attempted(Trouble::unsent, 0, 1), {}, budget, start, rng).verdict, Verdict::again);
  }
  EXPECT_TRUE(budget.take());
}

TEST(RetryPolicy, AHintThatDidNotHelpIsALowerBound) {
  const auto last_of = [](unsigned refusals) {
    RetryBudget budget;
    Rng rng(7);
    Attempted again = hinted(10ms, never);
    again.refusals = refusals;
    Instant last = start;
    for (int i = 0; i < 2000; ++i) last = std::max(last, next_try(again, {}, budget, start, rng).not_before);
    return last;
  };
  EXPECT_LT(last_of(1), start + 11ms);
  EXPECT_GT(last_of(3), start + 1900ms);
  EXPECT_LE(last_of(3), start + 2000ms);
}

}  // namespace
}  // namespace weir::admission
