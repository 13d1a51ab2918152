// Calls that a provider counts apart: Ark's /batch/* spends tokens of the day and nothing of a tier, and takes its
// time.
#include "proxy/batch_service.hpp"

#include <gtest/gtest.h>

#include "proxy/budgets.hpp"
#include "proxy/proxy_support.hpp"
#include "proxy/submission.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using proxy::Destination;

const std::string body_of_hi = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
const std::string online = post("/v1/chat/completions", body_of_hi);
const std::string batch = post("/v1/batch/chat/completions", body_of_hi);

std::string answer_using(std::string_view id, unsigned tokens) {
  return json_answer(R"({"id":")" + std::string(id) + R"(","usage":{"prompt_tokens":)" + std::to_string(tokens) +
                     R"(,"completion_tokens":0}})");
}

proxy::Upstream batch_account_at(std::uint16_t port) {
  proxy::Upstream account = upstream_at(port);
  account.charge.rule = proxy::ChargeRule::input_then_output;
  account.limits.rpm = 1;
  account.native_prefixes = {"/api/v3"};
  account.batch.emplace();
  account.batch->path = "/batch";
  account.batch->limits.tpd = 1'000'000;
  return account;
}

// Refuses instead of queueing: what has no room is seen at once.
proxy::Settings settings_without_queue(proxy::Upstream account) {
  proxy::Settings settings = settings_for({std::move(account)});
  settings.queue.wait_max = 0ms;
  return settings;
}

std::string budgets_of(const TestProxy& proxy) {
  RawClient operators(proxy.operators_port());
  operators.send(get("/weir/budgets"));
  return operators.read_response().body;
}

TEST(BatchService, IsThePathOfTheProviderAndWhatIsBelowIt) {
  const proxy::Upstream account = batch_account_at(1);
  for (const char* path : {"/batch/chat/completions", "/batch/embeddings", "/batch/embeddings/multimodal"})
    EXPECT_EQ(batch_service_of(account, path), &*account.batch) << path;
  for (const char* path : {"/chat/completions", "/context/chat/completions", "/bots/chat/completions", "/batches/b_1"})
    EXPECT_EQ(batch_service_of(account, path), nullptr) << path;
  EXPECT_EQ(batch_service_of(upstream_at(1), "/batch/chat/completions"), nullptr) << "other providers have none";
}

TEST(BatchService, ArksContextCacheCountsAsChat) {
  const proxy::Route route = proxy::find_route("POST", "/api/v3/context/chat/completions");
  EXPECT_EQ(route.api, protocol::Api::chat);
  EXPECT_EQ(batch_service_of(batch_account_at(1), route.path), nullptr);
}

TEST(BatchService, HasClocksAndPricesOfItsOwn) {
  proxy::Upstream account = batch_account_at(1);
  account.timeouts.first_content = 1s;
  account.batch->timeouts.first_content = 24h;
  proxy::ModelProfile model;
  model.prices = {{"", "", "CNY", 4, 0.8, 16}};
  model.batch_prices = {{"", "", "CNY", 2, 0.8, 8}};
  Destination destination;
  destination.upstream = &account;
  destination.profile = &model;
  EXPECT_EQ(timeouts_of(destination).first_content, 1s);
  EXPECT_EQ(prices_of(destination).at(0).output, 16);
  destination.batch = &*account.batch;
  EXPECT_EQ(timeouts_of(destination).first_content, 24h);
  EXPECT_EQ(prices_of(destination).at(0).output, 8);
}

TEST(BatchService, CountsAgainstBudgetsOfItsOwnAtEveryScope) {
  proxy::Upstream account = batch_account_at(1);
  proxy::ModelProfile model;
  model.name = "m";
  model.limits.tpm = 7;
  proxy::ClientKey key = key_for("alice", "secret");
  key.team = "search";
  proxy::Client client;
  client.key = &key;
  Destination destination;
  destination.upstream = &account;
  destination.profile = &model;
  proxy::BudgetNames names = budget_names(client, destination, proxy::ClientMode::keys);
  EXPECT_EQ(names.key + ' ' + names.team + ' ' + names.account + ' ' + names.model, "alice search up up/m");
  destination.batch = &*account.batch;
  names = budget_names(client, destination, proxy::ClientMode::keys);
  EXPECT_EQ(names.key + ' ' + names.team + ' ' + names.account + ' ' + names.model,
            "alice/batch search/batch up/batch ");
}

TEST(BatchService, OfAnAccountThatACallerBringsIsTheirs) {
  const proxy::Upstream account = batch_account_at(1);
  proxy::Client client;
  client.name = "hash";
  Destination destination;
  destination.upstream = &account;
  destination.batch = &*account.batch;
  const proxy::BudgetNames names = budget_names(client, destination, proxy::ClientMode::pass_through);
  EXPECT_EQ(names.account, "up/batch@hash");
  EXPECT_EQ(names.account_like, "up/batch");
  EXPECT_EQ(names.model, "");
}

TEST(BatchService, KeepsTheWeightsAndTheDailyLimitsOfKeys) {
  proxy::Settings settings = settings_for({batch_account_at(1)});
  settings.clients.keys = {key_for("alice", "secret")};
  settings.clients.keys[0].weight = 3;
  settings.clients.keys[0].limits.tpm = 5;
  settings.clients.keys[0].limits.tpd = 6;
  const admission::Limits limits = admission_limits(settings, admission::Instant(1000h), {});
  const auto found = std::find_if(limits.budgets.begin(), limits.budgets.end(),
                                  [](const auto& each) { return each.name == "alice/batch"; });
  ASSERT_NE(found, limits.budgets.end());
  EXPECT_EQ(found->scope, admission::Scope::key);
  EXPECT_EQ(found->weight, 3);
  EXPECT_EQ(found->limit(admission::Meter::tokens_day), 6);
  EXPECT_EQ(found->limit(admission::Meter::tokens), std::nullopt) << "no traffic by the minute";
}

TEST(BatchCalls, SpendNothingOfTheTierAndDoNotWaitForIt) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(answer_using("b1", 9))
      .expect_request()
      .send(answer_using("c", 9))
      .expect_request()
      .send(answer_using("b2", 9));
  TestProxy proxy(settings_without_queue(batch_account_at(upstream.port())));
  RawClient client(proxy.port());
  client.send(batch);
  EXPECT_EQ(client.read_response().status(), 200);
  client.send(online);
  EXPECT_EQ(client.read_response().status(), 200) << "the one request of this minute is still there";
  client.send(online);
  EXPECT_EQ(code_of(client.read_response()), "weir_deadline") << "and now it is not";
  client.send(batch);
  EXPECT_EQ(client.read_response().status(), 200);
  const std::string budgets = budgets_of(proxy);
  EXPECT_NE(budgets.find(R"("name":"up/batch")"), std::string::npos) << budgets;
  EXPECT_NE(budgets.find(R"("tpd":{"limit":1000000,"used":18,)"), std::string::npos) << budgets;
}

TEST(BatchCalls, StopAtTheirTokensOfTheDayAndLeaveTheRestAlone) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(answer_using("b", 100)).expect_request().send(answer_using("c", 9));
  proxy::Upstream account = batch_account_at(upstream.port());
  account.batch->limits.tpd = 100;
  TestProxy proxy(settings_without_queue(std::move(account)));
  RawClient client(proxy.port());
  client.send(batch);
  EXPECT_EQ(client.read_response().status(), 200);
  client.send(batch);
  const HttpMessage refused = client.read_response();
  EXPECT_EQ(refused.status(), 429);
  EXPECT_EQ(code_of(refused), "weir_budget_day");
  EXPECT_NE(refused.body.find("'up/batch'"), std::string::npos) << refused.body;
  client.send(online);
  EXPECT_EQ(client.read_response().status(), 200);
}

// While it runs its estimate is reserved, afterwards what the upstream counted is used.
TEST(BatchCalls, OfMultimodalEmbeddingsCountTheirTokens) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(
      json_answer(R"({"data":{"embedding":[0.5]},"usage":{"prompt_tokens":77,"total_tokens":77}})"));
  TestProxy proxy(settings_for({batch_account_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/api/v3/batch/embeddings/multimodal",
                   R"({"model":"m","input":[{"type":"text","text":"a cat on a mat"},)"
                   R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]})"));
  ASSERT_TRUE(wait_for([&] { return upstream.requests().size() == 1; }));
  const std::string before = budgets_of(proxy);
  EXPECT_EQ(before.find(R"("tpd":{"limit":1000000,"used":0,)"), std::string::npos) << before;
  upstream.release();
  EXPECT_EQ(client.read_response().status(), 200);
  const std::string after = budgets_of(proxy);
  EXPECT_NE(after.find(R"("tpd":{"limit":1000000,"used":77,)"), std::string::npos) << after;
}

// The batch call is asked first and answered last: the clock of an online call runs out in between.
TEST(BatchCalls, HaveNoClockOfTheOnlineCalls) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(answer_using("b", 9));
  upstream.next_connection().expect_request().expect_end();
  proxy::Upstream account = batch_account_at(upstream.port());
  account.timeouts.first_byte = account.timeouts.first_content = account.timeouts.byte_gap = 50ms;
  account.batch->timeouts.first_byte = account.batch->timeouts.first_content = account.batch->timeouts.byte_gap = 24h;
  TestProxy proxy(settings_for({std::move(account)}));
  RawClient patient(proxy.port()), hasty(proxy.port());
  patient.send(batch);
  ASSERT_TRUE(wait_for([&] { return upstream.requests().size() == 1; }));
  hasty.send(online);
  EXPECT_EQ(code_of(hasty.read_response()), "weir_first_byte_timeout");
  upstream.release();
  EXPECT_EQ(patient.read_response().status(), 200);
}

}  // namespace
}  // namespace weir::test
