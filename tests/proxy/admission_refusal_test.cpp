// What callers are told whom the queue turned away: a code of weir's own, hints that are true, and no word that makes
// an SDK give up.
#include "proxy/admission_refusal.hpp"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;
using admission::Meter;
using admission::Rejection;

constexpr admission::Instant told_at{1000h};

std::string field(const Refusal& refusal, std::string_view name) {
  for (const auto& [key, value] : refusal.headers) {
    if (key == name) return value;
  }
  return {};
}

TEST(AdmissionRefusal, OfARequestLargerThanABudgetSaysBothNumbers) {
  admission::BudgetLimits budget;
  budget.scope = admission::Scope::account;
  budget.name = "ark-1";
  budget.limits[static_cast<std::size_t>(Meter::input)] = 5000;
  AdmissionFacts facts;
  facts.budget = &budget;
  facts.asked = 9000;
  const Refusal refusal = refuse_admission({admission::Refusal::oversize, 0, Meter::input, told_at, 0}, facts, told_at);
  EXPECT_EQ(refusal.message,
            "The request needs 9000 input tokens, which is too much for a whole budget of the upstream 'ark-1' "
            "(input_tpm: 5000 input tokens per minute); send less at once.");
}

// The bug: 50001 tokens were "too much for a whole budget" of 5000, while one of 50000 was let through.
TEST(AdmissionRefusal, OfARequestThatWouldPayForTooLongSaysHowMuchIsTaken) {
  admission::BudgetLimits budget;
  budget.scope = admission::Scope::account;
  budget.name = "ark-1";
  budget.limits[static_cast<std::size_t>(Meter::tokens)] = 5000;
  AdmissionFacts facts;
  facts.budget = &budget;
  facts.asked = 50'001;
  Rejection rejection{admission::Refusal::oversize, 0, Meter::tokens, admission::never, 0};
  rejection.most = 50'000;
  EXPECT_EQ(refuse_admission(rejection, facts, told_at).message,
            "The request needs 50001 tokens, which is too much for the upstream 'ark-1' (tpm: 5000 tokens per minute): "
            "one larger than that runs alone and is in debt afterwards, if it needs 50000 tokens at most; send less at "
            "once.");
}

TEST(AdmissionRefusal, OfAFullQueueSaysWhatTheFirstWaitsFor) {
  admission::BudgetLimits budget;
  budget.name = "alice";
  budget.limits[static_cast<std::size_t>(Meter::requests)] = 60;
  AdmissionFacts facts;
  facts.budget = &budget;
  facts.taken = 60;
  facts.waiting = 3;
  EXPECT_EQ(
      refuse_admission({admission::Refusal::queue_full, 0, Meter::requests, told_at + 59700ms, 0}, facts, told_at)
          .message,
      "weir's queue is full (3 requests wait, queue.requests_max): the first of them waits for requests per minute "
      "of the key 'alice' (60 of 60 taken); it can start in about 59.7 s.");
  EXPECT_EQ(
      refuse_admission({admission::Refusal::bytes_full, 0, Meter::requests, admission::never, 0}, AdmissionFacts{},
                       told_at)
          .message,
      "weir's queue is full (0 requests wait, queue.bytes_max): the first of them waits for its turn; it can start "
      "at a time that nobody knows yet.");
}

TEST(AdmissionRefusal, OfADaySaysWhatIsLeftAndWhatIsNeeded) {
  admission::BudgetLimits budget;
  budget.name = "alice";
  budget.limits[static_cast<std::size_t>(Meter::tokens_day)] = 1000;
  AdmissionFacts facts;
  facts.budget = &budget;
  Rejection rejection{admission::Refusal::day, 0, Meter::tokens_day, told_at + 76'732'800ms, 0};
  rejection.needs = 500;
  const std::string again = "the key 'alice' (tpd: 1000 tokens per day) has room again in about 21 h 19 min.";
  facts.taken = 970;
  EXPECT_EQ(refuse_admission(rejection, facts, told_at).message,
            "The request needs 500 tokens and the day has 30 left: " + again);
  rejection.requests_ahead = 2;
  EXPECT_EQ(refuse_admission(rejection, facts, told_at).message,
            "The request needs 500 tokens and the day has 30 left for it and 2 others before it: " + again);
  facts.taken = 1000;
  EXPECT_EQ(refuse_admission(rejection, facts, told_at).message, "The budget of the day is used up: " + again);
}

struct RefusalRow {
  admission::Refusal reason;
  admission::Instant room_at;
  const char* code;
  const char* retry_after_ms;
  const char* retry_after;
  const char* should_retry;
};

TEST(AdmissionRefusal, HasACodeOfItsOwnAndTrueHints) {
  const RefusalRow rows[] = {
      {admission::Refusal::queue_full, admission::never, "weir_queue_full", "1000", "1", "true"},
      {admission::Refusal::bytes_full, admission::never, "weir_queue_full", "1000", "1", "true"},
      {admission::Refusal::deadline, told_at + 2500ms, "weir_deadline", "2500", "3", "true"},
      {admission::Refusal::deadline, told_at + 1ns, "weir_deadline", "1", "1", "true"},
      {admission::Refusal::deadline, admission::never, "weir_deadline", "", "", "true"},
      {admission::Refusal::day, told_at + 5h, "weir_budget_day", "18000000", "18000", "false"},
      {admission::Refusal::oversize, told_at + 1s, "weir_oversize", "", "", "false"},
  };
  admission::BudgetLimits budget;
  budget.scope = admission::Scope::account;
  budget.name = "ark-1";
  for (const RefusalRow& row : rows) {
    AdmissionFacts facts;
    facts.budget = &budget;
    const Refusal refusal = refuse_admission({row.reason, 0, Meter::tokens, row.room_at, 3}, facts, told_at);
    EXPECT_EQ(refusal.status, 429) << row.code;
    EXPECT_EQ(refusal.code, row.code);
    EXPECT_EQ(field(refusal, "retry-after-ms"), row.retry_after_ms) << row.code;
    EXPECT_EQ(field(refusal, "retry-after"), row.retry_after) << row.code;
    EXPECT_EQ(field(refusal, "x-should-retry"), row.should_retry) << row.code;
    for (const char* word : {"quota", "billing", "credit", "will reset at"})
      EXPECT_EQ(refusal.message.find(word), std::string::npos) << refusal.message;
  }
}

TEST(AdmissionRefusal, OfADeadlineSaysWhoseItIs) {
  admission::BudgetLimits budget;
  budget.name = "alice";
  budget.limits[static_cast<std::size_t>(Meter::requests)] = 60;
  AdmissionFacts facts;
  facts.budget = &budget;
  facts.taken = 60;
  facts.wait_bound = 9750ms;
  facts.bounded_by = "the timeout of its client, x-stainless-timeout";
  EXPECT_EQ(
      refuse_admission({admission::Refusal::deadline, 0, Meter::requests, told_at + 30s, 0}, facts, told_at).message,
      "The request may wait 9.8 s (the timeout of its client, x-stainless-timeout), which is too short: it waits for "
      "requests per minute of the key 'alice' (60 of 60 taken); it can start in about 30 s.");
}

TEST(AdmissionRefusal, OfALongPauseOfTheUpstreamSaysNotToComeBack) {
  admission::BudgetLimits budget;
  budget.scope = admission::Scope::account;
  budget.name = "ark-1";
  AdmissionFacts facts;
  facts.budget = &budget;
  facts.wait_bound = 30s;
  for (const auto& [pause, wait, word] :
       {std::tuple(true, 120s, "true"), std::tuple(true, 121s, "false"), std::tuple(false, 121s, "true")}) {
    facts.pause.reset();
    if (pause) facts.pause = UpstreamPause{100'000s};
    const Refusal refusal =
        refuse_admission({admission::Refusal::deadline, 0, Meter::requests, told_at + wait, 0}, facts, told_at);
    EXPECT_EQ(refusal.code, "weir_deadline");
    EXPECT_EQ(field(refusal, "x-should-retry"), word) << pause << " " << wait.count();
    EXPECT_EQ(refusal.message.find("requests per minute") == std::string::npos, pause) << refusal.message;
  }
}

TEST(RateLimitLines, AreThoseOfOpenAi) {
  admission::MeterView requests, tokens;
  requests.limit = 60;
  requests.used = 1;
  requests.full_in = 1s;
  tokens.limit = 150'000;
  tokens.used = 149'900;
  tokens.reserved = 984;
  tokens.full_in = 6min;
  EXPECT_EQ(
      rate_limit_lines(requests, tokens),
      "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-reset-requests: 1s\r\n"
      "x-ratelimit-limit-tokens: 150000\r\nx-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 6m0s\r\n");
  EXPECT_EQ(rate_limit_lines(admission::MeterView(), std::nullopt), "") << "nothing is limited";
}

TEST(RateLimitLines, WriteDurationsAsOpenAiDoes) {
  EXPECT_EQ(openai_duration(0ms), "0ms");
  EXPECT_EQ(openai_duration(11500us), "12ms");
  EXPECT_EQ(openai_duration(1s), "1s");
  EXPECT_EQ(openai_duration(7660ms), "7.66s");
  EXPECT_EQ(openai_duration(6min), "6m0s");
  EXPECT_EQ(openai_duration(24h), "24h0m0s");
}

}  // namespace
}  // namespace weir::proxy
