// Riding out an upstream's trouble, byte by byte: what is tried again and when, what the account is spared, and what
// the caller hears in the end.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

std::string slow_down(std::string_view headers = {}, std::string_view code = "rate_limit_exceeded") {
  return answer_with(
      "429 Too Many Requests\r\nContent-Type: application/json\r\n" + std::string(headers),
      R"({"error":{"message":"Slow down","type":"requests","param":null,"code":")" + std::string(code) + "\"}}");
}
class Recovery : public ::testing::Test {
 protected:
  // Retries and breakers on, at compressed times.
  proxy::Settings settings() {
    proxy::Settings made = settings_for({upstream_at(upstream.port())});
    made.retry.enabled = true;
    made.retry.pause_min = 2ms;
    made.retry.pause_max = 5ms;
    made.breaker_enabled = true;
    proxy::ErrorRule quota;
    quota.code = "insufficient_quota";
    quota.cause = proxy::Cause::quota;
    proxy::ErrorRule busy;
    busy.status = 429;
    busy.cause = proxy::Cause::minute_budget;
    made.upstreams[0].error_rules = {quota, busy};
    return made;
  }
  void always(std::string answer) {
    upstream.answer_always([answer](const HttpMessage&) { return answer; });
  }
  std::size_t calls() { return upstream.requests().size(); }

  ScriptedUpstream upstream;
};

HttpMessage answer_to_call(TestProxy& proxy, std::string_view headers = {}, const std::string& body = chat_body) {
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", body, headers));
  return client.read_response();
}

std::string upstreams_of(TestProxy& proxy) {
  RawClient operators(proxy.operators_port());
  operators.send(get("/weir/upstreams"));
  return operators.read_response().body;
}

TEST_F(Recovery, TheBodyOfAnotherTryIsChangedInTheSamePlaces) {
  upstream.expect_request().send(broken_answer);
  upstream.expect_request().send(stream_head() + chunk(chat_stream()) + last_chunk());
  proxy::Settings made = settings();
  made.upstreams[0].asks_usage = true;
  TestProxy proxy(std::move(made));
  EXPECT_EQ(answer_to_call(proxy, {}, stream_body).status(), 200);
  ASSERT_EQ(calls(), 2u);
  const auto requests = upstream.requests();
  EXPECT_NE(requests[0].body.find("include_usage"), std::string::npos) << requests[0].body;
  EXPECT_EQ(requests[1].body, requests[0].body);
}

TEST_F(Recovery, OperatorsSeeWhatIsLeftOfTheRetryBudget) {
  upstream.expect_request().send(broken_answer).expect_request().send(good_answer);
  TestProxy proxy(settings());
  EXPECT_NE(metrics_of(proxy).find("weir_upstream_retry_budget{upstream=\"up\"} 10\n"), std::string::npos);
  EXPECT_EQ(answer_to_call(proxy).status(), 200);
  // The first try adds a tenth, its repetition takes one.
  EXPECT_NE(metrics_of(proxy).find("weir_upstream_retry_budget{upstream=\"up\"} 9.1\n"), std::string::npos);
}

TEST_F(Recovery, ACallTurnedAwayIsTriedAgainAfterTheHintAndNotBefore) {
  upstream.expect_request().send(slow_down("retry-after-ms: 80\r\n")).expect_request().send(good_answer);
  TestProxy proxy(settings());
  const auto began = std::chrono::steady_clock::now();
  const HttpMessage answer = answer_to_call(proxy);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 80ms);
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, R"({"id":"x"})");
  EXPECT_EQ(answer.field("x-weir-attempts"), "2");
  EXPECT_EQ(answer.count("x-should-retry"), 0u);
  EXPECT_EQ(proxy.record().attempts, 2u);
}

TEST_F(Recovery, TheSameBytesGoOutAgain) {
  upstream.expect_request().send(broken_answer).expect_request().reset();
  upstream.next_connection().expect_request().send(good_answer);
  TestProxy proxy(settings());
  EXPECT_EQ(answer_to_call(proxy).status(), 200);
  ASSERT_EQ(calls(), 3u);
  EXPECT_EQ(upstream.requests().at(0).body, chat_body);
  EXPECT_EQ(upstream.requests().at(1).body, chat_body);
  EXPECT_EQ(upstream.requests().at(2).body, chat_body);
}

// A page of a gateway's may be large, and says no more than a small one.
TEST_F(Recovery, AnErrorIsTriedAgainHoweverLargeItIs) {
  for (const char* status : {"503 Service Unavailable", "500 Internal Server Error"}) {
    const std::size_t before = calls();
    const std::string page = "HTTP/1.1 " + std::string(status) +
                             "\r\nContent-Length: 300000\r\nretry-after-ms: 2\r\n\r\n<html>" + std::string(70'000, 'x');
    upstream.next_connection().expect_request().send(page).expect_end();
    upstream.next_connection().expect_request().send(good_answer).expect_end();
    TestProxy proxy(settings());
    const HttpMessage answer = answer_to_call(proxy);
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.field("x-weir-attempts"), "2");
    EXPECT_EQ(calls(), before + 2);
  }
}

TEST_F(Recovery, AStreamThatOnlyKeptAliveIsTriedAgainAsIfNothingHadHappened) {
  upstream.expect_request().send(stream_head() + chunk(": keep-alive\n\n")).reset();
  upstream.next_connection().expect_request().send(stream_head() + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings());
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, chat_stream());
}

TEST_F(Recovery, ARoleWithoutAWordIsNoContent) {
  const std::string role =
      "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
      "\"assistant\",\"content\":\"\"}}]}\n\n";
  upstream.expect_request().send(stream_head() + chunk(role)).reset();
  upstream.next_connection().expect_request().send(stream_head() + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings());
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  EXPECT_EQ(client.read_response().body, chat_stream());
}

TEST_F(Recovery, AfterAWordThereIsNoOtherTry) {
  upstream.expect_request().send(stream_head() + chunk(chat_event("Hel"))).reset();
  TestProxy proxy(settings());
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.body.starts_with(chat_event("Hel") + "data: {\"error\":"));
  EXPECT_EQ(calls(), 1u);
}

TEST_F(Recovery, AnUpstreamThatTurnsAwayEverythingIsAskedEightTimesAndTheSdkNotToComeBack) {
  always(slow_down("x-should-retry: true\r\n"));
  TestProxy proxy(settings());
  const HttpMessage answer = answer_to_call(proxy);
  EXPECT_EQ(answer.status(), 429);
  EXPECT_NE(answer.body.find("Slow down"), std::string::npos);
  EXPECT_EQ(answer.count("x-weir-error"), 0u);
  EXPECT_EQ(answer.count("x-should-retry"), 1u);
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_EQ(calls(), 8u);
}

TEST_F(Recovery, AnUpstreamThatFailsIsAskedFourTimes) {
  always(broken_answer);
  TestProxy proxy(settings());
  const HttpMessage answer = answer_to_call(proxy);
  EXPECT_EQ(answer.status(), 500);
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_EQ(calls(), 4u);
}

TEST_F(Recovery, ACallerWithoutTimeHearsTheUpstreamItself) {
  always(slow_down("retry-after: 7\r\n"));
  TestProxy proxy(settings());
  const HttpMessage answer = answer_to_call(proxy, "x-weir-max-wait: 0\r\n");
  EXPECT_EQ(answer.status(), 429);
  EXPECT_EQ(answer.field("retry-after"), "7");
  EXPECT_EQ(answer.count("x-should-retry"), 0u);
  EXPECT_EQ(calls(), 1u);
}

TEST_F(Recovery, WithoutRetriesTheFirstErrorPassesUntouched) {
  always(broken_answer);
  proxy::Settings made = settings();
  made.retry.enabled = false;
  TestProxy proxy(made);
  const HttpMessage answer = answer_to_call(proxy);
  EXPECT_EQ(answer.status(), 500);
  EXPECT_EQ(answer.count("x-should-retry"), 0u);
  EXPECT_EQ(calls(), 1u);
}

TEST_F(Recovery, OthersWaitOutAPauseInsteadOfKnocking) {
  upstream.expect_request()
      .send(slow_down("retry-after-ms: 150\r\n"))
      .expect_request()
      .send(good_answer)
      .expect_request()
      .send(good_answer);
  TestProxy proxy(settings());
  RawClient first(proxy.port()), second(proxy.port());
  first.send(post("/v1/chat/completions", chat_body));
  ASSERT_TRUE(wait_for([&] { return calls() == 1; }));
  ASSERT_TRUE(wait_for([&] { return proxy.wait_idle_upstreams(1); }));
  const auto paused = std::chrono::steady_clock::now();
  second.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(second.read_response().field("x-weir-attempts"), "1");
  EXPECT_GE(std::chrono::steady_clock::now() - paused, 100ms);
  EXPECT_EQ(first.read_response().field("x-weir-attempts"), "2");
}

TEST_F(Recovery, AnAccountWithoutMoneyIsAskedOnce) {
  always(slow_down({}, "insufficient_quota"));
  TestProxy proxy(settings());
  const HttpMessage first = answer_to_call(proxy);
  EXPECT_EQ(first.status(), 429);
  EXPECT_EQ(first.field("x-should-retry"), "false");
  EXPECT_EQ(first.count("x-weir-error"), 0u);
  const HttpMessage second = answer_to_call(proxy);
  EXPECT_EQ(second.status(), 429);
  EXPECT_EQ(code_of(second), "insufficient_quota");
  EXPECT_EQ(second.field("x-weir-error"), "insufficient_quota");
  EXPECT_EQ(second.field("x-should-retry"), "false");
  EXPECT_EQ(calls(), 1u);
}

// The error of a stream goes out as it came, which is no sign that the account serves.
TEST_F(Recovery, AnAccountThatSaysInAStreamThatItIsWithoutMoneyIsAskedOnce) {
  const std::string error = "data: {\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}\n\n";
  always(stream_head() + chunk(error) + last_chunk());
  TestProxy proxy(settings());
  const HttpMessage first = answer_to_call(proxy, {}, stream_body);
  EXPECT_EQ(first.body, error);
  EXPECT_EQ(first.field("x-should-retry"), "false");
  const HttpMessage second = answer_to_call(proxy, "x-weir-max-wait: 0.1\r\n", stream_body);
  EXPECT_EQ(second.status(), 502) << "weir's own answer, which must not look like one of the upstream";
  EXPECT_EQ(code_of(second), "insufficient_quota");
  EXPECT_EQ(second.field("x-weir-error"), "insufficient_quota");
  EXPECT_EQ(calls(), 1u);
}

TEST_F(Recovery, AQuotaOfOneModelStopsNoOther) {
  upstream.expect_request().send(slow_down({}, "insufficient_quota")).expect_request().send(good_answer);
  proxy::Settings made = settings();
  made.upstreams[0].error_rules[0].scope = "model";
  TestProxy proxy(made);
  EXPECT_EQ(answer_to_call(proxy).status(), 429);
  const HttpMessage told = answer_to_call(proxy);
  EXPECT_EQ(told.field("x-weir-error"), "insufficient_quota");
  EXPECT_EQ(answer_to_call(proxy, {}, R"({"model":"another","messages":[]})").status(), 200);
  EXPECT_EQ(calls(), 2u);
}

TEST_F(Recovery, AnAccountThatFailsCallAfterCallIsGivenARest) {
  always(broken_answer);
  proxy::Settings made = settings();
  made.retry.enabled = false;
  made.retry.pause_max = proxy::Duration(60'000);
  TestProxy proxy(made);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer_to_call(proxy).status(), 500);
  const HttpMessage spared = answer_to_call(proxy, "x-weir-max-wait: 0.1\r\n");
  EXPECT_EQ(spared.status(), 503);
  EXPECT_EQ(code_of(spared), "weir_no_upstream");
  EXPECT_EQ(spared.field("retry-after"), "1");
  EXPECT_NE(spared.body.find("failed 5 times in a row, last with: status 500. It is tried again in "),
            std::string::npos);
  EXPECT_EQ(calls(), 5u);
  // The next one waits for the end of the rest, and finds the account well.
  always(good_answer);
  EXPECT_EQ(answer_to_call(proxy).status(), 200);
  EXPECT_EQ(answer_to_call(proxy, "x-weir-max-wait: 0\r\n").status(), 200);
}

TEST_F(Recovery, AnAccountThatCannotBeReachedSaidNoStatus) {
  proxy::Settings made = settings();
  made.upstreams[0].port = 9;
  made.retry.enabled = false;
  made.retry.pause_max = proxy::Duration(60'000);
  TestProxy proxy(made);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer_to_call(proxy).status(), 502);
  const std::string upstreams = upstreams_of(proxy);
  EXPECT_NE(upstreams.find("up failed 5 times in a row (no answer, weir_upstream_connect: Upstream 'up': "),
            std::string::npos)
      << upstreams;
  EXPECT_NE(upstreams.find(R"("last":{"status":0,)"), std::string::npos) << upstreams;
}

// Providers quote the account's key, and what was asked.
TEST_F(Recovery, WhatAnUpstreamWritesAboutOneCallNobodyElseReads) {
  struct Case {
    const char* status;
    const char* code;
    int calls;
  };
  for (const Case& c :
       {Case{"402 Payment Required", "insufficient_quota", 1}, Case{"402 Payment Required", "insufficient_quota", 5},
        Case{"500 Internal Server Error", "sk-of-the-account", 5},
        Case{"429 Too Many Requests", "x of my diagnosis", 1}}) {
    const std::string error = R"({"error":{"message":"my diagnosis, for sk-of-the-account","code":")" +
                              std::string(c.code) + R"(","type":"about my diagnosis"}})";
    always(answer_with(std::string(c.status) + "\r\nContent-Type: application/json\r\n", error));
    proxy::Settings made = settings();
    made.retry.pause_max = proxy::Duration(60'000);
    made.retry.enabled = false;
    TestProxy proxy(made);
    for (int i = 0; i < c.calls; ++i) answer_to_call(proxy);
    const HttpMessage told = answer_to_call(proxy, "x-weir-max-wait: 0.1\r\n");
    RawClient operators(proxy.operators_port());
    operators.send(get("/readyz"));
    std::string read = upstreams_of(proxy) + operators.read_response().body + told.body;
    for (const auto& [name, value] : told.fields) read += value;
    EXPECT_NE(told.field("x-weir-error"), "") << c.status;
    EXPECT_EQ(read.find("diagnosis"), std::string::npos) << read;
    EXPECT_EQ(read.find("sk-of"), std::string::npos) << read;
  }
}

TEST_F(Recovery, AnAccountThatFailsInsideItsStreamsIsGivenARestToo) {
  always(stream_head() + chunk("data: {\"error\":{\"message\":\"broken\"}}\n\n") + last_chunk());
  proxy::Settings made = settings();
  made.retry.enabled = false;
  made.retry.pause_max = proxy::Duration(60'000);
  TestProxy proxy(made);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer_to_call(proxy, {}, stream_body).status(), 200);
  EXPECT_EQ(code_of(answer_to_call(proxy, "x-weir-max-wait: 0.1\r\n", stream_body)), "weir_no_upstream");
  EXPECT_EQ(calls(), 5u);
}

TEST_F(Recovery, AnAccountThatFailsIsNotWaitedForLongerThanTheSettingSays) {
  always(broken_answer);
  proxy::Settings made = settings();
  made.retry.enabled = false;
  made.retry.pause_max = proxy::Duration(60'000);
  made.breaker_wait_max = proxy::Duration(20);
  TestProxy proxy(made);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer_to_call(proxy).status(), 500);
  EXPECT_EQ(code_of(answer_to_call(proxy)), "weir_no_upstream");
  EXPECT_EQ(calls(), 5u);
}

TEST_F(Recovery, AnAccountThatFailedOnceAndThenTurnsAwayIsWaitedForAsLongAsItSays) {
  upstream.expect_request().send(broken_answer);
  upstream.expect_request().send(slow_down("retry-after-ms: 300\r\n"));
  upstream.expect_request().send(good_answer);
  proxy::Settings made = settings();
  made.breaker_wait_max = proxy::Duration(20);
  TestProxy proxy(made);
  EXPECT_EQ(answer_to_call(proxy).status(), 200);
  EXPECT_EQ(calls(), 3u);
}

TEST_F(Recovery, AHintOfADayKeepsTheAccountAloneForTenMinutesAtMost) {
  for (const char* hint : {"retry-after: 100000\r\n", "retry-after: Thu, 31 Dec 2099 23:59:59 GMT\r\n"}) {
    always(slow_down(hint));
    proxy::Settings made = settings();
    made.breaker_wait_max = proxy::Duration(20);
    TestProxy proxy(made);
    const std::size_t before = calls();
    EXPECT_EQ(answer_to_call(proxy).status(), 429);
    const HttpMessage told = answer_to_call(proxy);
    EXPECT_EQ(told.status(), 429);
    EXPECT_EQ(code_of(told), "weir_deadline");
    EXPECT_EQ(told.field("x-should-retry"), "false");
    const int wait = std::stoi(told.field("retry-after"));
    EXPECT_GT(wait, 590);
    EXPECT_LE(wait, 600);
    EXPECT_NE(
        told.body.find("which is too short: it waits out a pause of the upstream 'up' (the upstream asked for one of "),
        std::string::npos)
        << told.body;
    EXPECT_EQ(calls(), before + 1);
    const std::string accounts = upstreams_of(proxy);
    const std::string_view rest = R"("rests_for_ms":)";
    ASSERT_NE(accounts.find(rest), std::string::npos) << accounts;
    EXPECT_LE(std::stoi(accounts.substr(accounts.find(rest) + rest.size())), 600'000);
  }
}

TEST_F(Recovery, AHintOfADayForOneModelStopsNoOther) {
  upstream.expect_request().send(slow_down("retry-after: 100000\r\n")).expect_request().send(good_answer);
  proxy::Settings made = settings();
  made.breaker_wait_max = proxy::Duration(20);
  made.upstreams[0].error_rules[1].scope = "model";
  TestProxy proxy(made);
  EXPECT_EQ(answer_to_call(proxy).status(), 429);
  EXPECT_EQ(answer_to_call(proxy, {}, R"({"model":"another","messages":[]})").status(), 200);
  const HttpMessage told = answer_to_call(proxy);
  EXPECT_EQ(told.field("x-should-retry"), "false");
  EXPECT_NE(told.body.find("waits out a pause of the model 'up/m' (the upstream asked for one of 24 h)"),
            std::string::npos)
      << told.body;
  EXPECT_EQ(calls(), 2u);
}

TEST_F(Recovery, WithoutRetriesAndBreakersNobodyIsHeldBack) {
  upstream.expect_request().send(slow_down("retry-after: 60\r\n")).expect_request().send(good_answer);
  proxy::Settings made = settings();
  made.retry.enabled = false;
  made.breaker_enabled = false;
  TestProxy proxy(made);
  EXPECT_EQ(answer_to_call(proxy).status(), 429);
  EXPECT_EQ(answer_to_call(proxy, "x-weir-max-wait: 0\r\n").status(), 200);
}

TEST_F(Recovery, ACallersOwnFaultSaysNothingAboutTheAccount) {
  always(answer_with("400 Bad Request\r\nContent-Type: application/json\r\n", R"({"error":{"message":"your fault"}})"));
  TestProxy proxy(settings());
  for (int i = 0; i < 12; ++i) EXPECT_EQ(answer_to_call(proxy, "x-weir-max-wait: 0\r\n").status(), 400);
  EXPECT_EQ(calls(), 12u);
}

TEST_F(Recovery, AClockThatRanOutIsNotStartedAgain) {
  upstream.expect_request();
  proxy::Settings made = settings();
  made.upstreams[0].timeouts.first_byte = proxy::Duration(50);
  TestProxy proxy(made);
  const HttpMessage answer = answer_to_call(proxy);
  EXPECT_EQ(answer.status(), 504);
  EXPECT_EQ(code_of(answer), "weir_first_byte_timeout");
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_EQ(calls(), 1u);
}

TEST_F(Recovery, ACallWithSideEffectsThatMayHaveBeenTakenInIsNotRepeated) {
  always(broken_answer);
  TestProxy proxy(settings());
  RawClient client(proxy.port());
  client.send(post("/v1/responses", R"({"model":"m","input":"x"})"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 500);
  EXPECT_EQ(answer.count("x-should-retry"), 0u);
  EXPECT_EQ(calls(), 1u);
}

TEST_F(Recovery, ACallWithSideEffectsIsNotSentAgainWhenAKeptConnectionBreaks) {
  const std::string with_side_effects = R"({"model":"m","input":"x"})";
  upstream.expect_request().send(good_answer).expect_request().reset();
  TestProxy proxy(settings());
  RawClient client(proxy.port());
  client.send(post("/v1/responses", with_side_effects));
  EXPECT_EQ(client.read_response().status(), 200);
  ASSERT_TRUE(proxy.wait_idle_upstreams(1));
  client.send(post("/v1/responses", with_side_effects));
  EXPECT_EQ(client.read_response().status(), 502);
  EXPECT_EQ(calls(), 2u);
  EXPECT_EQ(upstream.connections(), 1u) << "a new one for each call is too dear";
}

TEST_F(Recovery, NorIsAnyCallWhereNothingMayBeSentTwice) {
  upstream.expect_request().send(good_answer).expect_request().reset();
  proxy::Settings made = settings();
  made.retry.after_send = false;
  TestProxy proxy(made);
  EXPECT_EQ(answer_to_call(proxy).status(), 200);
  ASSERT_TRUE(proxy.wait_idle_upstreams(1));
  EXPECT_EQ(answer_to_call(proxy).status(), 502);
  EXPECT_EQ(calls(), 2u);
  EXPECT_EQ(upstream.connections(), 1u);
}

// The account that fails everything, with connections that break when they are used again.
TEST_F(Recovery, WhatBreaksOnKeptConnectionsCountsAgainstTheRetryBudget) {
  constexpr std::size_t asked = 40;
  for (std::size_t i = 0; i < 3 * asked; ++i) {
    ScriptedUpstream::Script& script = i == 0 ? upstream.script() : upstream.next_connection();
    script.expect_request().send(broken_answer).expect_request().reset();
  }
  upstream.abandon();
  proxy::Settings made = settings();
  made.breaker_enabled = false;
  TestProxy proxy(made);
  for (std::size_t i = 0; i < asked; ++i) EXPECT_GE(answer_to_call(proxy).status(), 500);
  EXPECT_LE(calls(), asked + asked / 10 + 10);
  EXPECT_GE(calls(), asked + 10);
}

TEST_F(Recovery, ACallMeetsOneConnectionThatBreaksWhenItIsUsedAgainAndTriesNoMoreThanOthers) {
  constexpr std::size_t kept = 6;
  for (std::size_t i = 0; i < kept; ++i) {
    ScriptedUpstream::Script& script = i == 0 ? upstream.script() : upstream.next_connection();
    script.expect_request().hold().send(good_answer).expect_request().reset();
  }
  always(broken_answer);
  upstream.abandon();
  TestProxy proxy(settings());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kept; ++i) {
    clients.push_back(std::make_unique<RawClient>(proxy.port()));
    clients.back()->send(post("/v1/chat/completions", chat_body));
  }
  ASSERT_TRUE(upstream.wait_requests(kept));
  for (std::size_t i = 0; i < kept; ++i) upstream.release();
  for (const auto& client : clients) EXPECT_EQ(client->read_response().status(), 200);
  ASSERT_TRUE(proxy.wait_idle_upstreams(kept));
  const HttpMessage answer = answer_to_call(proxy);
  EXPECT_EQ(answer.status(), 500);
  EXPECT_EQ(answer.field("x-weir-attempts"), "4");
  EXPECT_EQ(calls(), kept + 4);
  ASSERT_TRUE(wait_for([&] { return proxy.records().size() == kept + 1; }));
  const auto tries = proxy.records().back().tries;
  ASSERT_EQ(tries.size(), 4u);
  EXPECT_TRUE(tries[0].unanswered);
  EXPECT_EQ(tries[0].cause, "weir_upstream_reset");
  EXPECT_FALSE(tries[1].unanswered);
  const std::string metrics = metrics_of(proxy);
  EXPECT_NE(metrics.find("weir_upstream_retries_total{upstream=\"up\"} 3\n"), std::string::npos);
  EXPECT_NE(metrics.find("weir_upstream_possible_double_charges_total{upstream=\"up\"} 1\n"), std::string::npos);
}

// Closed behind each answer, without a word: the end is there before the next call is.
TEST_F(Recovery, WithoutARetryLeftAKeptConnectionIsLookedAtFirst) {
  TestProxy proxy(settings());
  for (int i = 0; i < 30; ++i) {
    ScriptedUpstream::Script& script = i == 0 ? upstream.script() : upstream.next_connection();
    script.expect_request().send(good_answer).close();
    EXPECT_EQ(answer_to_call(proxy).status(), 200) << i;
    ASSERT_TRUE(upstream.wait_done());
  }
}

TEST_F(Recovery, ACallUnreadThatChangesSomethingIsNotSentAgainWhenAKeptConnectionBreaks) {
  const auto cancel = [](std::string_view method) {
    return std::string(method) + " /v1/batches/b/cancel HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
  };
  upstream.expect_request().send(good_answer).expect_request().reset();
  upstream.next_connection().expect_request().send(good_answer).expect_request().reset();
  upstream.next_connection().expect_request().send(good_answer);
  TestProxy proxy(settings());
  RawClient client(proxy.port());
  client.send(get("/v1/files"));
  EXPECT_EQ(client.read_response().status(), 200);
  ASSERT_TRUE(proxy.wait_idle_upstreams(1));
  client.send(cancel("POST"));
  EXPECT_EQ(client.read_response().status(), 502);
  EXPECT_EQ(calls(), 2u);
  client.send(get("/v1/files"));
  EXPECT_EQ(client.read_response().status(), 200);
  ASSERT_TRUE(proxy.wait_idle_upstreams(1));
  client.send(get("/v1/files"));
  EXPECT_EQ(client.read_response().field("x-weir-attempts"), "2");
}

TEST_F(Recovery, ARecordSaysWhichTriesMayHaveBeenBilled) {
  upstream.expect_request().reset();
  upstream.next_connection()
      .expect_request()
      .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n")
      .reset();
  upstream.next_connection().expect_request().send(broken_answer).expect_request().send(good_answer);
  TestProxy proxy(settings());
  EXPECT_EQ(answer_to_call(proxy).status(), 200);
  const auto tries = proxy.record().tries;
  ASSERT_EQ(tries.size(), 4u);
  EXPECT_TRUE(tries[0].unanswered);
  EXPECT_TRUE(tries[1].unanswered);
  EXPECT_FALSE(tries[2].unanswered);  // answered, with a failure
  EXPECT_EQ(tries[2].cause, "fault");
  EXPECT_FALSE(tries[3].unanswered);
  EXPECT_EQ(tries[3].cause, "");
}

TEST_F(Recovery, AClientThatLeavesWhileItsCallWaitsForAnotherTryIsForgotten) {
  upstream.expect_request().send(slow_down("retry-after-ms: 60000\r\n"));
  TestProxy proxy(settings());
  {
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", chat_body));
    ASSERT_TRUE(wait_for([&] { return calls() == 1; }));
    ASSERT_TRUE(proxy.wait_idle_upstreams(1));
  }
  EXPECT_TRUE(proxy.wait_sessions(0));
  EXPECT_EQ(proxy.record().outcome, "client_left");
  EXPECT_EQ(calls(), 1u);
}

// White space has gone out before the JSON, and with it status 200.
class AfterWhiteSpace : public Recovery {
 protected:
  proxy::Settings talkative() {
    proxy::Settings made = settings();
    made.heartbeat.json_after = made.heartbeat.json_every = proxy::Duration(20);
    made.retry.enabled = false;
    return made;
  }
  void break_off_a_call(const TestProxy& proxy) {
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", chat_body));
    client.read_until("1\r\n \r\n");
    upstream.release();
    EXPECT_TRUE(client.sees_reset());
  }
};

TEST_F(AfterWhiteSpace, AnErrorIsABrokenAnswerAndToldToWhoeverAsksAgain) {
  upstream.expect_request().hold().send(broken_answer);
  TestProxy proxy(talkative());
  break_off_a_call(proxy);
  const HttpMessage again = answer_to_call(proxy);
  EXPECT_EQ(again.status(), 500);
  EXPECT_NE(again.body.find("broken"), std::string::npos);
  EXPECT_EQ(again.field("x-should-retry"), "false");
  EXPECT_EQ(calls(), 1u);
}

TEST_F(AfterWhiteSpace, AnErrorWithStatus200IsNoAnswerEither) {
  upstream.expect_request().hold().send(json_answer(R"({"error":{"message":"no luck","code":null}})"));
  TestProxy proxy(talkative());
  break_off_a_call(proxy);
  EXPECT_EQ(answer_to_call(proxy).status(), 502);
}

TEST_F(AfterWhiteSpace, AnotherRequestIsAskedAfresh) {
  upstream.expect_request().hold().send(broken_answer).expect_request().send(good_answer);
  TestProxy proxy(talkative());
  break_off_a_call(proxy);
  EXPECT_EQ(answer_to_call(proxy, {}, R"({"model":"m","messages":[{"role":"user","content":"?"}]})").status(), 200);
}

TEST_F(AfterWhiteSpace, AnAnswerIsWhole) {
  upstream.expect_request().hold().send(good_answer);
  TestProxy proxy(talkative());
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  const std::string begun = client.read_until("1\r\n \r\n");
  EXPECT_NE(begun.find("x-weir-queue-state: waiting"), std::string::npos);
  upstream.release();
  EXPECT_NE(client.read_until("0\r\n\r\n").find(R"({"id":"x"})"), std::string::npos);
}

}  // namespace
}  // namespace weir::test
