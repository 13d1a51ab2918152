// Requests wait for room in their budgets instead of being refused, and are told the truth when they cannot.
#include <gtest/gtest.h>

#include <thread>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

const std::string hi = post("/v1/chat/completions", R"({"model":"m","messages":[{"role":"user","content":"hi"}]})");

// One call at a time at the account.
proxy::Settings one_at_a_time(std::uint16_t port) {
  proxy::Settings settings = settings_for({upstream_at(port)});
  settings.upstreams[0].limits.concurrency = 1;
  return settings;
}

TEST(Queue, ASecondCallWaitsUntilTheFirstIsOver) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  upstream.next_connection().expect_request().send(json_answer(R"({"id":"second"})"));
  TestProxy proxy(one_at_a_time(upstream.port()));
  RawClient first(proxy.port()), second(proxy.port());
  first.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  first.read_until(chat_event("a"));
  second.send(hi);
  EXPECT_EQ(upstream.requests().size(), 1u);
  first.close();
  const HttpMessage answer = second.read_response();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, R"({"id":"second"})");
  EXPECT_FALSE(answer.field("x-weir-queue-ms").empty());
}

TEST(Queue, TheTimeInLineIsCountedByLane) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"x"})"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port()), operators(proxy.operators_port());
  client.send(post("/v1/chat/completions", R"({"model":"m","messages":[]})", "x-weir-priority: background\r\n"));
  EXPECT_EQ(client.read_response().status(), 200);
  const std::string counted = R"(weir_queue_wait_seconds_count{key="open",priority="background"} 1)";
  // The record follows the answer.
  EXPECT_TRUE(wait_for([&] {
    operators.send(get("/metrics"));
    return operators.read_response().body.find("\n" + counted + "\n") != std::string::npos;
  }));
}

TEST(Queue, WithNoTimeToWaitACallIsRefusedWithTheReason) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  proxy::Settings settings = one_at_a_time(upstream.port());
  settings.queue.wait_max = 0ms;
  TestProxy proxy(std::move(settings));
  RawClient first(proxy.port()), second(proxy.port());
  first.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  first.read_until(chat_event("a"));
  second.send(hi);
  const HttpMessage answer = second.read_response();
  EXPECT_EQ(answer.status(), 429);
  EXPECT_EQ(code_of(answer), "weir_deadline");
  EXPECT_EQ(answer.field("x-should-retry"), "true");
  EXPECT_NE(answer.body.find("requests in flight of the upstream 'up' (1 of 1 taken)"), std::string::npos)
      << answer.body;
  EXPECT_EQ(upstream.requests().size(), 1u);
}

TEST(Queue, WhoIsTurnedAwayAtOnceHasNoTimeInLine) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"x"})"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].limits.rpm = 1;
  settings.queue.wait_max = 1s;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port()), operators(proxy.operators_port());
  client.send(hi);
  EXPECT_EQ(client.read_response().status(), 200);
  client.send(hi);
  EXPECT_EQ(client.read_response().status(), 429);
  std::string metrics;
  EXPECT_TRUE(wait_for([&] {
    operators.send(get("/metrics"));
    metrics = operators.read_response().body;
    return metrics.find("weir_rejections_total{reason=\"weir_deadline\"} 1") != std::string::npos;
  })) << metrics;
  EXPECT_NE(metrics.find("weir_queue_wait_seconds_count{key=\"open\",priority=\"interactive\"} 1\n"), std::string::npos)
      << metrics;
}

TEST(Queue, CallersWithLimitsOfInputAndOutputAreToldTheFuller) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"x","usage":{"prompt_tokens":10,"completion_tokens":90}})"));
  upstream.expect_request().send(json_answer(R"({"id":"y"})"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.clients.mode = proxy::ClientMode::keys;
  settings.clients.keys = {key_for("alice", "sk-alice")};
  settings.clients.keys[0].limits.input_tpm = 100'000;
  settings.clients.keys[0].limits.output_tpm = 1'000;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  for (int i = 0; i < 2; ++i) {
    client.send(post("/v1/chat/completions", R"({"model":"m","max_tokens":100,"messages":[]})",
                     "authorization: Bearer sk-alice\r\n"));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 200) << answer.body;
    EXPECT_EQ(answer.field("x-ratelimit-limit-tokens"), "1000");
  }
}

// "waits for ... (1 of 1 taken)": the sentence without the time, which passes.
std::string why_in(const std::string& body) {
  const auto begin = body.find("waits for "), end = body.find(';', begin);
  return begin == std::string::npos ? body : body.substr(begin, end - begin);
}

TEST(Queue, CallersOperatorsAndRefusalsAreToldWhyInTheSameSentence) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  TestProxy proxy(one_at_a_time(upstream.port()));
  RawClient first(proxy.port()), second(proxy.port()), third(proxy.port()), asks(proxy.port());
  RawClient operators(proxy.operators_port());
  first.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  first.read_until(chat_event("a"));
  second.send(hi);
  ASSERT_TRUE(wait_for([&] {
    operators.send(get("/weir/queue"));
    return operators.read_response().body.find("\"waiting\":1") != std::string::npos;
  }));
  const std::string sentence = "waits for requests in flight of the upstream 'up' (1 of 1 taken)";
  operators.send(get("/weir/queue"));
  EXPECT_EQ(why_in(operators.read_response().body), sentence);
  asks.send(get("/v1/weir/me"));
  EXPECT_EQ(why_in(asks.read_response().body), sentence);
  third.send(post("/v1/chat/completions", R"({"model":"m","messages":[]})", "x-weir-max-wait: 0\r\n"));
  EXPECT_EQ(why_in(third.read_response().body), sentence + " behind 1 other");
}

TEST(Queue, AWaitingClientThatLeavesCostsNothing) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  upstream.next_connection().expect_request().send(json_answer(R"({"id":"third"})"));
  TestProxy proxy(one_at_a_time(upstream.port()));
  RawClient first(proxy.port()), third(proxy.port());
  first.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  first.read_until(chat_event("a"));
  {
    RawClient second(proxy.port());
    second.send(hi);
    ASSERT_TRUE(wait_for([&] { return proxy.sessions() == 3; }));
  }
  EXPECT_TRUE(proxy.wait_sessions(2));
  third.send(hi);
  first.close();
  EXPECT_EQ(third.read_response().body, R"({"id":"third"})");
}

TEST(Queue, TheTimeOfAClientThatLeavesIsKnown) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  TestProxy proxy(one_at_a_time(upstream.port()));
  RawClient first(proxy.port()), second(proxy.port()), operators(proxy.operators_port());
  first.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  first.read_until(chat_event("a"));
  second.send(hi);
  EXPECT_TRUE(wait_for([&] {
    operators.send(get("/weir/queue"));
    return operators.read_response().body.find(R"("waiting":1)") != std::string::npos;
  }));
  std::this_thread::sleep_for(5ms);
  second.close();
  const observe::ExchangeRecord record = proxy.record(0);
  EXPECT_EQ(record.outcome, "client_left");
  ASSERT_TRUE(record.queued);
  EXPECT_GE(*record.queued, 5ms);
}

TEST(Queue, WhatIsNotToldInTokensCountsAsARequestOnly) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"file-1"})"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].limits.tpm = 1000;
  settings.upstreams[0].limits.rpm = 10;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port()), operators(proxy.operators_port());
  client.send(post("/v1/files", std::string(5000, 'x')));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.count("x-weir-reserved-tokens"), 0u);
  operators.send(get("/weir/budgets"));
  const std::string budgets = operators.read_response().body;
  EXPECT_NE(budgets.find(R"("rpm":{"limit":10,"used":1,)"), std::string::npos) << budgets;
  EXPECT_NE(budgets.find(R"("tpm":{"limit":1000,"used":0,)"), std::string::npos) << budgets;
}

TEST(Queue, OperatorsSeeWhoWaitsAndWhatIsUsed) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  upstream.next_connection().expect_request().send(json_answer(R"({"id":"second"})"));
  TestProxy proxy(one_at_a_time(upstream.port()));
  RawClient first(proxy.port()), second(proxy.port()), operators(proxy.operators_port());
  first.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  first.read_until(chat_event("a"));
  second.send(hi);
  std::string queue;
  ASSERT_TRUE(wait_for([&] {
    operators.send(get("/weir/queue"));
    queue = operators.read_response().body;
    return queue.find(R"("waiting":1)") != std::string::npos;
  }));
  EXPECT_NE(queue.find(R"("waits_for":{"scope":"upstream","name":"up","meter":"concurrency"})"), std::string::npos)
      << queue;
  operators.send(get("/weir/budgets"));
  const std::string budgets = operators.read_response().body;
  EXPECT_NE(budgets.find(R"("concurrency":{"limit":1,"used":1,)"), std::string::npos) << budgets;
  first.close();
  EXPECT_EQ(second.read_response().status(), 200);
}

TEST(Queue, OperatorsSeeThisInstancesShareOfAnAccount) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].limits.rpm = 100;
  settings.upstreams[0].share = 0.25;
  settings.upstreams[0].models.emplace_back();
  settings.upstreams[0].models[0].name = "m";
  settings.upstreams[0].models[0].limits.rpm = 40;
  TestProxy proxy(std::move(settings));
  RawClient operators(proxy.operators_port());
  operators.send(get("/weir/budgets"));
  const std::string budgets = operators.read_response().body;
  for (const char* part : {R"({"share":0.25,"scope":"upstream","name":"up",)", R"("rpm":{"limit":25,)",
                           R"({"share":0.25,"scope":"model","name":"up/m",)", R"("rpm":{"limit":10,)"})
    EXPECT_NE(budgets.find(part), std::string::npos) << part << budgets;
}

TEST(Queue, TellsTheCallersOwnBudget) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"x"})", "x-ratelimit-limit-requests: 99\r\n"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.clients.mode = proxy::ClientMode::keys;
  settings.clients.keys.push_back(key_for("alice", "secret"));
  settings.clients.keys[0].limits.rpm = 10;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})", "Authorization: Bearer secret\r\n"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.field("x-ratelimit-limit-requests"), "10");
  EXPECT_EQ(answer.field("x-ratelimit-remaining-requests"), "9");
}

TEST(Queue, TellsTheDayOfACallerWithoutAMinute) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"x"})", "x-ratelimit-limit-requests: 99\r\n"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.clients.mode = proxy::ClientMode::keys;
  settings.clients.teams.push_back({"search", {}, 0});
  settings.clients.teams[0].limits.rpm = 500;
  settings.clients.keys.push_back(key_for("alice", "secret"));
  settings.clients.keys[0].team = "search";
  settings.clients.keys[0].limits.rpd = 10;
  settings.clients.keys[0].limits.tpd = 100'000;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})", "Authorization: Bearer secret\r\n"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.field("x-ratelimit-limit-requests"), "10") << "its own, before its team's";
  EXPECT_EQ(answer.field("x-ratelimit-remaining-requests"), "9");
  EXPECT_EQ(answer.field("x-ratelimit-limit-tokens"), "100000");
}

// Whatever weir says itself to a caller it knows.
TEST(Queue, RefusalsAndOwnAnswersTellTheCallersBudgetToo) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"x"})"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.queue.wait_max = std::chrono::milliseconds(0);
  settings.clients.mode = proxy::ClientMode::keys;
  settings.clients.keys.push_back(key_for("alice", "secret"));
  settings.clients.keys[0].limits.rpm = 1;
  settings.clients.keys[0].limits.tpm = 100'000;
  TestProxy proxy(std::move(settings));
  const std::string alice = "Authorization: Bearer secret\r\n";
  const auto told = [&](const std::string& request) {
    RawClient client(proxy.port());
    client.send(request);
    const HttpMessage answer = client.read_response();
    return std::to_string(answer.status()) + " " + answer.field("x-ratelimit-limit-requests") + " " +
           answer.field("x-ratelimit-remaining-requests") + " " + answer.field("x-ratelimit-limit-tokens") + " " +
           answer.field("x-weir-queue-ms");
  };
  EXPECT_EQ(told(post("/v1/chat/completions", "no JSON", alice)), "400 1 1 100000 0");
  EXPECT_EQ(told(post("/v1/chat/completions", R"({"model":"m"})", alice)).substr(0, 14), "200 1 0 100000");
  EXPECT_EQ(told(post("/v1/chat/completions", R"({"model":"m"})", alice)).substr(0, 14), "429 1 0 100000");
  EXPECT_EQ(told(get("/v1/models", alice)), "200 1 0 100000 0");
  EXPECT_EQ(told(get("/v1/weir/me", alice)), "200 1 0 100000 0");
  EXPECT_EQ(told(post("/v1/chat/completions", R"({"model":"m"})")), "401    0") << "nobody knows who that is";
}

// Refused, and back with the same body as its SDK sends it again: before whoever came meanwhile.
TEST(Queue, ACallerWhoseSdkComesBackTakesItsOldPlace) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  upstream.next_connection()
      .expect_request()
      .send(json_answer(R"({"id":"first of them"})"))
      .expect_request()
      .send(json_answer(R"({"id":"second of them"})"));
  TestProxy proxy(one_at_a_time(upstream.port()));
  const auto of = [](const char* words, const char* fields) {
    return post("/v1/chat/completions",
                R"({"model":"m","messages":[{"role":"user","content":")" + std::string(words) + R"("}]})", fields);
  };
  RawClient running(proxy.port()), early(proxy.port()), late(proxy.port());
  running.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  running.read_until(chat_event("a"));
  early.send(of("early", "x-weir-max-wait: 0\r\n"));
  EXPECT_EQ(code_of(early.read_response()), "weir_deadline");
  late.send(of("late", ""));
  const auto waiting = [&](const char* count) {
    RawClient operators(proxy.operators_port());
    operators.send(get("/weir/queue"));
    return operators.read_response().body.find(count) != std::string::npos;
  };
  ASSERT_TRUE(wait_for([&] { return waiting(R"("waiting":1)"); }));
  early.send(of("early", "x-stainless-retry-count: 1\r\n"));
  ASSERT_TRUE(wait_for([&] { return waiting(R"("waiting":2)"); }));
  running.close();
  EXPECT_EQ(early.read_response().body, R"({"id":"first of them"})");
  EXPECT_EQ(late.read_response().body, R"({"id":"second of them"})");
}

TEST(Retry, ARefusalAtTheDoorIsWaitedOutAndTriedAgain) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(answer_with("429 Too Many Requests\r\nretry-after-ms: 30\r\nContent-Type: application/json\r\n",
                        R"({"error":{"code":"rate_limit_exceeded","message":"slow"}})"))
      .expect_request()
      .send(json_answer(R"({"id":"again"})"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.retry.enabled = true;
  proxy::ErrorRule rule;
  rule.status = 429;
  rule.cause = proxy::Cause::minute_budget;
  settings.upstreams[0].error_rules = {rule};
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(hi);
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, R"({"id":"again"})");
  EXPECT_EQ(answer.field("x-weir-attempts"), "2");
}

TEST(Retry, AStreamThatHasCarriedOnlyKeepAlivesIsTriedAgain) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(": keep-alive\n\n")).reset();
  upstream.next_connection().expect_request().send(stream_head() + chunk(chat_event("a")) + chunk(chat_stream()) +
                                                   last_chunk());
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.retry.enabled = true;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  EXPECT_EQ(client.read_response().body, chat_event("a") + chat_stream());
}

TEST(Retry, AnErrorOfTheCallersOwnIsGivenAsItCame) {
  ScriptedUpstream upstream;
  const std::string body = R"({"error":{"code":"context_length_exceeded","message":"too long"}})";
  upstream.expect_request().send(answer_with("400 Bad Request\r\nContent-Type: application/json\r\n", body));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.retry.enabled = true;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(hi);
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 400);
  EXPECT_EQ(answer.body, body);
}

}  // namespace
}  // namespace weir::test
