#include "proxy/upstream_answers.hpp"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

const net::Instant answered_at{1h};

AccountHealth::State failing(net::Instant until) {
  AccountHealth::State state;
  state.failures = 3;
  state.rests_until = until;
  state.last = {Cause::fault, 502, "", "bad_gateway", "upstream connect error"};
  return state;
}

TEST(UpstreamState, IsClosedWithoutTrouble) {
  EXPECT_EQ(breaker_state({}, answered_at), "closed");
  EXPECT_EQ(state_in_words("ark-1", {}, answered_at), "ark-1 is ready.");
}

TEST(UpstreamState, IsOpenWhileItRestsAndHalfOpenAfterwards) {
  EXPECT_EQ(breaker_state(failing(answered_at + 8s), answered_at), "open");
  EXPECT_EQ(breaker_state(failing(answered_at), answered_at), "half-open");
  EXPECT_EQ(
      state_in_words("ark-1", failing(answered_at + 8s), answered_at),
      "ark-1 failed 3 times in a row (status 502, bad_gateway: upstream connect error); it is left alone for 8 s.");
  EXPECT_EQ(
      state_in_words("ark-1", failing(answered_at), answered_at),
      "ark-1 failed 3 times in a row (status 502, bad_gateway: upstream connect error); the next call finds out.");
}

TEST(UpstreamState, TellsRefusalsAndMoneyApart) {
  AccountHealth::State state;
  state.refusals = 2;
  state.rests_until = answered_at + 1s;
  state.last = {Cause::fault, 429, "", "", ""};
  EXPECT_EQ(state_in_words("a", state, answered_at),
            "a turned calls away 2 times in a row (status 429); it is left alone for 1 s.");
  state.without_money = true;
  EXPECT_EQ(state_in_words("a", state, answered_at),
            "a has no money or quota left (status 429); it is left alone for 1 s.");
}

TEST(UpstreamState, SaysThatAKeyIsRefusedWhileCallsGoOn) {
  AccountHealth::State state;
  state.refuses_key = true;
  state.last = {Cause::caller, 401, "", "invalid_api_key", ""};
  EXPECT_EQ(breaker_state(state, answered_at), "half-open");
  EXPECT_EQ(state_in_words("a", state, answered_at),
            "a does not take the key that weir has for it (status 401, invalid_api_key); the next call finds out.");
}

TEST(UpstreamList, HasEveryAccountInOrder) {
  Settings settings;
  settings.upstreams.resize(2);
  settings.upstreams[0].name = "one";
  settings.upstreams[0].authority = "one.test";
  settings.upstreams[0].tls = true;
  settings.upstreams[1].name = "two";
  settings.upstreams[1].tls = false;
  settings.upstreams[1].authority = "two.test:8000";
  AccountHealth health;
  EXPECT_EQ(upstreams_json(settings, health, answered_at),
            R"({"schema":1,"upstreams":[{"name":"one","address":"https://one.test","state":"closed",)"
            R"("state_words":"one is ready."},{"name":"two","address":"http://two.test:8000","state":"closed",)"
            R"("state_words":"two is ready."}]})");
}

TEST(UpstreamList, NamesTheAccountsThatCallersBroughtWhileTheyAreInTrouble) {
  Settings settings;
  settings.upstreams.resize(1);
  settings.upstreams[0].name = "one";
  settings.upstreams[0].authority = "one.test";
  settings.upstreams[0].tls = true;
  AccountHealth health;
  health.note_refusal("one@key-1a2b3c4d", {Cause::minute_budget, 429, "", "rate_limited", "Slow down."}, answered_at);
  health.note_rest("one@key-1a2b3c4d", answered_at + 2s);
  EXPECT_EQ(
      upstreams_json(settings, health, answered_at),
      R"({"schema":1,"upstreams":[{"name":"one","address":"https://one.test","state":"closed",)"
      R"("state_words":"one is ready."},{"name":"one@key-1a2b3c4d","address":"https://one.test","state":"open",)"
      R"("state_words":"one@key-1a2b3c4d turned calls away once (status 429, rate_limited: )"
      R"(Slow down); it is left alone for 2 s.","refusals":1,"failures":0,"without_money":false,"refuses_key":false,)"
      R"("last":{"status":429,"cause":"minute-budget","code":"rate_limited","message":"Slow down."},)"
      R"("rests_for_ms":2000}]})");
}

TEST(UpstreamList, NamesTheModelsOfAnAccountThatHaveNothingLeft) {
  Settings settings;
  settings.upstreams.resize(1);
  settings.upstreams[0].name = "one";
  AccountHealth health;
  health.note_no_money("one/m", {Cause::quota, 429, "", "", ""}, answered_at);
  health.note_no_money("one/batch", {Cause::quota, 429, "", "", ""}, answered_at);
  health.note_no_money("one2/m", {Cause::quota, 429, "", "", ""}, answered_at);
  const std::string list = upstreams_json(settings, health, answered_at);
  EXPECT_NE(list.find(R"("state_words":"one is ready.")"), std::string::npos) << list;
  EXPECT_NE(list.find(R"("state_words":"one/m has no money or quota left (status 429); it is left alone for 60 s.")"),
            std::string::npos)
      << list;
  EXPECT_NE(list.find(R"("name":"one/batch")"), std::string::npos) << list;
  EXPECT_EQ(list.find("one2"), std::string::npos) << list;
}

}  // namespace
}  // namespace weir::proxy
