#include "proxy/notices.hpp"

#include <gtest/gtest.h>

#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using proxy::AccountHealth;
using proxy::Cause;
using proxy::Notice;
using proxy::Notices;

const net::Instant first_look{24h};

// Two accounts and nobody in line.
class Accounts : public ::testing::Test {
 protected:
  Accounts() : proxy(made()) {}
  static proxy::Settings made() { return settings_for({upstream_at(1, "one"), upstream_at(1, "two")}); }

  // "! " before what somebody has to see to.
  std::string look(net::Instant now) {
    std::string lines;
    proxy.on_worker([&](proxy::WorkerContext& context) {
      for (const Notice& notice : notices.look(settings, health, context.shared.gate, now))
        lines += (notice.warning ? "! " : "") + notice.text + "\n";
    });
    return lines;
  }
  void fail(int times, net::Instant now) {
    for (int i = 0; i < times; ++i) health.note_failure("one", {Cause::fault, 500, "", "", ""}, settings.retry, now);
  }

  proxy::Settings settings = made();
  AccountHealth health;
  Notices notices;
  TestProxy proxy;
};

TEST_F(Accounts, NothingIsSaidWhileAllIsWell) {
  EXPECT_EQ(look(first_look), "");
  fail(1, first_look);
  EXPECT_EQ(look(first_look), "") << "one failure is tried again";
}

TEST_F(Accounts, AnAccountThatFailsIsToldOnceAndThatItIsWellAgain) {
  fail(5, first_look);
  EXPECT_EQ(look(first_look), "! upstream one failed 5 times in a row (status 500); it is left alone for 1 s\n");
  EXPECT_EQ(look(first_look + 500ms), "");
  EXPECT_EQ(look(first_look + 5s), "") << "it is being tried";
  health.note_success("one");
  EXPECT_EQ(look(first_look + 7s), "upstream one is ready again\n");
  EXPECT_EQ(look(first_look + 9s), "");
}

TEST_F(Accounts, TroubleThatLastsIsToldOnceAMinute) {
  int told = 0;
  for (auto now = first_look; now < first_look + 3min; now += 2s) {
    fail(6, now);
    told += look(now).empty() ? 0 : 1;
  }
  EXPECT_EQ(told, 3);
}

TEST_F(Accounts, TroubleThatComesAndGoesIsNotToldMoreOften) {
  int told = 0;
  for (auto now = first_look; now < first_look + 3min; now += 4s) {
    fail(6, now);
    told += look(now).empty() ? 0 : 1;
    health.note_success("one");
    told += look(now + 2s).empty() ? 0 : 1;
  }
  EXPECT_EQ(told, 6) << "each time that it is over, too";
}

TEST_F(Accounts, GraverTroubleIsToldAtOnce) {
  fail(5, first_look);
  EXPECT_NE(look(first_look), "");
  health.note_no_money("one", {Cause::quota, 402, "", "", ""}, first_look + 1s);
  EXPECT_EQ(look(first_look + 1s),
            "! upstream one has no money or quota left (status 402); it is left alone for 60 s\n");
  health.note_key_refused("one", {Cause::caller, 401, "", "", ""}, first_look + 2s);
  EXPECT_EQ(look(first_look + 2s),
            "! upstream one does not take the key that weir has for it (status 401); the next call finds out\n");
}

TEST_F(Accounts, BeingTurnedAwayForAMomentIsEverydayAndForLongIsNot) {
  health.note_refusal("two", {Cause::minute_budget, 429, "", "", ""}, first_look);
  health.note_rest("two", first_look + 4s);
  EXPECT_EQ(look(first_look), "");
  health.note_rest("two", first_look + 20s);
  EXPECT_EQ(look(first_look), "upstream two turned calls away once (status 429); it is left alone for 20 s\n");
}

TEST(Queue, CallsThatWaitForLongAreToldWithTheReasonAndWhenTheyDoNotAnyMore) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  auto& kept = upstream.next_connection();
  for (const char* answer : {R"({"id":"second"})", R"({"id":"third"})"})
    kept.expect_request().send(json_answer(answer));
  proxy::Settings settings = settings_for({upstream_at(upstream.port(), "ark")});
  settings.upstreams[0].limits.concurrency = 1;
  TestProxy proxy(settings);
  Notices notices;
  AccountHealth health;
  std::size_t waiting = 0;
  const auto look = [&](std::chrono::seconds later) {
    std::string lines;
    proxy.on_worker([&](proxy::WorkerContext& context) {
      waiting = context.shared.gate.quietly([](admission::Scheduler& scheduler) { return scheduler.queued(); });
      for (const Notice& notice : notices.look(settings, health, context.shared.gate, net::Clock::now() + later))
        lines += notice.text + "\n";
    });
    return lines;
  };
  RawClient first(proxy.port()), second(proxy.port()), third(proxy.port());
  first.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  first.read_until(chat_event("a"));
  for (RawClient* each : {&second, &third}) each->send(post("/v1/chat/completions", R"({"model":"m","messages":[]})"));
  EXPECT_TRUE(wait_for([&] { return look(0s).empty() && waiting == 2; }));
  const std::string told = look(6s);
  EXPECT_EQ(told.substr(0, told.find("it can start")),
            "2 calls wait; the first of them, of 'open', waits for requests in flight of the upstream 'ark' (1 of 1 "
            "taken); ");
  EXPECT_EQ(look(30s), "");
  EXPECT_EQ(look(70s).substr(0, 13), "2 calls wait;");
  first.close();
  EXPECT_EQ(second.read_response().status(), 200);
  EXPECT_EQ(third.read_response().status(), 200);
  EXPECT_EQ(look(80s), "no call waits any more\n");
}

}  // namespace
}  // namespace weir::test
