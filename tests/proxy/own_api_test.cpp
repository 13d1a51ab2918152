// What a caller can ask weir itself: its own budgets and waiting requests, and to give one of those up.
#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

const std::string from_alice = "Authorization: Bearer a-secret\r\n", from_bob = "Authorization: Bearer b-secret\r\n";

// Two keys of a team, and one call at a time at the account.
proxy::Settings settings_of_a_team(std::uint16_t port) {
  proxy::Settings settings = settings_for({upstream_at(port)});
  settings.upstreams[0].limits.concurrency = 1;
  settings.clients.mode = proxy::ClientMode::keys;
  settings.clients.teams.push_back({"search", {}, 0});
  settings.clients.teams[0].limits.tpm = 5000;
  for (const auto& [name, secret] : {std::pair("alice", "a-secret"), std::pair("bob", "b-secret")}) {
    settings.clients.keys.push_back(key_for(name, secret));
    settings.clients.keys.back().team = "search";
    settings.clients.keys.back().limits.rpm = 10;
  }
  return settings;
}

std::string remove(std::string_view path, std::string_view headers) {
  return "DELETE " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(headers) + "\r\n";
}

class OwnApi : public testing::Test {
 protected:
  // The account's one place is taken by bob. `next`: somebody else has it after him.
  enum class Next { nobody, served };
  void occupy(TestProxy& proxy, Next next) {
    upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
    if (next == Next::served) upstream.next_connection().expect_request().send(json_answer(R"({"id":"next"})"));
    occupant.emplace(proxy.port());
    occupant->send(post("/v1/chat/completions", stream_body, from_bob + "x-request-id: sent\r\n"));
    occupant->read_until(chat_event("a"));
  }
  HttpMessage answer_to(TestProxy& proxy, const std::string& request) {
    RawClient client(proxy.port());
    client.send(request);
    return client.read_response();
  }
  std::string me(TestProxy& proxy, const std::string& key) { return answer_to(proxy, get("/v1/weir/me", key)).body; }
  bool waits(TestProxy& proxy, const std::string& key) {
    return wait_for([&] { return me(proxy, key).find(R"("requests":[{)") != std::string::npos; });
  }

  ScriptedUpstream upstream;
  std::optional<RawClient> occupant;
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)
#define EXPECT_HAS_NOT(text, part) EXPECT_EQ((text).find(part), std::string::npos) << (text)

TEST_F(OwnApi, MeShowsTheCallersBudgetsAndNobodyElses) {
  TestProxy proxy(settings_of_a_team(upstream.port()));
  occupy(proxy, Next::nobody);
  const HttpMessage answer = answer_to(proxy, get("/v1/weir/me", from_alice));
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.field("content-type"), "application/json");
  EXPECT_HAS(answer.body, R"({"schema":1,"client":"alice","budgets":[{"scope":"key","name":"alice",)");
  EXPECT_HAS(answer.body, R"("rpm":{"limit":10,"used":0,)");
  EXPECT_HAS(answer.body, R"({"scope":"team","name":"search",)");
  EXPECT_HAS(answer.body, R"("tpm":{"limit":5000,)");
  EXPECT_HAS_NOT(answer.body, "bob");
  EXPECT_HAS_NOT(answer.body, R"("upstream")");
  EXPECT_HAS(me(proxy, from_bob), R"("rpm":{"limit":10,"used":1,)");
}

TEST_F(OwnApi, MeShowsTheBudgetsOfCallsThatAreCountedApart) {
  proxy::Settings settings = settings_of_a_team(upstream.port());
  settings.upstreams[0].batch.emplace();
  settings.upstreams[0].batch->path = "/batch";
  settings.clients.keys[0].limits.tpd = 700;
  TestProxy proxy(std::move(settings));
  const std::string answer = me(proxy, from_alice);
  EXPECT_HAS(answer, R"({"scope":"key","name":"alice/batch",)");
  EXPECT_HAS(answer, R"({"scope":"team","name":"search/batch",)");
  EXPECT_HAS_NOT(answer, "bob");
}

TEST_F(OwnApi, MeShowsWhatWaitsAndForWhat) {
  TestProxy proxy(settings_of_a_team(upstream.port()));
  occupy(proxy, Next::nobody);
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m","user":"u1"})",
                   from_alice + "x-request-id: mine:1\r\nx-weir-priority: normal\r\n"));
  ASSERT_TRUE(waits(proxy, from_alice));
  const std::string text = me(proxy, from_alice);
  EXPECT_HAS(text, R"("requests":[{"id":"mine:1","lane":"user:u1","priority":"normal","upstream":"up","position":1,)");
  EXPECT_HAS(text, R"("waits_for":{"scope":"upstream","name":"up","meter":"concurrency"})");
  EXPECT_HAS(me(proxy, from_bob), R"("requests":[])");
}

// What an answer whose head had to go out early could not say in it.
TEST_F(OwnApi, MeShowsTheFiguresOfTheLastCalls) {
  proxy::Settings settings = settings_of_a_team(upstream.port());
  settings.heartbeat.first_after = 1ms;
  upstream.expect_request().hold().send(stream_head("x-request-id: theirs\r\n") + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body, from_alice + "x-request-id: mine-1\r\n"));
  EXPECT_EQ(client.read_head().find("x-weir-attempts"), std::string::npos);
  upstream.release();
  client.read_until(last_chunk());
  client.send(post("/nothing", "{}", from_alice + "x-request-id: mine-2\r\n"));
  client.read_response();
  const std::string text = me(proxy, from_alice);
  EXPECT_HAS(text, R"("recent":[{"id":"mine-1",)");
  EXPECT_HAS(text, R"("model":"m","status":200,"outcome":"ok","upstream":"up","upstream_request_id":"theirs",)");
  EXPECT_HAS(text, R"("attempts":1,"queue_ms":)");
  EXPECT_HAS_NOT(text, "mine-2");
  EXPECT_HAS(me(proxy, from_bob), R"("recent":[])");
}

TEST_F(OwnApi, AWaitingRequestIsGivenUpByItsOwner) {
  TestProxy proxy(settings_of_a_team(upstream.port()));
  occupy(proxy, Next::served);
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})", from_alice + "x-request-id: mine:1\r\n"));
  ASSERT_TRUE(waits(proxy, from_alice));
  const HttpMessage gone = answer_to(proxy, remove("/v1/weir/requests/mine%3A1", from_alice));
  EXPECT_EQ(gone.status(), 200);
  EXPECT_EQ(gone.body, R"({"schema":1,"id":"mine:1","given_up":true})");
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 499);
  EXPECT_EQ(code_of(answer), "weir_given_up");
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_HAS(me(proxy, from_alice), R"("requests":[])");
  EXPECT_HAS(me(proxy, from_alice), R"("rpm":{"limit":10,"used":0,"reserved":0,)");
  // The connection is good for the next request, which has the account's place when bob has left.
  client.send(post("/v1/chat/completions", R"({"model":"m"})", from_alice));
  occupant->close();
  EXPECT_EQ(client.read_response().body, R"({"id":"next"})");
  EXPECT_EQ(upstream.requests().size(), 2u);
}

TEST_F(OwnApi, AStreamThatHeardHeartbeatsIsToldInTheStream) {
  proxy::Settings settings = settings_of_a_team(upstream.port());
  settings.heartbeat.first_after = 1ms;
  TestProxy proxy(std::move(settings));
  occupy(proxy, Next::nobody);
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body, from_alice + "x-request-id: mine\r\n"));
  client.read_until(": weir queued position=1");
  EXPECT_EQ(answer_to(proxy, remove("/v1/weir/requests/mine", from_alice)).status(), 200);
  client.read_until(R"("code":"weir_given_up")");
  EXPECT_TRUE(wait_for([&] {
    const auto records = proxy.records();
    return std::any_of(records.begin(), records.end(), [](const observe::ExchangeRecord& record) {
      return record.error == "weir_given_up" && record.status == 200;
    });
  })) << "as the wire said";
}

TEST_F(OwnApi, NobodyElseCanGiveItUp) {
  TestProxy proxy(settings_of_a_team(upstream.port()));
  occupy(proxy, Next::served);
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})", from_alice + "x-request-id: mine\r\n"));
  ASSERT_TRUE(waits(proxy, from_alice));
  const HttpMessage answer = answer_to(proxy, remove("/v1/weir/requests/mine", from_bob));
  EXPECT_EQ(answer.status(), 404);
  EXPECT_EQ(code_of(answer), "weir_not_waiting");
  EXPECT_EQ(answer_to(proxy, remove("/v1/weir/requests/mine", "")).status(), 401);
  occupant->close();
  EXPECT_EQ(client.read_response().body, R"({"id":"next"})");
}

proxy::Settings one_call_each_in_pass_through(std::uint16_t port) {
  proxy::Settings settings = settings_for({upstream_at(port)});
  settings.upstreams[0].limits.concurrency = 1;
  settings.clients.mode = proxy::ClientMode::pass_through;
  return settings;
}

// The bug: in pass-through mode a key was told from others by 32 bits of its hash, and these two share them.
TEST_F(OwnApi, AKeyOfTheSameNameIsSomebodyElse) {
  const std::string one = "Authorization: Bearer sk-3334\r\n", other = "Authorization: Bearer sk-121845\r\n";
  upstream.expect_request().send(json_answer(R"({"id":"first"})")).expect_request().hold().send(json_answer("{}"));
  TestProxy proxy(one_call_each_in_pass_through(upstream.port()));
  RawClient runs(proxy.port()), client(proxy.port());
  runs.send(post("/v1/chat/completions", R"({"model":"m"})", one + "x-request-id: over\r\n"));
  EXPECT_EQ(runs.read_response().body, R"({"id":"first"})");
  runs.send(post("/v1/chat/completions", R"({"model":"m"})", one + "x-request-id: runs\r\n"));
  ASSERT_TRUE(upstream.wait_requests(2));
  client.send(post("/v1/chat/completions", R"({"model":"m"})", one + "x-request-id: mine\r\n"));
  ASSERT_TRUE(waits(proxy, one));
  EXPECT_HAS(me(proxy, one), R"("client":"key-a4dba211")");
  EXPECT_HAS(me(proxy, one), R"("recent":[{"id":"over",)");
  EXPECT_HAS(me(proxy, other), R"("client":"key-a4dba211")");
  EXPECT_HAS(me(proxy, other), R"("requests":[],"recent":[])");
  EXPECT_EQ(code_of(answer_to(proxy, remove("/v1/weir/requests/mine", other))), "weir_not_waiting");
  EXPECT_EQ(answer_to(proxy, remove("/v1/weir/requests/mine", one)).status(), 200);
  EXPECT_EQ(code_of(client.read_response()), "weir_given_up");
  upstream.release();
}

// The bug: those without a key saw each other's calls, and could give them up.
TEST_F(OwnApi, CallersWhomNothingTellsApartHaveNone) {
  TestProxy proxy(one_call_each_in_pass_through(upstream.port()));
  for (const std::string& request : {get("/v1/weir/me"), remove("/v1/weir/requests/any", ""), get("/v1/weir/other")}) {
    const HttpMessage answer = answer_to(proxy, request);
    EXPECT_EQ(answer.status(), 401) << request;
    EXPECT_EQ(code_of(answer), "invalid_api_key");
    EXPECT_HAS(answer.body, "weir cannot tell your calls from those of others");
  }
  EXPECT_EQ(answer_to(proxy, get("/v1/weir/me", from_alice)).status(), 200);
}

TEST_F(OwnApi, OpenModeIsOneCaller) {
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  EXPECT_HAS(me(proxy, ""), R"("client":"open")");
}

TEST_F(OwnApi, WhatWasSentCannotBeGivenUp) {
  TestProxy proxy(settings_of_a_team(upstream.port()));
  occupy(proxy, Next::nobody);
  EXPECT_EQ(code_of(answer_to(proxy, remove("/v1/weir/requests/sent", from_bob))), "weir_not_waiting");
}

TEST_F(OwnApi, AnythingElseUnderItIsNoRoute) {
  TestProxy proxy(settings_of_a_team(upstream.port()));
  for (const std::string& request : {get("/v1/weir/requests/x", from_alice), remove("/v1/weir/requests/", from_alice),
                                     remove("/v1/weir/me", from_alice), get("/v1/weir", from_alice),
                                     get("/v1/weir/you", from_alice), post("/v1/weir/me", "{}", from_alice)})
    EXPECT_EQ(code_of(answer_to(proxy, request)), "weir_unknown_route") << request;
  EXPECT_EQ(upstream.requests().size(), 0u);
}

TEST_F(OwnApi, ReservedTokensAreTheKeysWhereTheUpstreamCountsNone) {
  upstream.answer_always([](const HttpMessage&) { return json_answer(R"({"id":"x"})"); });
  proxy::Settings settings = settings_of_a_team(upstream.port());
  settings.upstreams[0].charge.rule = proxy::ChargeRule::none;
  TestProxy proxy(std::move(settings));
  const std::string body = R"({"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hello"}]})";
  const HttpMessage answer = answer_to(proxy, post("/v1/chat/completions", body, from_alice));
  EXPECT_EQ(answer.status(), 200);
  ASSERT_EQ(answer.count("x-weir-reserved-tokens"), 1u);
  EXPECT_GT(std::stoi(answer.field("x-weir-reserved-tokens")), 5);
  EXPECT_EQ(std::to_string(proxy.record().reserved_tokens.value_or(0)), answer.field("x-weir-reserved-tokens"));
}

}  // namespace
}  // namespace weir::test
