// Callers who bring their own provider keys: each has an account of their own at the upstream, with budgets of its own.
#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

const std::string alices_key = "Authorization: Bearer sk-alice\r\n", bobs_key = "Authorization: Bearer sk-bob\r\n";

std::string ask(const std::string& whose, const std::string& model = "m") {
  return post("/v1/chat/completions", R"({"model":")" + model + R"(","messages":[]})", whose);
}
std::string ask_stream(const std::string& whose) {
  return post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})", whose);
}

proxy::Settings pass_through(std::uint16_t port) {
  proxy::Settings settings = settings_for({upstream_at(port)});
  settings.clients.mode = proxy::ClientMode::pass_through;
  return settings;
}
proxy::Settings one_call_at_a_time_each(std::uint16_t port) {
  proxy::Settings settings = pass_through(port);
  settings.upstreams[0].limits.concurrency = 1;
  return settings;
}

TEST(PassThrough, CallersDoNotWaitForEachOthersRoom) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  upstream.next_connection().expect_request().send(json_answer(R"({"id":"of bob"})"));
  TestProxy proxy(one_call_at_a_time_each(upstream.port()));
  RawClient first(proxy.port()), second(proxy.port());
  first.send(ask_stream(alices_key));
  first.read_until(chat_event("a"));
  second.send(ask(bobs_key));
  EXPECT_EQ(second.read_response().body, R"({"id":"of bob"})");
}

TEST(PassThrough, ACallerWaitsForTheRoomOfTheirOwnAccount) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  upstream.next_connection().expect_request().send(json_answer(R"({"id":"second"})"));
  TestProxy proxy(one_call_at_a_time_each(upstream.port()));
  RawClient first(proxy.port()), second(proxy.port()), operators(proxy.operators_port());
  first.send(ask_stream(alices_key));
  first.read_until(chat_event("a"));
  second.send(ask(alices_key));
  std::string queue;
  EXPECT_TRUE(wait_for([&] {
    operators.send(get("/weir/queue"));
    queue = operators.read_response().body;
    return queue.find(R"("waits_for":{"scope":"upstream","name":"up@key-)") != std::string::npos;
  })) << queue;
  EXPECT_EQ(upstream.requests().size(), 1u);
  first.close();
  EXPECT_EQ(second.read_response().body, R"({"id":"second"})");
}

// What an operator reads in one place is found by that name in the others.
TEST(PassThrough, ACallerHasOneNameInQueueLogMetricsAndAnswers) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  upstream.next_connection().expect_request().send(json_answer(R"({"id":"second"})"));
  TestProxy proxy(one_call_at_a_time_each(upstream.port()));
  RawClient first(proxy.port()), second(proxy.port()), asks(proxy.port()), operators(proxy.operators_port());
  const auto body_of = [](RawClient& client, const std::string& request) {
    client.send(request);
    return client.read_response().body;
  };
  const std::string me = body_of(asks, get("/v1/weir/me", alices_key));
  const auto begin = me.find("key-");
  ASSERT_NE(begin, std::string::npos) << me;
  const std::string name = me.substr(begin, std::string("key-1a2b3c4d").size());
  EXPECT_NE(me.find(R"("client":")" + name + '"'), std::string::npos) << me;
  first.send(ask_stream(alices_key));
  first.read_until(chat_event("a"));
  second.send(
      post("/v1/chat/completions", R"({"model":"m","messages":[]})", alices_key + "x-request-id: second-1\r\n"));
  std::string queue;
  EXPECT_TRUE(wait_for([&] {
    queue = body_of(operators, get("/weir/queue"));
    return queue.find(R"({"id":"second-1","key":")" + name + R"(",)") != std::string::npos;
  })) << queue;
  first.close();
  EXPECT_EQ(second.read_response().body, R"({"id":"second"})");
  proxy.record(2);  // of three calls
  for (const observe::ExchangeRecord& record : proxy.records()) EXPECT_EQ(record.client, name) << record.request_id;
  const std::string metrics = body_of(operators, get("/metrics"));
  EXPECT_NE(metrics.find(R"(weir_requests_total{key=")" + name + '"'), std::string::npos) << metrics;
}

TEST(PassThrough, EveryAccountHasTheModelsOwnLimitsToo) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"1"})")).expect_request().send(json_answer(R"({"id":"2"})"));
  proxy::Settings settings = pass_through(upstream.port());
  settings.queue.wait_max = std::chrono::milliseconds(0);
  proxy::ModelProfile limited;
  limited.name = "m";
  limited.limits.rpm = 1;
  settings.upstreams[0].models.push_back(limited);
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(ask(alices_key));
  EXPECT_EQ(client.read_response().status(), 200);
  client.send(ask(bobs_key));
  EXPECT_EQ(client.read_response().status(), 200);
  client.send(ask(alices_key));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 429);
  EXPECT_EQ(code_of(answer), "weir_deadline");
}

// A key beside the one that is charged neither opens another budget nor reaches the provider.
TEST(PassThrough, ASecondKeyGetsNobodyPastTheBudgetOfTheFirst) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"1"})")).expect_request().send(json_answer(R"({"id":"2"})"));
  proxy::Settings settings = pass_through(upstream.port());
  settings.queue.wait_max = std::chrono::milliseconds(0);
  settings.upstreams[0].api_key = "";
  settings.upstreams[0].limits.rpm = 2;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  for (int call = 0; call < 3; ++call) {
    client.send(ask("Authorization: Bearer other-" + std::to_string(call) + "\r\nx-api-key: sk-alice\r\n"));
    EXPECT_EQ(client.read_response().status(), call < 2 ? 200 : 429) << call;
  }
  for (const HttpMessage& sent : upstream.requests()) {
    EXPECT_EQ(sent.field("x-api-key"), "sk-alice");
    EXPECT_EQ(sent.field("authorization"), "");
  }
}

TEST(PassThrough, AKeyThatStandsTwiceIsRefusedInTheShapeOfTheApi) {
  ScriptedUpstream upstream;
  TestProxy proxy(pass_through(upstream.port()));
  for (const auto& [path, begins] :
       {std::pair{"/v1/chat/completions", R"({"error":{)"}, std::pair{"/v1/messages", R"({"type":"error",)"}}) {
    RawClient client(proxy.port());
    client.send(post(path, R"({"model":"m","max_tokens":1,"messages":[]})", alices_key + bobs_key));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 400) << path;
    EXPECT_TRUE(answer.body.starts_with(begins)) << answer.body;
    EXPECT_EQ(answer.field("x-weir-error"), "invalid_parameter");
  }
  EXPECT_TRUE(upstream.requests().empty());
}

TEST(PassThrough, AnswersTellTheBudgetOfTheCallersAccount) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(json_answer(R"({"id":"1"})"))
      .expect_request()
      .send(json_answer(R"({"id":"2"})"))
      .expect_request()
      .send(json_answer(R"({"id":"3"})"));
  proxy::Settings settings = pass_through(upstream.port());
  settings.upstreams[0].limits.rpm = 10;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  const auto left_after = [&](const std::string& whose) {
    client.send(ask(whose));
    return client.read_response().field("x-ratelimit-remaining-requests");
  };
  EXPECT_EQ(left_after(alices_key), "9");
  EXPECT_EQ(left_after(alices_key), "8");
  EXPECT_EQ(left_after(bobs_key), "9");
}

TEST(PassThrough, CallersSeeTheBudgetsOfTheAccountTheyBringAndNobodyElses) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"1"})")).expect_request().send(json_answer(R"({"id":"2"})"));
  proxy::Settings settings = pass_through(upstream.port());
  settings.upstreams[0].limits.rpm = 10;
  proxy::ModelProfile limited;
  limited.name = "m";
  limited.limits.tpm = 5000;
  settings.upstreams[0].models.push_back(limited);
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  const auto me = [&](const std::string& whose) {
    client.send(get("/v1/weir/me", whose));
    return client.read_response().body;
  };
  EXPECT_NE(me(alices_key).find(R"("budgets":[])"), std::string::npos) << "before the first call there is no account";
  for (int i = 0; i < 2; ++i) {
    client.send(ask(alices_key));
    EXPECT_EQ(client.read_response().status(), 200);
  }
  const std::string text = me(alices_key);
  EXPECT_NE(text.find(R"({"scope":"upstream","name":"up@key-)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("rpm":{"limit":10,"used":2,)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"({"scope":"model","name":"up@key-)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("tpm":{"limit":5000,)"), std::string::npos) << text;
  EXPECT_NE(me(bobs_key).find(R"("budgets":[])"), std::string::npos);
}

TEST(PassThrough, OperatorsSeeThatTheUpstreamsLimitsAreThoseOfEachCaller) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"1"})"));
  proxy::Settings settings = pass_through(upstream.port());
  settings.upstreams[0].limits.rpm = 10;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port()), operators(proxy.operators_port());
  client.send(ask(alices_key));
  EXPECT_EQ(client.read_response().status(), 200);
  operators.send(get("/weir/budgets"));
  const std::string budgets = operators.read_response().body;
  EXPECT_NE(budgets.find(R"("of_each_caller":true,"scope":"upstream","name":"up",)"), std::string::npos) << budgets;
  EXPECT_NE(budgets.find(R"({"share":1,"scope":"upstream","name":"up@key-)"), std::string::npos) << budgets;
}

TEST(PassThrough, AnAccountWithoutMoneyIsNotAskedAgainAndNobodyElseSuffers) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(answer_with("402 Payment Required\r\nContent-Type: application/json\r\n",
                        R"({"error":{"code":"invalid_request_error","message":"Insufficient Balance"}})"))
      .expect_request()
      .send(json_answer(R"({"id":"of bob"})"));
  proxy::Settings settings = pass_through(upstream.port());
  proxy::ErrorRule rule;
  rule.status = 402;
  rule.cause = proxy::Cause::quota;
  settings.breaker_enabled = true;
  settings.upstreams[0].error_rules = {rule};
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port()), operators(proxy.operators_port());
  client.send(ask(alices_key));
  EXPECT_EQ(client.read_response().status(), 402);
  client.send(ask(alices_key));
  EXPECT_EQ(client.read_response().status(), 402);
  EXPECT_EQ(upstream.requests().size(), 1u);
  client.send(ask(bobs_key));
  EXPECT_EQ(client.read_response().body, R"({"id":"of bob"})");
  operators.send(get("/weir/upstreams"));
  const std::string upstreams = operators.read_response().body;
  EXPECT_NE(upstreams.find(R"("state_words":"up is ready.")"), std::string::npos) << upstreams;
  EXPECT_NE(upstreams.find(R"("without_money":true)"), std::string::npos) << upstreams;
  EXPECT_EQ(upstreams.find("sk-alice"), std::string::npos) << upstreams;
  operators.send(get("/readyz"));
  EXPECT_EQ(operators.read_response().status(), 200);
}

}  // namespace
}  // namespace weir::test
