// The scheduler, call by call: what is let through, what waits for what, and what is charged.
#include "admission/scheduler.hpp"

#include <gtest/gtest.h>

#include "admission/admission_support.hpp"

namespace weir::admission {
namespace {

using namespace test;

Limits tokens_of(Tokens limit) {
  return all_of({account({{Meter::tokens, limit}})});
}

// --- A request's way ---

TEST(Scheduler, OnlyDispatchAdmits) {
  Desk desk(tokens_of(100));
  EXPECT_EQ(desk.submit("a", {}), "");
  EXPECT_EQ(desk.scheduler.queued(), 1u);
  EXPECT_EQ(desk.scheduler.queued_bytes(), 100u);
  EXPECT_EQ(desk.dispatch(), "a");
  EXPECT_EQ(desk.scheduler.queued(), 0u);
  EXPECT_EQ(desk.scheduler.queued_bytes(), 0u);
  EXPECT_EQ(desk.scheduler.running(), 1u);
  EXPECT_EQ(desk.reserved(), 10);
  desk.send("a");
  EXPECT_EQ(desk.used(), 10);
  EXPECT_EQ(desk.reserved(), 0);
  desk.settle("a");
  EXPECT_EQ(desk.scheduler.running(), 0u);
  EXPECT_EQ(desk.used(), 10);
}

TEST(Scheduler, WaitsForTheWindowAndIsWokenForIt) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100});
  EXPECT_EQ(desk.pass(), "a");
  desk.submit("b", {.tokens = 1});
  EXPECT_EQ(desk.pass(), "");
  const auto wakeup = desk.scheduler.next_wakeup();
  ASSERT_TRUE(wakeup);
  EXPECT_GT(*wakeup, start + 60s + 50ms);
  EXPECT_LE(*wakeup, start + 60s + 58ms);
  desk.now = *wakeup - 1ns;
  EXPECT_EQ(desk.pass(), "");
  desk.now = *wakeup;
  EXPECT_EQ(desk.pass(), "b");
  desk.settle("a");
  desk.settle("b");
}

TEST(Scheduler, NothingToDoMeansNoWakeup) {
  Desk desk(tokens_of(100));
  desk.dispatch();
  EXPECT_FALSE(desk.scheduler.next_wakeup());
  desk.submit("a", {});
  EXPECT_EQ(desk.scheduler.next_wakeup(), desk.now);
  desk.dispatch();
  EXPECT_FALSE(desk.scheduler.next_wakeup());
}

TEST(Scheduler, DecidesSomeAtATime) {
  Desk desk(all_of({}));
  std::size_t left = 2 * Scheduler::decisions_max + 5;
  for (std::size_t i = 0; i < left; ++i) desk.submit("a", {.patience = i % 2 == 0 ? std::optional(1s) : std::nullopt});
  desk.now += 1s;
  for (; left > 0; left -= std::min(left, Scheduler::decisions_max)) {
    ASSERT_TRUE(desk.scheduler.next_wakeup());
    EXPECT_LE(*desk.scheduler.next_wakeup(), desk.now);
    EXPECT_EQ(desk.scheduler.dispatch(desk.now).size(), std::min(left, Scheduler::decisions_max));
  }
  EXPECT_FALSE(desk.scheduler.next_wakeup());
}

TEST(Scheduler, AWithdrawalWhileWaitingCostsNothing) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 90});
  desk.pass();
  desk.submit("b", {.tokens = 50});
  desk.submit("c", {.tokens = 10});
  EXPECT_EQ(desk.pass(), "");
  desk.withdraw("b");
  EXPECT_EQ(desk.pass(), "c");
  EXPECT_EQ(desk.used(), 100);
}

TEST(Scheduler, ATicketIsNotUsedAgain) {
  Desk desk(tokens_of(100));
  desk.submit("a", {});
  desk.withdraw("a");
  desk.submit("b", {});
  EXPECT_EQ(desk.tickets["a"].index, desk.tickets["b"].index);
  EXPECT_FALSE(desk.tickets["a"] == desk.tickets["b"]);
}

TEST(Scheduler, AWithdrawalBeforeSendingReturnsEverything) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100});
  EXPECT_EQ(desk.dispatch(), "a");
  desk.submit("b", {.tokens = 100});
  EXPECT_EQ(desk.dispatch(), "");
  desk.withdraw("a");
  EXPECT_EQ(desk.used(), 0);
  EXPECT_EQ(desk.used(Meter::requests), 0);
  EXPECT_EQ(desk.dispatch(), "b");
}

TEST(Scheduler, SettlingWhatWasNeverSentIsAWithdrawal) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100});
  desk.dispatch();
  desk.settle("a", used(70, 20));
  EXPECT_EQ(desk.used(), 0);
  EXPECT_EQ(desk.reserved(), 0);
}

TEST(Scheduler, AWithdrawalAfterSendingIsALostCall) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 50, .output_max = 300});
  desk.pass();
  desk.withdraw("a");
  EXPECT_EQ(desk.used(), 310);
}

TEST(Scheduler, ChargesFromTheSendingHoweverLongTheConnectingTook) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100});
  desk.dispatch();
  desk.now += 5s;
  desk.send("a");
  desk.submit("b", {.tokens = 100});
  desk.now = start + 62s;
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.pass_when_woken(), "b");
  EXPECT_GT(desk.now, start + 65s);
  EXPECT_LT(desk.now, start + 65s + 100ms);
}

TEST(Scheduler, ExpectsAsMuchHoweverLongTheConnectingTook) {
  for (const Duration connecting : {Duration(0), Duration(1ms), Duration(1ms + 1ns), Duration(20s)}) {
    Desk desk(tokens_of(1'000));
    desk.submit("a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 320, .pace = {1s, 32, 0}});
    desk.dispatch();
    desk.now += connecting;
    desk.send("a");
    EXPECT_EQ(desk.reserved(), 320);
    desk.now += 5s;
    desk.scheduler.progress(desk.tickets.at("a"), 100, desk.now);
    desk.check();
    EXPECT_EQ(desk.used(), 110);
    EXPECT_EQ(desk.reserved(), 320) << "the rest is expected to be as long as the whole was";
    desk.settle("a");
    EXPECT_EQ(desk.reserved(), 0);
  }
}

// --- What is charged when ---

TEST(Scheduler, WhatDidNotArriveCountsFromWhenItIsSentAgain) {
  Desk desk(all_of({account({{Meter::tokens, 100}, {Meter::requests_day, 5}})}));
  desk.submit("a", {.tokens = 100});
  EXPECT_EQ(desk.pass(), "a");
  desk.now += 1s;
  desk.scheduler.unsent(desk.tickets.at("a"), desk.now);
  desk.check();
  EXPECT_EQ(desk.used(), 0);
  EXPECT_EQ(desk.reserved(), 100);
  EXPECT_EQ(desk.used(Meter::requests_day), 0);
  desk.now += 9s;
  desk.send("a");
  desk.settle("a");
  EXPECT_EQ(desk.used(Meter::requests_day), 1);
  desk.submit("b", {.tokens = 1});
  EXPECT_EQ(desk.pass_when_woken(), "b");
  EXPECT_GT(desk.now, start + 70s);
}

TEST(Scheduler, WhatIsNotSentAgainCostsNothing) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100, .later = LaterCharge::as_produced, .output = 50});
  desk.pass();
  desk.scheduler.unsent(desk.tickets.at("a"), desk.now);
  desk.withdraw("a");
  EXPECT_EQ(desk.used(), 0);
  EXPECT_EQ(desk.reserved(), 0);
  EXPECT_EQ(desk.used(Meter::requests), 0);
}

TEST(Scheduler, ChargesOutputAsItIsProduced) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 200, .output_max = 400});
  desk.pass();
  EXPECT_EQ(desk.used(), 10);
  EXPECT_EQ(desk.reserved(), 200);
  desk.now += 2s;
  desk.produce("a", 80);
  EXPECT_EQ(desk.used(), 90);
  desk.produce("a", 80);
  EXPECT_EQ(desk.used(), 90);
  desk.produce("a", 50);  // never less than before
  EXPECT_EQ(desk.used(), 90);
  desk.settle("a", used(10, 120));
  EXPECT_EQ(desk.used(), 130);
  EXPECT_EQ(desk.reserved(), 0);
}

TEST(Scheduler, ChargesWhatIsKnownOnlyAtTheEnd) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 100, .later = LaterCharge::at_end, .output = 200});
  desk.pass();
  EXPECT_EQ(desk.used(), 0);
  EXPECT_EQ(desk.reserved(), 300);
  desk.now += 2s;
  desk.produce("a", 80);
  EXPECT_EQ(desk.used(), 0);
  EXPECT_EQ(desk.reserved(), 380);  // heard of, not charged: with what is still expected
  desk.settle("a", used(110, 90));
  EXPECT_EQ(desk.used(), 200);
}

TEST(Scheduler, TheEstimateStandsWhereNoUsageIsKnown) {
  Desk desk(tokens_of(10'000));
  desk.submit("a", {.tokens = 100, .later = LaterCharge::at_end, .output = 200});
  desk.submit("b", {.tokens = 100, .later = LaterCharge::as_produced, .output = 200});
  desk.pass();
  desk.settle("a");
  EXPECT_EQ(desk.used(), 400);
  desk.produce("b", 300);  // more than expected
  desk.settle("b");
  EXPECT_EQ(desk.used(), 700);
}

TEST(Scheduler, WhatTheUpstreamCountsOfTheInputIsCorrectedBeforeTheEnd) {
  Desk desk(all_of({account({{Meter::tokens, 150}})}));
  desk.submit("a", {.tokens = 100, .corrects = true});
  desk.submit("b", {.tokens = 100, .corrects = true});
  EXPECT_EQ(desk.pass(), "a");
  desk.measure("a", 60);
  EXPECT_EQ(desk.used(), 60);
  EXPECT_EQ(desk.pass(), "") << "100 do not fit into the 90 that are left";
  desk.measure("a", 40);
  EXPECT_EQ(desk.pass(), "b") << "room is news";
  desk.settle("a", used(40, 0));
  EXPECT_EQ(desk.used(), 140) << "and nothing is corrected twice";
  desk.measure("b", 130);
  EXPECT_EQ(desk.used(), 170) << "upwards too";
}

TEST(Scheduler, AnEarlyCountOfTheInputChangesNothingWhereTheRuleDoesNotRefund) {
  Desk desk(all_of({account({{Meter::tokens, 150}})}));
  desk.submit("a", {.tokens = 100});
  EXPECT_EQ(desk.pass(), "a");
  desk.measure("a", 60);
  EXPECT_EQ(desk.used(), 100);
}

TEST(Scheduler, ARefundIsBookedOnlyWhereTheRuleRefunds) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 100});
  desk.submit("b", {.tokens = 100, .corrects = true});
  desk.pass();
  desk.now += 1s;
  desk.settle("a", used(60, 0));
  EXPECT_EQ(desk.used(), 200);
  desk.settle("b", used(60, 0));
  EXPECT_EQ(desk.used(), 160);
}

TEST(Scheduler, CachedInputIsFreeWhereItIs) {
  Desk desk(tokens_of(1'000));
  Submission s;
  s.key = desk.scheduler.budget(Scope::key, "k");
  s.account = desk.scheduler.budget(Scope::account, "up");
  s.own.tokens = s.own.input = s.upstream.tokens = s.upstream.input = 100;
  s.own.corrects = s.upstream.corrects = true;
  s.upstream.cached_input_free = true;
  s.arrived = desk.now;
  const Ticket ticket = std::get<Ticket>(desk.scheduler.submit(s, desk.now));
  desk.pass();
  desk.scheduler.settle(ticket, used(100, 0, 70), Ending::complete, desk.now);
  EXPECT_EQ(desk.used(), 30);
  EXPECT_EQ(desk.view(Scope::key, "k", Meter::tokens).used, 100);
}

TEST(Scheduler, ARefusedCallCountsARequestUpstreamAndNothingForTheCaller) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 100, .corrects = true});
  desk.submit("b", {.tokens = 100, .later = LaterCharge::at_end, .output = 50});
  desk.pass();
  desk.settle("a", {}, Ending::refused);
  desk.settle("b", {}, Ending::refused);
  EXPECT_EQ(desk.used(), 0);
  EXPECT_EQ(desk.used(Meter::requests), 2);
  EXPECT_EQ(desk.view(Scope::key, "k", Meter::requests).used, 0);
  EXPECT_EQ(desk.view(Scope::key, "k", Meter::tokens).used, 0);
}

TEST(Scheduler, ALostCallIsChargedInFull) {
  Desk desk(tokens_of(10'000));
  desk.submit("a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 50, .output_max = 400});
  desk.submit("b", {.tokens = 10, .later = LaterCharge::as_produced, .output = 50});
  desk.pass();
  desk.settle("a", {}, Ending::lost);
  EXPECT_EQ(desk.used(), 420);
  desk.settle("b", {}, Ending::lost);
  EXPECT_EQ(desk.used(), 470);
}

TEST(Scheduler, UsageAboveTheEstimateLeavesADebtThatDelaysTheNext) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 20});
  desk.pass();
  desk.now += 10s;
  desk.settle("a", used(10, 150));
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::tokens).debt, 60);
  desk.submit("b", {.tokens = 1});
  EXPECT_EQ(desk.pass_when_woken(), "b");
  EXPECT_GT(desk.now, start + 70s);
}

// --- Forecasts ---

TEST(Scheduler, AForecastHoldsOthersBack) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 100, .later = LaterCharge::as_produced, .output = 800});
  desk.pass();
  desk.submit("b", {.tokens = 101});
  EXPECT_EQ(desk.pass(), "");
  desk.now += 9s;
  desk.produce("a", 100);
  desk.settle("a", used(100, 100));  // shorter than expected
  EXPECT_EQ(desk.pass(), "b");
}

TEST(Scheduler, RoomThatIsFreeAgainBeforeTheTokensComeIsNotHeldBack) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 900});
  desk.pass();
  desk.settle("a");
  desk.now += 50s;
  // 100 tokens a second from the second on: 500 of them come before the 900 leave.
  desk.submit("b", {.tokens = 10, .later = LaterCharge::as_produced, .output = 2'000});
  EXPECT_EQ(desk.pass(), "");
  desk.withdraw("b");
  desk.submit("c", {.tokens = 10, .later = LaterCharge::as_produced, .output = 700, .pace = {11s, 100, 0}});
  EXPECT_EQ(desk.pass(), "c");
}

TEST(Scheduler, ALumpIsReservedInFullUntilItIsSettled) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 100, .later = LaterCharge::as_produced, .output = 600, .output_max = 600, .lump = true});
  desk.pass();
  EXPECT_EQ(desk.reserved(), 600);
  desk.now += 30s;
  desk.produce("a", 200);
  EXPECT_EQ(desk.reserved(), 400);
  desk.submit("b", {.tokens = 301});
  EXPECT_EQ(desk.pass(), "");
  desk.submit("c", {.tokens = 300});
  desk.withdraw("b");
  EXPECT_EQ(desk.pass(), "c");
}

TEST(Scheduler, AnAnswerLongerThanExpectedIsExpectedToGoOn) {
  Desk desk(tokens_of(100'000));
  desk.submit(
      "a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 160, .output_max = 2'000, .pace = {1s, 100, 8}});
  desk.pass();
  EXPECT_EQ(desk.reserved(), 160);
  desk.now += 10s;
  desk.produce("a", 1'000);
  EXPECT_EQ(desk.reserved(), 160 + 500);
  desk.produce("a", 1'900);
  EXPECT_EQ(desk.reserved(), 100);  // its cap
  desk.produce("a", 2'000);
  EXPECT_EQ(desk.reserved(), 0);
}

TEST(Scheduler, AKnownLengthIsExpectedToEndThere) {
  Desk desk(tokens_of(100'000));
  desk.submit("a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 160, .pace = {1s, 100, -16}});
  desk.pass();
  desk.now += 1s;
  desk.produce("a", 100);
  EXPECT_EQ(desk.reserved(), 60);
  desk.produce("a", 160);
  EXPECT_EQ(desk.reserved(), 10);  // it still runs: a little is expected
}

// --- Time ---

TEST(Scheduler, NotBeforeItsTime) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.not_before = start + 5s});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.scheduler.next_wakeup(), start + 5s);
  EXPECT_EQ(desk.scheduler.queued(), 1u);
  desk.submit("b", {});
  EXPECT_EQ(desk.pass(), "b");
  desk.now = start + 5s;
  EXPECT_EQ(desk.pass(), "a");
}

TEST(Scheduler, WhoMayNotStartYetMayLeave) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.not_before = start + 5s});
  desk.withdraw("a");
  EXPECT_EQ(desk.pass(), "");
  EXPECT_FALSE(desk.scheduler.next_wakeup());
}

TEST(Scheduler, NothingIsSentAtItsDeadline) {
  Desk desk(all_of({account({{Meter::in_flight, 1}})}));
  desk.submit("a", {});
  desk.pass();
  desk.submit("b", {.patience = 10s});
  desk.submit("c", {.patience = 5s});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.scheduler.next_wakeup(), start + 5s);
  desk.now = start + 5s;
  EXPECT_EQ(desk.pass(), "!c");
  EXPECT_EQ(desk.rejected.reason, Refusal::deadline);
  desk.now = start + 10s;
  desk.settle("a");
  EXPECT_EQ(desk.pass(), "!b");
}

TEST(Scheduler, AWaitThatCannotFitIsRefusedAtOnce) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100});
  desk.pass();
  desk.now += 10s;
  EXPECT_EQ(desk.submit("b", {.tokens = 50, .patience = 20s}), "deadline");
  EXPECT_GT(desk.rejected.room_at, start + 60s);
  EXPECT_LT(desk.rejected.room_at, start + 61s);
  EXPECT_EQ(desk.rejected.meter, Meter::tokens);
  EXPECT_EQ(desk.rejected.budget, desk.scheduler.budget(Scope::account, "up"));
  EXPECT_EQ(desk.scheduler.queued(), 0u);
  EXPECT_EQ(desk.submit("c", {.tokens = 50, .patience = 55s}), "");
  EXPECT_EQ(desk.pass_when_woken(), "c");
}

TEST(Scheduler, WhoWaitsAsTheDayEndsIsRefusedForTheDay) {
  BudgetLimits up = account({{Meter::requests, 1}, {Meter::requests_day, 3}});
  up.day_resets = start + 5h;
  Desk desk(all_of({up}));
  for (const char* name : {"a1", "a2", "a3"}) EXPECT_EQ(desk.submit(name, {.key = "a", .patience = 10min}), "");
  for (const char* name : {"b1", "b2"})
    EXPECT_EQ(desk.submit(name, {.key = "b", .arrived = start, .patience = 10min}), "");
  EXPECT_EQ(desk.pass_when_woken(), "a1");
  EXPECT_EQ(desk.pass_when_woken(), "b1");
  std::string last;
  while (last.empty()) {
    desk.now = desk.scheduler.next_wakeup().value();
    last = desk.dispatch();
  }
  EXPECT_EQ(last, "a2 !b2 !a3");
  EXPECT_LT(desk.now, start + 3min);
  EXPECT_EQ(desk.rejected.reason, Refusal::day);
  EXPECT_EQ(desk.rejected.room_at, start + 5h + 50ms);
}

TEST(Scheduler, WhoWaitsForTheDayOfItsKeyIsRefusedWhenItIsOver) {
  BudgetLimits own = key("k", {{Meter::tokens_day, 1'000}});
  own.day_resets = start + 5h;
  Desk desk(all_of({account({}), own}));
  const Request answered = {.tokens = 10, .later = LaterCharge::as_produced, .output = 400, .patience = 10min};
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_EQ(desk.submit(name, answered), "");
  EXPECT_EQ(desk.pass(), "a b");
  EXPECT_EQ(desk.submit("e", {.key = "k", .tokens = 10, .patience = 6h}), "");
  desk.settle("a", used(10, 400));
  EXPECT_EQ(desk.pass(), "");
  desk.settle("b", used(10, 300));
  EXPECT_EQ(desk.dispatch(), "!c !d e");
  EXPECT_EQ(desk.rejected.reason, Refusal::day);
  EXPECT_EQ(desk.rejected.budget, desk.scheduler.budget(Scope::key, "k"));
}

TEST(Scheduler, WhoMayWaitForTheNextDayDoes) {
  BudgetLimits up = account({{Meter::requests_day, 1}});
  up.day_resets = start + 5h;
  Desk desk(all_of({up}));
  for (const char* name : {"a", "b"}) EXPECT_EQ(desk.submit(name, {.patience = 6h}), "");
  EXPECT_EQ(desk.submit("c", {.patience = 6h}), "day") << "its turn comes the day after";
  EXPECT_EQ(desk.pass(), "a");
  EXPECT_EQ(desk.pass_when_woken(6h), "b");
  EXPECT_EQ(desk.now, start + 5h + 50ms);
}

TEST(Scheduler, ThoseAheadCountInThePrediction) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100});
  desk.pass();
  for (int i = 0; i < 3; ++i) desk.submit("b" + std::to_string(i), {.tokens = 60});
  // 180 before it and 40 of its own: it goes with the last of them, in the third window from now.
  EXPECT_EQ(desk.submit("c", {.tokens = 40, .patience = 180s}), "deadline");
  EXPECT_EQ(desk.rejected.requests_ahead, 3);
  EXPECT_EQ(desk.submit("c", {.tokens = 40, .patience = 181s}), "");
  for (const char* goes : {"b0", "b1", "b2 c"}) EXPECT_EQ(desk.pass_when_woken(), goes);
}

TEST(Scheduler, NobodyIsRefusedByAGuessOfHowLongCallsLast) {
  Desk desk(all_of({account({{Meter::in_flight, 1}})}));
  desk.submit("running", {});
  desk.pass();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(desk.submit("b" + std::to_string(i), {.patience = 600s}), "");
  // Once a call was seen to end, it is known how long they last.
  desk.now += 2s;
  desk.settle("running");
  EXPECT_EQ(desk.pass(), "b0");
  EXPECT_EQ(desk.submit("late", {.patience = 600s}), "deadline");
  EXPECT_EQ(desk.rejected.meter, Meter::in_flight);
  EXPECT_EQ(desk.submit("patient", {.patience = 3000s}), "");
}

TEST(Scheduler, AFullDayIsSaidToBeOne) {
  BudgetLimits up = account({{Meter::tokens_day, 100}});
  up.day_resets = start + 5h;
  Desk desk(all_of({up}));
  desk.submit("a", {.tokens = 90});
  desk.pass();
  EXPECT_EQ(desk.submit("b", {.tokens = 20, .patience = 600s}), "day");
  EXPECT_EQ(desk.rejected.meter, Meter::tokens_day);
  EXPECT_EQ(desk.rejected.room_at, start + 5h + 50ms);
}

// --- Bounds ---

TEST(Scheduler, TheQueueIsBoundedInRequests) {
  Limits limits = tokens_of(100);
  limits.requests_max = 2;
  Desk desk(limits);
  EXPECT_EQ(desk.submit("a", {}), "");
  EXPECT_EQ(desk.submit("b", {.not_before = start + 1s}), "");
  EXPECT_EQ(desk.submit("c", {}), "queue_full");
  EXPECT_EQ(desk.pass(), "a");
  EXPECT_EQ(desk.submit("c", {}), "");
}

TEST(Scheduler, WhoHadAPlaceBeforeNeedsNoNewOne) {
  Limits limits = tokens_of(100);
  limits.requests_max = 1;
  limits.bytes_max = 100;
  Desk desk(limits);
  desk.submit("a", {.bytes = 100});
  EXPECT_EQ(desk.submit("b", {.bytes = 100}), "queue_full");
  EXPECT_EQ(desk.submit("b", {.bytes = 100, .again = true}), "");
  EXPECT_EQ(desk.pass(), "a b");
}

TEST(Scheduler, AFullQueueSaysWhenTheNextOneCouldGo) {
  Limits limits = tokens_of(100);
  limits.requests_max = 1;
  Desk desk(limits);
  desk.submit("a", {.tokens = 100});
  EXPECT_EQ(desk.pass(), "a");
  desk.submit("b", {.tokens = 50});
  desk.now += 20s;
  EXPECT_EQ(desk.submit("c", {.tokens = 50}), "queue_full");
  EXPECT_GT(desk.rejected.room_at, start + 60s);
  EXPECT_LT(desk.rejected.room_at, start + 61s);
  EXPECT_EQ(desk.rejected.budget, desk.scheduler.budget(Scope::account, "up"));
  EXPECT_EQ(desk.rejected.meter, Meter::tokens);
}

TEST(Scheduler, AFullQueueHoldsUpNobodyWhoNeedNotWait) {
  Limits limits = all_of({account({{Meter::requests, 3}}), key("b", {{Meter::requests, 1}}), account({}, "idle")});
  limits.requests_max = 2;
  Desk desk(limits);
  desk.submit("b1", {.key = "b"});
  EXPECT_EQ(desk.pass(), "b1");
  desk.submit("b2", {.key = "b"});
  desk.submit("b3", {.key = "b"});
  EXPECT_EQ(desk.pass(), "");
  desk.now += 300ms;
  EXPECT_EQ(desk.submit("b4", {.key = "b"}), "queue_full");
  EXPECT_GT(desk.rejected.room_at, start + 60s) << "when b2 goes";
  EXPECT_LT(desk.rejected.room_at, start + 61s);
  EXPECT_EQ(desk.rejected.budget, desk.scheduler.budget(Scope::key, "b"));
  EXPECT_EQ(desk.submit("other", {.account = "idle"}), "");
  EXPECT_EQ(desk.submit("a1", {.key = "a"}), "") << "not dispatched yet, and nobody is before it";
  EXPECT_EQ(desk.pass(), "other a1");
  EXPECT_EQ(desk.submit("a2", {.key = "a"}), "");
  EXPECT_EQ(desk.submit("a3", {.key = "a"}), "queue_full") << "stands behind a2";
  EXPECT_EQ(desk.pass(), "a2");
  EXPECT_EQ(desk.submit("a3", {.key = "a"}), "queue_full") << "the account has no room";
  EXPECT_EQ(desk.rejected.budget, no_budget) << "what others wait for is not told";
  EXPECT_GT(desk.rejected.room_at, start + 60s);
  EXPECT_LT(desk.rejected.room_at, start + 61s);
  EXPECT_EQ(desk.submit("later", {.key = "a", .account = "idle", .not_before = desk.now + 1s}), "queue_full");
  EXPECT_EQ(desk.scheduler.queued(), 2u);
}

TEST(Scheduler, AFullQueueLetsNobodyPassThoseWhoStandBefore) {
  Limits limits = tokens_of(100);
  limits.requests_max = 1;
  Desk desk(limits);
  desk.submit("a", {.tokens = 10});
  EXPECT_EQ(desk.pass(), "a");
  desk.submit("b", {.key = "other", .tokens = 20});
  EXPECT_EQ(desk.pass(), "b");
  desk.submit("large", {.tokens = 80});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.submit("small", {.key = "other", .tokens = 10}), "queue_full");
  EXPECT_EQ(desk.pass(), "");
}

TEST(Scheduler, TheQueueIsBoundedInBytesButOneOfAnySizeMayWait) {
  Limits limits = tokens_of(100);
  limits.bytes_max = 1'000;
  Desk desk(limits);
  EXPECT_EQ(desk.submit("a", {.bytes = 5'000}), "");
  EXPECT_EQ(desk.submit("b", {.bytes = 1}), "bytes_full");
  EXPECT_EQ(desk.pass(), "a");
  EXPECT_EQ(desk.submit("b", {.bytes = 600}), "");
  EXPECT_EQ(desk.submit("c", {.bytes = 401}), "bytes_full");
  EXPECT_EQ(desk.submit("c", {.bytes = 400}), "");
}

TEST(Scheduler, LargerThanABudgetRunsAlone) {
  Desk desk(tokens_of(100));
  desk.submit("small", {.tokens = 10});
  desk.pass();
  desk.submit("huge", {.tokens = 250});
  desk.submit("next", {.tokens = 10});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.pass_when_woken(), "huge");
  EXPECT_LT(desk.now, start + 61s);
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::tokens).debt, 150);
  const Instant sent = desk.now;
  EXPECT_EQ(desk.pass_when_woken(), "next");
  EXPECT_GT(desk.now, sent + 120s);  // two windows are full
  EXPECT_LT(desk.now, sent + 121s);
}

TEST(Scheduler, LargerThanABudgetIsRefusedWhereThatIsTheSetting) {
  Limits limits = all_of({account({{Meter::tokens, 100}}), key("k", {{Meter::tokens, 50}})});
  limits.oversize = Oversize::refuse;
  Desk desk(limits);
  EXPECT_EQ(desk.submit("a", {.tokens = 51}), "oversize");
  EXPECT_EQ(desk.rejected.budget, desk.scheduler.budget(Scope::key, "k"));
  EXPECT_EQ(desk.rejected.meter, Meter::tokens);
  EXPECT_EQ(desk.submit("a", {.tokens = 50}), "");
  EXPECT_EQ(desk.submit("b", {.key = "other", .tokens = 101}), "oversize");
  EXPECT_EQ(desk.scheduler.queued(), 1u);
}

// --- Several budgets ---

TEST(Scheduler, EveryScopeHasToHaveRoom) {
  for (const Scope scope : {Scope::key, Scope::team, Scope::account, Scope::model}) {
    const char* const names[] = {"k", "t", "up", "m"};
    Desk desk(all_of({limited(scope, names[static_cast<int>(scope)], {{Meter::tokens, 15}})}));
    const Request request{.team = "t", .model = "m"};
    desk.submit("a", request);
    desk.submit("b", request);
    EXPECT_EQ(desk.pass(), "a") << static_cast<int>(scope);
    EXPECT_EQ(desk.pass_when_woken(), "b") << static_cast<int>(scope);
    EXPECT_GT(desk.now, start + 60s);
  }
}

TEST(Scheduler, AllAreAskedBeforeAnyIsCharged) {
  Desk desk(all_of({account({{Meter::tokens, 15}}), key("k", {{Meter::tokens, 100}})}));
  desk.submit("a", {});
  desk.submit("b", {});
  EXPECT_EQ(desk.pass(), "a");
  EXPECT_EQ(desk.view(Scope::key, "k", Meter::tokens).used, 10);
  EXPECT_EQ(desk.view(Scope::key, "k", Meter::tokens).reserved, 0);
}

TEST(Scheduler, AccountsDoNotWaitForEachOther) {
  Desk desk(all_of({account({{Meter::tokens, 15}}), account({{Meter::tokens, 100}}, "other")}));
  desk.submit("a", {});
  desk.submit("b", {});
  desk.submit("c", {.account = "other"});
  EXPECT_EQ(desk.pass(), "a c");
}

TEST(Scheduler, AKeyAtSeveralAccountsHasOneBudget) {
  Desk desk(all_of({key("k", {{Meter::tokens, 25}})}));
  for (const char* name : {"a", "b", "c", "d"}) desk.submit(name, {.account = name[0] < 'c' ? "one" : "two"});
  EXPECT_EQ(desk.pass(), "a b");
  EXPECT_EQ(desk.pass_when_woken(), "c d");
}

// --- What the upstream says ---

TEST(Scheduler, ARefusalOfTheUpstreamHoldsUpTheBudgetItNames) {
  Desk desk(all_of({}));
  Rng rng(1);
  desk.scheduler.budget(Scope::model, "m");
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::model, "m");
  report.pause_until = start + 7s;
  desk.scheduler.observe(report, desk.now, rng);
  desk.submit("a", {.model = "m"});
  desk.submit("b", {});
  EXPECT_EQ(desk.pass(), "b");
  EXPECT_EQ(desk.pass_when_woken(), "a");
  EXPECT_EQ(desk.now, start + 7s);
}

TEST(Scheduler, NewsOfAModelLetsThoseBehindItsFirstPass) {
  Desk desk(all_of({account({{Meter::tokens, 100}})}));
  desk.submit("a", {.tokens = 100});
  desk.pass();
  desk.submit("first", {.key = "k", .model = "m", .tokens = 100});
  desk.submit("second", {.key = "l", .tokens = 100});
  EXPECT_EQ(desk.pass(), "");
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::model, "m");
  report.pause_until = start + 5min;
  Rng rng;
  desk.scheduler.observe(report, desk.now, rng);
  EXPECT_EQ(desk.pass_when_woken(), "second");
  EXPECT_LT(desk.now, start + 61s);
}

TEST(Scheduler, APauseIsNotShortenedByALaterOne) {
  Desk desk(all_of({}));
  Rng rng(1);
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::account, "up");
  report.pause_until = start + 7s;
  desk.scheduler.observe(report, desk.now, rng);
  report.pause_until = start + 3s;
  desk.scheduler.observe(report, desk.now, rng);
  desk.submit("a", {});
  EXPECT_EQ(desk.pass_when_woken(), "a");
  EXPECT_EQ(desk.now, start + 7s);
}

TEST(Scheduler, APauseIsSpreadByItsJitter) {
  Desk desk(all_of({}));
  Rng rng(1);
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::account, "up");
  report.pause_until = start + 7s;
  report.jitter = 2s;
  desk.scheduler.observe(report, desk.now, rng);
  desk.submit("a", {});
  EXPECT_EQ(desk.pass_when_woken(), "a");
  EXPECT_GT(desk.now, start + 7s);
  EXPECT_LT(desk.now, start + 9s);
}

TEST(Scheduler, APauseShowsInPredictions) {
  Desk desk(all_of({}));
  Rng rng(1);
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::account, "up");
  report.pause_until = start + 7s;
  desk.scheduler.observe(report, desk.now, rng);
  EXPECT_EQ(desk.submit("a", {.patience = 5s}), "deadline");
  EXPECT_EQ(desk.rejected.room_at, start + 7s);
}

// --- Changes ---

TEST(Scheduler, AReloadKeepsWhatIsSpentAndWhoWaits) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 80});
  desk.pass();
  desk.submit("b", {.tokens = 50});
  desk.submit("c", {.tokens = 10});
  EXPECT_EQ(desk.pass(), "");
  desk.reconfigure(tokens_of(135));
  EXPECT_EQ(desk.pass(), "b");
  desk.reconfigure(tokens_of(140));
  EXPECT_EQ(desk.pass(), "c");
  EXPECT_EQ(desk.used(), 140);
}

TEST(Scheduler, UnlimitedAndBack) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 80});
  desk.submit("b", {.tokens = 80});
  EXPECT_EQ(desk.pass(), "a");
  desk.reconfigure(all_of({account({})}));
  EXPECT_EQ(desk.pass(), "b");
  desk.reconfigure(tokens_of(100));
  desk.submit("c", {.tokens = 1});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.used(), 160);
  EXPECT_EQ(desk.pass_when_woken(), "c");
  EXPECT_LT(desk.now, start + 62s);
}

TEST(Scheduler, ConcurrencyIsCountedWhileItIsUnlimited) {
  Desk desk(all_of({}));
  for (const char* name : {"a", "b", "c"}) desk.submit(name, {});
  EXPECT_EQ(desk.pass(), "a b c");
  desk.reconfigure(all_of({account({{Meter::in_flight, 2}})}));
  desk.submit("d", {});
  EXPECT_EQ(desk.pass(), "");
  desk.settle("a");
  EXPECT_EQ(desk.pass(), "");
  desk.settle("b");
  EXPECT_EQ(desk.pass(), "d");
}

TEST(Scheduler, RunningCallsKeepTheirForecastThroughAReload) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 100, .later = LaterCharge::as_produced, .output = 800});
  desk.pass();
  desk.reconfigure(tokens_of(1'000));
  EXPECT_EQ(desk.reserved(), 800);
  desk.submit("b", {.tokens = 101});
  EXPECT_EQ(desk.pass(), "");
  desk.now += 1s;
  desk.settle("a", used(100, 10));
  EXPECT_EQ(desk.reserved(), 0);
  EXPECT_EQ(desk.pass(), "b");
}

TEST(Scheduler, ABudgetAddedByAReloadCountsFromThenOn) {
  Desk desk(all_of({}));
  desk.submit("a", {.tokens = 100});
  desk.pass();
  desk.reconfigure(all_of({key("k", {{Meter::tokens, 150}}), key("new", {{Meter::requests, 1}})}));
  desk.submit("b", {.tokens = 60});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.scheduler.limits_of(desk.scheduler.budget(Scope::key, "new")).limit(Meter::requests), 1);
}

TEST(Scheduler, AStartWithoutKnowledgeWaits) {
  Desk desk(tokens_of(100));
  desk.scheduler.assume_spent(start + 10s, desk.now);
  desk.submit("a", {.tokens = 100});
  EXPECT_EQ(desk.pass_when_woken(), "a");
  EXPECT_EQ(desk.now, start + 10s);
}

TEST(Scheduler, AStartWithoutKnowledgeSparesTheCallersOwnBudgets) {
  Desk desk(all_of({account({{Meter::tokens, 100}}), key("k", {{Meter::tokens, 100}})}));
  desk.scheduler.assume_spent(start + 10s, desk.now);
  EXPECT_EQ(desk.view(Scope::key, "k", Meter::tokens).used, 0);
  EXPECT_EQ(desk.used(), 100);
}

TEST(Scheduler, ASnapshotCarriesWhatIsSpentOver) {
  Desk before(tokens_of(100));
  before.submit("a", {.tokens = 60});
  before.submit("b", {.tokens = 30});
  before.pass();
  before.now += 20s;
  before.submit("c", {.tokens = 5});
  before.dispatch();  // admitted: may be sent a moment later
  const Snapshot snapshot = before.scheduler.snapshot(before.now);

  Desk after(tokens_of(100), start + 100h);
  after.scheduler.restore(snapshot, 10s, after.now);
  EXPECT_EQ(after.used(), 95);
  EXPECT_EQ(after.view(Scope::key, "k", Meter::tokens).used, 95);
  EXPECT_EQ(after.used(Meter::requests), 3);
  after.submit("d", {.tokens = 6});
  EXPECT_EQ(after.pass_when_woken(), "d");
  EXPECT_GT(after.now, start + 100h + 30s);
  EXPECT_LT(after.now, start + 100h + 31s);
}

TEST(Scheduler, AnOldSnapshotIsWorthNothing) {
  Desk before(tokens_of(100));
  before.submit("a", {.tokens = 60});
  before.pass();
  const Snapshot snapshot = before.scheduler.snapshot(before.now);
  Desk after(tokens_of(100));
  after.scheduler.restore(snapshot, 61s, after.now);
  EXPECT_EQ(after.used(), 0);
}

// --- Views ---

TEST(Scheduler, TellsWhoWaitsInTheOrderOfTheirTurn) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100});
  desk.pass();
  desk.submit("b", {.key = "x", .tokens = 30});
  desk.submit("c", {.key = "x", .tokens = 30});
  desk.submit("d", {.key = "y", .lane = "main", .tokens = 20, .bytes = 77});
  desk.submit("e", {.not_before = start + 300s});
  desk.pass();
  const auto views = desk.scheduler.waiting(desk.now, 10);
  ASSERT_EQ(views.size(), 4u);
  std::string order;
  for (const WaitingView& view : views) order += desk.names[view.ticket.index];
  EXPECT_EQ(order.front(), 'b');
  const auto place = desk.scheduler.place_of(desk.tickets["d"], desk.now);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->sub_lane, "main");
  EXPECT_EQ(place->bytes, 77u);
  EXPECT_EQ(place->blocked_on, desk.scheduler.budget(Scope::account, "up"));
  EXPECT_EQ(place->meter, Meter::tokens);
  EXPECT_GT(place->starts_at, start + 60s);
  EXPECT_EQ(desk.scheduler.waiting(desk.now, 2).size(), 2u);
  EXPECT_FALSE(desk.scheduler.place_of(desk.tickets["a"], desk.now));
}

TEST(Scheduler, CountsPlacesFromOne) {
  Desk desk(tokens_of(100));
  desk.submit("a", {.tokens = 100});
  desk.pass();
  for (const char* name : {"b", "c", "d"}) desk.submit(name, {.tokens = 10});
  EXPECT_EQ(desk.scheduler.place_of(desk.tickets["b"], desk.now)->position, 1);
  EXPECT_EQ(desk.scheduler.place_of(desk.tickets["c"], desk.now)->position, 2);
  EXPECT_EQ(desk.scheduler.place_of(desk.tickets["d"], desk.now)->position, 3);
}

}  // namespace
}  // namespace weir::admission
