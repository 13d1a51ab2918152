// Traffic after trouble: an account that turned a call away is asked by one call first.
#include <sstream>

#include "admission/admission_support.hpp"

namespace weir::admission::test {
namespace {

class AfterTrouble : public ::testing::Test {
 protected:
  using Afterwards = UpstreamReport::Afterwards;
  void open(Scope scope, const std::string& name, Instant until, Afterwards afterwards = Afterwards::one_first) {
    UpstreamReport report;
    report.budget = desk.scheduler.budget(scope, name);
    report.pause_until = until;
    report.afterwards = afterwards;
    desk.scheduler.observe(report, desk.now, rng);
    desk.check();
  }
  void taken_in(const std::string& name) { desk.scheduler.taken_in(desk.tickets.at(name), desk.now); }
  Breaker::State state() { return desk.scheduler.breaker(desk.scheduler.budget(Scope::account, "up")).state(desk.now); }

  Desk desk{all_of({})};
  Rng rng{1};
};

TEST_F(AfterTrouble, WhereNothingWasServedOneCallGoesFirstAlsoWhenTheCapHasComeDown) {
  for (const char* name : {"a", "b"}) desk.submit(name, {});
  EXPECT_EQ(desk.pass(), "a b");
  for (int i = 0; i < 2; ++i) open(Scope::account, "up", start + 1s, Afterwards::all_if_it_serves);
  EXPECT_EQ(state(), Breaker::State::open);
}

TEST_F(AfterTrouble, WhereCallsAreServedAllGoOnWhenTheCapHasComeDown) {
  for (const char* name : {"a", "b", "c"}) desk.submit(name, {});
  EXPECT_EQ(desk.pass(), "a b c");
  taken_in("a");
  desk.now += 1ms;
  for (int i = 0; i < 2; ++i) open(Scope::account, "up", start + 1s, Afterwards::all_if_it_serves);
  EXPECT_EQ(state(), Breaker::State::closed);
  for (const char* name : {"d", "e", "f"}) desk.submit(name, {});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.pass_when_woken(), "d e f");
  // Nothing was served since.
  open(Scope::account, "up", start + 3s, Afterwards::all_if_it_serves);
  EXPECT_EQ(state(), Breaker::State::open);
}

TEST_F(AfterTrouble, OneCallGoesFirstThenTwiceAsMany) {
  open(Scope::account, "up", start + 7s);
  for (const char* name : {"a", "b", "c", "d", "e"}) desk.submit(name, {});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.pass_when_woken(), "a");
  EXPECT_EQ(desk.now, start + 7s);
  EXPECT_EQ(desk.pass(), "");
  taken_in("a");
  EXPECT_EQ(desk.pass(), "b c");
  taken_in("b");
  EXPECT_EQ(desk.pass(), "d e");
}

TEST_F(AfterTrouble, AProbeThatIsTurnedAwayHoldsUpTheOthers) {
  open(Scope::account, "up", start + 1s);
  desk.submit("a", {});
  desk.submit("b", {});
  EXPECT_EQ(desk.pass_when_woken(), "a");
  open(Scope::account, "up", start + 9s);
  desk.settle("a", {}, Ending::refused);
  EXPECT_EQ(desk.pass_when_woken(), "b");
  EXPECT_EQ(desk.now, start + 9s);
}

TEST_F(AfterTrouble, AProbeWhoseCallerLeavesIsFollowedByTheNext) {
  open(Scope::account, "up", start + 1s);
  desk.submit("a", {});
  desk.submit("b", {});
  EXPECT_EQ(desk.pass_when_woken(), "a");
  desk.settle("a", {}, Ending::lost);
  EXPECT_EQ(desk.pass(), "b");
}

TEST_F(AfterTrouble, AProbeWithoutAnAnswerHoldsUpNobodyForLong) {
  open(Scope::account, "up", start + 1s);
  desk.submit("a", {});
  desk.submit("b", {});
  EXPECT_EQ(desk.pass_when_woken(), "a");
  EXPECT_EQ(desk.pass_when_woken(), "b");
  EXPECT_EQ(desk.now, start + 4s);
}

TEST_F(AfterTrouble, TroubleWithOneModelHoldsUpThatModelOnly) {
  open(Scope::model, "m", start + 5s);
  desk.submit("a", {.key = "one", .model = "m"});
  desk.submit("b", {.key = "two", .model = "m"});
  desk.submit("c", {.key = "three"});
  EXPECT_EQ(desk.pass(), "c");
  EXPECT_EQ(desk.pass_when_woken(), "a");
  EXPECT_EQ(desk.now, start + 5s);
  taken_in("a");
  EXPECT_EQ(desk.pass(), "b");
}

TEST_F(AfterTrouble, TheBreakerClosesWhenTrafficFlows) {
  open(Scope::account, "up", start + 1s);
  EXPECT_EQ(state(), Breaker::State::open);
  for (int i = 0; i < 200; ++i) desk.submit("call" + std::to_string(i), {});
  int admitted = 0;
  for (std::string batch = desk.pass_when_woken(); !batch.empty(); batch = desk.pass()) {
    if (admitted == 0) {
      EXPECT_EQ(state(), Breaker::State::half_open);
    }
    std::istringstream names(batch);
    for (std::string name; names >> name; ++admitted) taken_in(name);
  }
  EXPECT_EQ(admitted, 200);
  EXPECT_EQ(state(), Breaker::State::closed);
}

TEST_F(AfterTrouble, ShowsInPredictions) {
  open(Scope::account, "up", start + 7s);
  EXPECT_EQ(desk.submit("a", {.patience = 5s}), "deadline");
  EXPECT_EQ(desk.rejected.room_at, start + 7s);
  Submission elsewhere;
  elsewhere.key = desk.scheduler.budget(Scope::key, "k");
  elsewhere.account = desk.scheduler.budget(Scope::account, "other");
  EXPECT_EQ(desk.scheduler.predicted_start(elsewhere, desk.now), start);
  elsewhere.account = desk.scheduler.budget(Scope::account, "up");
  EXPECT_EQ(desk.scheduler.predicted_start(elsewhere, desk.now), start + 7s);
}

}  // namespace
}  // namespace weir::admission::test
