// Several accounts behind one model: where calls go when one of them is full, out of money, failing or gone.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "net/socket_wire.hpp"
#include "proxy/proxy_support.hpp"
#include "support/certificates.hpp"

namespace weir::test {
namespace {

std::string answer_of(const std::string& name) {
  return json_answer(R"({"id":")" + name + "\"}");
}
std::string refused_with(std::string_view code, std::string_view headers = {}) {
  return answer_with("429 Too Many Requests\r\nContent-Type: application/json\r\n" + std::string(headers),
                     R"({"error":{"message":"no","type":"t","param":null,"code":")" + std::string(code) + "\"}}");
}

// One model, two accounts; the first is asked first.
class Failover : public ::testing::Test {
 protected:
  proxy::Settings settings() {
    proxy::Settings made = settings_for({upstream_at(first.port(), "first"), upstream_at(second.port(), "second")});
    made.routes = {proxy::ModelRoute{"m", {proxy::Target{0, {}, 1, 1}, proxy::Target{1, {}, 1, 2}}, true}};
    made.retry.enabled = true;
    made.retry.pause_min = 2ms;
    made.retry.pause_max = 5ms;
    made.breaker_enabled = true;
    proxy::ErrorRule quota, busy;
    quota.code = "insufficient_quota";
    quota.cause = proxy::Cause::quota;
    busy.status = 429;
    busy.cause = proxy::Cause::minute_budget;
    for (proxy::Upstream& each : made.upstreams) each.error_rules = {quota, busy};
    return made;
  }

  // The first is this one, if its certificate is of that authority.
  proxy::Settings settings_by_tls(const ScriptedUpstream& instead_of_first, const TestAuthority& trusted) {
    proxy::Settings made = settings();
    made.upstreams[0].port = instead_of_first.port();
    made.upstreams[0].tls = true;
    made.upstreams[0].ca_file = trusted.file();
    return made;
  }

  // Each takes one call at a time.
  proxy::Settings one_at_a_time() {
    proxy::Settings made = settings();
    for (proxy::Upstream& each : made.upstreams) each.limits.concurrency = 1;
    return made;
  }

  ScriptedUpstream first, second;
};

// Three calls to two accounts that take one at a time: the first two have begun, the third waits.
struct BusyAccounts {
  BusyAccounts(TestProxy& proxy, const ScriptedUpstream& first, const ScriptedUpstream& second)
      : one(proxy.port()), two(proxy.port()), three(proxy.port()) {
    one.send(post("/v1/chat/completions", chat_body));
    EXPECT_TRUE(wait_for([&] { return first.requests().size() == 1; }));
    two.send(post("/v1/chat/completions", chat_body));
    EXPECT_TRUE(wait_for([&] { return second.requests().size() == 1; }));
    three.send(post("/v1/chat/completions", chat_body));
  }
  RawClient one, two, three;
};

HttpMessage call(TestProxy& proxy, const std::string& body = chat_body, std::string_view headers = {}) {
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", body, headers));
  return client.read_response();
}

TEST_F(Failover, TheFirstServesWhileItIsWell) {
  first.answer_always(answer_of("first"));
  TestProxy proxy(settings());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(call(proxy).field("x-weir-upstream"), "first");
}

std::string key_refused() {
  return answer_with("401 Unauthorized\r\nContent-Type: application/json\r\n",
                     R"({"error":{"message":"no","type":"t","param":null,"code":"invalid_api_key"}})");
}

std::string ask_operators(TestProxy& proxy, std::string_view path) {
  RawClient operators(proxy.operators_port());
  operators.send(get(path));
  return operators.read_response().body;
}

TEST_F(Failover, AnAccountThatDoesNotTakeTheKeyOfWeirIsLeftOutAndSaysSo) {
  first.answer_always(key_refused());
  second.answer_always(answer_of("second"));
  TestProxy proxy(settings());
  for (int i = 0; i < 3; ++i) {
    const HttpMessage answer = call(proxy);
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.field("x-weir-upstream"), "second");
  }
  const std::string upstreams = ask_operators(proxy, "/weir/upstreams");
  EXPECT_NE(upstreams.find("first does not take the key that weir has for it (status 401, invalid_api_key)"),
            std::string::npos)
      << upstreams;
  EXPECT_NE(ask_operators(proxy, "/readyz").find("first does not take the key"), std::string::npos);
}

TEST_F(Failover, WhenNoAccountTakesItsKeyTheCallerHearsTheProvidersOwnWords) {
  first.answer_always(key_refused());
  second.answer_always(key_refused());
  TestProxy proxy(settings());
  const HttpMessage answer = call(proxy);
  EXPECT_EQ(answer.status(), 401);
  EXPECT_EQ(answer.count("x-weir-error"), 0u);
  EXPECT_EQ(answer.field("x-weir-attempts"), "2");
}

TEST_F(Failover, ARefusedKeyThatTheCallerBroughtIsNoTroubleOfTheAccount) {
  proxy::Settings made = settings_for({upstream_at(first.port(), "first")});
  made.clients.mode = proxy::ClientMode::pass_through;
  made.upstreams[0].api_key.clear();
  first.answer_always(key_refused());
  TestProxy proxy(std::move(made));
  EXPECT_EQ(call(proxy, chat_body, "Authorization: Bearer sk-mine\r\n").status(), 401);
  EXPECT_EQ(ask_operators(proxy, "/weir/upstreams").find("refuses_key"), std::string::npos);
}

TEST_F(Failover, ACallTurnedAwayGoesToTheSecondAtOnce) {
  first.answer_always(refused_with("rate_limit_exceeded", "retry-after: 30\r\n"));
  second.answer_always(answer_of("second"));
  TestProxy proxy(settings());
  const HttpMessage answer = call(proxy);
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.field("x-weir-upstream"), "second");
  EXPECT_EQ(answer.field("x-weir-attempts"), "2");
  // While the first is to be left alone, the next goes to the second straight away.
  EXPECT_EQ(call(proxy).field("x-weir-attempts"), "1");
  EXPECT_EQ(first.requests().size(), 1u);
}

TEST_F(Failover, TheSecondIsAskedWithItsOwnKeyAndModel) {
  first.answer_always(refused_with("insufficient_quota"));
  second.answer_always(answer_of("second"));
  proxy::Settings made = settings();
  made.routes[0].targets[1].model = "other-name";
  TestProxy proxy(made);
  EXPECT_EQ(call(proxy).status(), 200);
  ASSERT_EQ(second.requests().size(), 1u);
  EXPECT_EQ(second.requests()[0].field("authorization"), "Bearer sk-of-second");
  EXPECT_EQ(second.requests()[0].body, R"({"model":"other-name","messages":[]})");
}

TEST_F(Failover, WithoutMoneyEverywhereTheErrorIsTheProvidersOwn) {
  first.answer_always(refused_with("insufficient_quota"));
  second.answer_always(refused_with("insufficient_quota"));
  TestProxy proxy(settings());
  const HttpMessage answer = call(proxy);
  EXPECT_EQ(answer.status(), 429);
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_EQ(call(proxy).field("x-should-retry"), "false");
  EXPECT_EQ(first.requests().size(), 1u);
  EXPECT_EQ(second.requests().size(), 1u);
}

TEST_F(Failover, WithoutBreakersTooEachAccountWithoutMoneyIsAskedOnceByACall) {
  first.answer_always(refused_with("insufficient_quota"));
  second.answer_always(refused_with("insufficient_quota"));
  proxy::Settings made = settings();
  made.breaker_enabled = false;
  TestProxy proxy(made);
  const HttpMessage answer = call(proxy);
  EXPECT_EQ(answer.status(), 429);
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_EQ(first.requests().size(), 1u);
  EXPECT_EQ(second.requests().size(), 1u);
}

TEST_F(Failover, WithoutMoneyACallWaitsForTheOtherAccountAlthoughThatIsBusy) {
  first.answer_always(refused_with("insufficient_quota"));
  second.expect_request().hold().send(answer_of("second"));
  for (int i = 0; i < 4; ++i) second.expect_request().send(answer_of("second"));
  proxy::Settings made = settings();
  made.upstreams[1].limits.concurrency = 1;
  TestProxy proxy(made);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<RawClient>(proxy.port()));
    clients.back()->send(post("/v1/chat/completions", chat_body));
  }
  ASSERT_TRUE(wait_for([&] { return second.requests().size() == 1; }));
  ASSERT_TRUE(wait_for([&] { return !first.requests().empty(); }));
  second.release();
  for (const auto& client : clients) EXPECT_EQ(client->read_response().field("x-weir-upstream"), "second");
}

TEST_F(Failover, ACallThatWaitsForAnAccountLeavesItWhenThatIsFoundWithoutMoney) {
  first.expect_request().hold().send(refused_with("insufficient_quota"));
  second.expect_request().hold().send(answer_of("second"));
  for (int i = 0; i < 2; ++i) second.expect_request().send(answer_of("second"));
  TestProxy proxy(one_at_a_time());
  BusyAccounts busy(proxy, first, second);
  first.release();
  second.release();
  for (RawClient* client : {&busy.one, &busy.two, &busy.three})
    EXPECT_EQ(client->read_response().field("x-weir-upstream"), "second");
}

TEST_F(Failover, WithoutRetriesTheNextCallStillLeavesOutAnAccountWithoutMoney) {
  first.answer_always(refused_with("insufficient_quota"));
  second.answer_always(answer_of("second"));
  proxy::Settings made = settings();
  made.retry.enabled = false;
  TestProxy proxy(made);
  EXPECT_EQ(call(proxy).status(), 429);
  EXPECT_EQ(call(proxy).field("x-weir-upstream"), "second");
}

TEST_F(Failover, WithoutTimeToWaitFailuresGoOnElsewhereWithinTheRetryBudget) {
  for (ScriptedUpstream* each : {&first, &second}) {
    each->answer_always(answer_with("500 Internal Server Error\r\nContent-Type: application/json\r\n",
                                    R"({"error":{"message":"broken"}})"));
  }
  proxy::Settings made = settings();
  made.breaker_enabled = false;
  made.queue.wait_max = proxy::Duration(0);
  TestProxy proxy(made);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(call(proxy).status(), 500);
  const std::size_t calls = first.requests().size() + second.requests().size();
  EXPECT_GT(calls, 60u);             // ten of each account's
  EXPECT_LE(calls, 50u + 5u + 20u);  // and a tenth
}

TEST_F(Failover, AStreamThatFailedBeforeItsFirstWordIsSpokenByTheSecond) {
  first.expect_request().send(stream_head() + chunk(": keep-alive\n\n")).reset();
  second.expect_request().send(stream_head() + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings());
  const HttpMessage answer = call(proxy, stream_body);
  EXPECT_EQ(answer.body, chat_stream());
  EXPECT_EQ(answer.field("x-weir-upstream"), "second");
}

TEST_F(Failover, AfterAWordItDoesNotMove) {
  first.expect_request().send(stream_head() + chunk(chat_event("Hel"))).reset();
  TestProxy proxy(settings());
  EXPECT_NE(call(proxy, stream_body).body.find("data: {\"error\":"), std::string::npos);
  EXPECT_TRUE(second.requests().empty());
}

TEST_F(Failover, AnAccountThatIsGoneComesBackAfterItsRest) {
  std::uint16_t dead = 0;
  {
    const ScriptedUpstream gone;
    dead = gone.port();
  }
  second.answer_always(answer_of("second"));
  proxy::Settings made = settings();
  made.upstreams[0].port = dead;
  made.retry.pause_max = proxy::Duration(60'000);
  TestProxy proxy(made);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(call(proxy).field("x-weir-upstream"), "second");
  EXPECT_EQ(call(proxy).field("x-weir-attempts"), "1");  // the first has its rest
  made.upstreams[0].port = first.port();
  first.answer_always(answer_of("first"));
  proxy.reload(made);
  EXPECT_TRUE(wait_for([&] { return call(proxy).field("x-weir-upstream") == "first"; }));
}

TEST_F(Failover, AnAccountWhoseCertificateCannotBeVerifiedIsAskedOnceByACall) {
  const TestAuthority trusted, other;
  const TestCertificate certificate = other.issue("localhost", "IP:127.0.0.1");
  ScriptedUpstream untrusted(net::make_server_tls(certificate.certificate_file, certificate.key_file));
  untrusted.answer_always(answer_of("untrusted"));
  second.expect_request().send(refused_with("rate_limit_exceeded", "retry-after-ms: 5\r\n"));
  second.expect_request().send(answer_of("second"));
  TestProxy proxy(settings_by_tls(untrusted, trusted));
  const HttpMessage answer = call(proxy);
  EXPECT_EQ(answer.field("x-weir-upstream"), "second");
  EXPECT_EQ(answer.field("x-weir-attempts"), "3");
  EXPECT_EQ(untrusted.connections(), 1u);
}

TEST_F(Failover, ACallWaitsForTheOtherWhereOneFailsInAWayThatLasts) {
  const TestAuthority trusted;
  const TestCertificate certificate = trusted.self_signed("localhost", "IP:127.0.0.1");
  ScriptedUpstream untrusted(net::make_server_tls(certificate.certificate_file, certificate.key_file));
  auto& script = second.script();
  for (int i = 0; i < 5; ++i) script.expect_request().send(answer_of("second"));
  script.expect_request().send(refused_with("rate_limit_exceeded", "retry-after-ms: 1500\r\n"));
  script.expect_request().send(answer_of("second"));
  proxy::Settings made = settings_by_tls(untrusted, trusted);
  made.retry.pause_max = 1h;
  TestProxy proxy(made);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(call(proxy).field("x-weir-attempts"), "2");
  // The first has a rest of one second now, and the second wants to be left alone for longer.
  const HttpMessage answer = call(proxy);
  EXPECT_EQ(answer.status(), 200) << answer.body;
  EXPECT_EQ(answer.field("x-weir-upstream"), "second");
}

TEST_F(Failover, ACallMovesToTheAccountThatHasRoomSooner) {
  first.expect_request().hold().send(answer_of("first"));
  second.expect_request().hold().send(answer_of("second")).expect_request().send(answer_of("second"));
  TestProxy proxy(one_at_a_time());
  BusyAccounts busy(proxy, first, second);
  second.release();
  EXPECT_EQ(busy.two.read_response().field("x-weir-upstream"), "second");
  EXPECT_EQ(busy.three.read_response().field("x-weir-upstream"), "second");
  first.release();
  EXPECT_EQ(busy.one.read_response().field("x-weir-upstream"), "first");
}

TEST_F(Failover, ANamedAccountIsTheOnlyOne) {
  first.answer_always(answer_of("first"));
  second.answer_always(answer_of("second"));
  TestProxy proxy(settings());
  EXPECT_EQ(call(proxy, chat_body, "x-weir-upstream: second\r\n").field("x-weir-upstream"), "second");
}

TEST_F(Failover, EqualAccountsShareTheCallsAndLongPromptsStay) {
  first.answer_always(answer_of("first"));
  second.answer_always(answer_of("second"));
  proxy::Settings made = settings();
  made.routes[0].targets[1].order = 1;
  TestProxy proxy(made);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(call(proxy).status(), 200);
  EXPECT_GE(first.requests().size(), 5u);
  EXPECT_GE(second.requests().size(), 5u);
  const std::string prompt(8000, 'x');
  const auto ask_long = [&](const std::string& end) {
    return R"({"model":"m","messages":[{"role":"user","content":")" + prompt + end + "\"}]}";
  };
  const std::string home = call(proxy, ask_long("first question")).field("x-weir-upstream");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(call(proxy, ask_long(std::to_string(i))).field("x-weir-upstream"), home);
  }
}

}  // namespace
}  // namespace weir::test
