// Shutdown in its three stages, reload while streams run, and the operators' door.
#include <gtest/gtest.h>

#include <future>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

void expect_shutting_down(const HttpMessage& answer) {
  EXPECT_EQ(answer.status(), 503);
  EXPECT_EQ(code_of(answer), "weir_shutting_down");
  EXPECT_EQ(answer.field("retry-after"), "1");
  EXPECT_EQ(answer.field("connection"), "close");
}

// Of a call that had no answer yet when weir insisted.
void expect_it_ends_with_an_answer(RawClient& client, TestProxy& proxy) {
  expect_shutting_down(client.read_response());
  EXPECT_TRUE(client.sees_end());
  EXPECT_TRUE(proxy.wait_sessions(0));
  EXPECT_EQ(proxy.record().outcome, "shutdown");
}

// The body has begun to be read when this returns.
void send_half_a_body(RawClient& client) {
  const std::string request = post("/v1/chat/completions", chat_body, "Expect: 100-continue\r\n");
  client.send(request.substr(0, request.size() - chat_body.size()));
  EXPECT_EQ(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send(chat_body.substr(0, 3));
}

TEST(Shutdown, EndsIdleConnectionsAndLetsStreamsFinish) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head() + chunk(chat_event("a")))
      .hold()
      .send(chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient idle(proxy.port()), used(proxy.port()), streaming(proxy.port());
  used.send(get("/healthz"));
  used.read_response();
  streaming.send(post("/v1/chat/completions", stream_body));
  streaming.read_until(chunk(chat_event("a")));
  ASSERT_TRUE(proxy.wait_sessions(3));
  proxy.stop();
  EXPECT_TRUE(idle.sees_end());
  EXPECT_TRUE(used.sees_end());
  upstream.release();
  EXPECT_EQ(streaming.read_exactly(chunk(chat_stream()).size()), chunk(chat_stream()));
  EXPECT_EQ(streaming.read_exactly(last_chunk().size()), last_chunk());
  EXPECT_TRUE(streaming.sees_end());
  EXPECT_TRUE(proxy.wait_sessions(0));
  EXPECT_EQ(proxy.record().outcome, "ok");
  EXPECT_THROW(RawClient(proxy.port()), SocketError);
}

TEST(Shutdown, SaysCloseInAnswersThatBeginAfterIt) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  ASSERT_TRUE(upstream.wait_requests(1));
  proxy.stop();
  upstream.release();
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.body, "{}");
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_TRUE(client.sees_end());
}

TEST(Shutdown, SaysCloseInAHeadThatAHeartbeatSendsAfterIt) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(stream_head() + chunk(chat_stream()) + last_chunk());
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.heartbeat.first_after = 300ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  ASSERT_TRUE(upstream.wait_requests(1));
  proxy.stop();
  const std::string head = client.read_head();
  EXPECT_NE(head.find("x-weir-queue-state: waiting"), std::string::npos) << head;
  EXPECT_NE(head.find("connection: close"), std::string::npos) << head;
  upstream.release();
  client.read_until(last_chunk());
  EXPECT_TRUE(client.sees_end());
}

TEST(Shutdown, EndsAConnectionWhoseHeadIsNotThereYet) {
  ScriptedUpstream upstream;
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body).substr(0, 30));
  ASSERT_TRUE(proxy.wait_sessions(1));
  proxy.announce_shutdown();
  EXPECT_EQ(proxy.sessions(), 1u) << "there is still time to send the rest";
  proxy.stop();
  EXPECT_TRUE(client.sees_end());
  EXPECT_TRUE(proxy.wait_sessions(0));
  EXPECT_EQ(upstream.connections(), 0u);
}

TEST(Shutdown, AnswersABodyThatDoesNotComeSoon) {
  ScriptedUpstream upstream;
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  send_half_a_body(client);
  proxy.stop();
  expect_shutting_down(client.read_response());
  client.close();
  EXPECT_TRUE(proxy.wait_sessions(0));
  EXPECT_EQ(upstream.connections(), 0u);
}

TEST(Shutdown, ServesABodyThatIsOnItsWay) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  const std::string request = post("/v1/chat/completions", chat_body, "Expect: 100-continue\r\n");
  client.send(request.substr(0, request.size() - chat_body.size()));
  EXPECT_EQ(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  proxy.stop();
  client.send(chat_body);
  EXPECT_EQ(client.read_response().body, "{}");
  EXPECT_TRUE(client.sees_end());
}

TEST(Shutdown, InsistingEndsStreamsWithAnErrorEvent) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  client.read_until(chunk(chat_event("a")));
  proxy.stop();
  proxy.insist();
  const std::string rest = client.read_until(last_chunk());
  EXPECT_NE(rest.find("data: {\"error\":{"), std::string::npos) << rest;
  EXPECT_NE(rest.find("weir_shutting_down"), std::string::npos) << rest;
  EXPECT_TRUE(client.sees_end());
  EXPECT_TRUE(upstream.wait_done());
  EXPECT_EQ(proxy.record().outcome, "shutdown");
}

TEST(Shutdown, InsistingEndsCallsThatWaitForTheirAnswer) {
  ScriptedUpstream upstream;
  upstream.expect_request().expect_end();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  ASSERT_TRUE(upstream.wait_requests(1));
  proxy.stop();
  proxy.insist();
  expect_it_ends_with_an_answer(client, proxy);
  EXPECT_TRUE(upstream.wait_done());
}

TEST(Shutdown, InsistingAnswersARequestWhoseBodyIsStillComing) {
  ScriptedUpstream upstream;
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  send_half_a_body(client);
  proxy.stop();
  proxy.insist();
  expect_it_ends_with_an_answer(client, proxy);
}

TEST(Shutdown, InsistingEndsWhatTheClientDoesNotRead) {
  std::string large;
  while (large.size() < 32u << 20) large += chunk(chat_event(std::string(20'000, 'b')));
  ScriptedUpstream upstream;
  upstream.abandon();
  upstream.expect_request().send(stream_head() + large);
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port(), "127.0.0.1", 4096);
  client.send(post("/v1/chat/completions", stream_body));
  client.read_head();
  proxy.stop();
  proxy.insist();
  EXPECT_TRUE(proxy.wait_sessions(0));
}

TEST(Reload, LeavesWhatIsUnderWayAlone) {
  ScriptedUpstream before, after;
  before.expect_request().send(stream_head() + chunk(chat_event("a"))).hold().send(chunk(chat_stream()) + last_chunk());
  after.expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(before.port(), "before")}));
  RawClient streaming(proxy.port()), idle(proxy.port());
  idle.send(get("/healthz"));
  idle.read_response();
  streaming.send(post("/v1/chat/completions", stream_body));
  streaming.read_until(chunk(chat_event("a")));
  proxy.reload(settings_for({upstream_at(after.port(), "after")}));
  // A connection that waited through the reload uses the new settings.
  idle.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(idle.read_response().field("x-weir-upstream"), "after");
  before.release();
  streaming.read_until(chunk(chat_stream()) + last_chunk());
  EXPECT_EQ(proxy.record(1).upstream, "before");
}

TEST(Reload, WhileAHeaderIsComing) {
  ScriptedUpstream upstream;
  upstream.answer_always(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  const std::string request = post("/v1/chat/completions", chat_body);
  client.send(request.substr(0, 20));
  ASSERT_TRUE(proxy.wait_sessions(1));
  proxy.reload(settings_for({upstream_at(upstream.port())}));
  client.send_in_pieces(request.substr(20), 7);
  EXPECT_EQ(client.read_response().status(), 200);
}

TEST(Probes, SayLittleToClientsAndReasonsToOperators) {
  ScriptedUpstream upstream;
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  const auto ask_for = [&](std::uint16_t port, const std::string& path) {
    RawClient client(port);
    client.send("GET " + path +
                " HTTP/1.1\r\nHost: anything.example\r\nOrigin: http://page\r\nConnection: close\r\n\r\n");
    const HttpMessage answer = client.read_response();
    return std::to_string(answer.status()) + " " + answer.body;
  };
  EXPECT_EQ(ask_for(proxy.port(), "/healthz"), "200 ok\n");
  EXPECT_EQ(ask_for(proxy.port(), "/readyz"), "200 ok\n");
  EXPECT_EQ(ask_for(proxy.operators_port(), "/readyz"), "200 ready: 1 upstream(s) configured\n");
  proxy.announce_shutdown();
  EXPECT_EQ(ask_for(proxy.port(), "/readyz"), "503 not ready\n");
  EXPECT_EQ(ask_for(proxy.operators_port(), "/readyz"), "503 shutting down\n");
  EXPECT_EQ(ask_for(proxy.port(), "/healthz"), "200 ok\n");
  proxy.reload(proxy::Settings());
  EXPECT_TRUE(proxy.records().empty());  // probes are not logged
}

TEST(Operators, GetTheEmptyPageWithoutATokenAndItsFiguresWithOne) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port(), "account-name")});
  settings.operator_token = "secret";
  TestProxy proxy(settings);
  const auto answer_to = [&](const std::string& request) {
    RawClient client(proxy.operators_port());
    client.send(request);
    return client.read_response();
  };
  for (const char* path : {"/weir/", "/weir"}) {
    const HttpMessage page = answer_to(get(path));
    EXPECT_EQ(page.status(), 200) << path;
    EXPECT_TRUE(page.field("content-type").starts_with("text/html")) << path;
    EXPECT_EQ(page.body.find("account-name"), std::string::npos) << path;
  }
  const HttpMessage root = answer_to(get("/"));
  EXPECT_EQ(root.status(), 307);
  EXPECT_EQ(root.field("location"), "/weir/");
  for (const char* path : {"/weir/status", "/weir/queue", "/weir/budgets", "/weir/upstreams", "/metrics"}) {
    EXPECT_EQ(answer_to(get(path)).status(), 401) << path;
    EXPECT_EQ(answer_to(get(path, "Authorization: Bearer secret\r\n")).status(), 200) << path;
    std::string probe = get(path, "Authorization: Bearer secret\r\nConnection: close\r\n");
    probe.replace(0, 3, "HEAD");
    RawClient client(proxy.operators_port());
    client.send(probe);
    const std::string head = client.read_to_end();
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200")) << path;
    EXPECT_TRUE(head.ends_with("\r\n\r\n")) << path;
  }
}

TEST(Operators, ReloadOnRequest) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.operator_token = "secret";
  TestProxy proxy(settings);
  RawClient client(proxy.operators_port());
  const auto status_of = [&](const std::string& bytes) {
    client.send(bytes);
    const HttpMessage answer = client.read_response();
    return std::to_string(answer.status()) + " " + answer.field("x-weir-error") + answer.body.substr(0, 60);
  };
  const std::string token = "Authorization: Bearer secret\r\n";
  const auto reload = [](const std::string& headers) {
    return "POST /weir/reload HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
  };
  EXPECT_TRUE(status_of(reload("")).starts_with("401 invalid_api_key"));
  EXPECT_TRUE(status_of(reload("Authorization: Bearer wrong\r\n")).starts_with("401 invalid_api_key"));
  EXPECT_TRUE(status_of(reload(token + "Origin: http://page\r\n")).starts_with("403 origin_not_allowed"));
  EXPECT_TRUE(status_of(get("/weir/reload", token)).starts_with("404 weir_unknown_route"));
  EXPECT_TRUE(status_of(post("/v1/chat/completions", "", token)).starts_with("404 weir_unknown_route"));
  EXPECT_EQ(status_of(reload(token)), R"(200 {"schema":1,"reloaded":true})");
  proxy.on_reload_request([] { return std::optional<std::string>("weir.yaml:3:1: no \"such\" key"); });
  EXPECT_EQ(status_of(reload(token)), R"(422 {"schema":1,"reloaded":false,"problem":"weir.yaml:3:1: no \")");
  EXPECT_EQ(status_of("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").substr(0, 3), "200");
  EXPECT_TRUE(upstream.requests().empty());
}

// A web page that points a name of its own at loopback (DNS rebinding) says that name.
TEST(Operators, AreNotAskedByANameOfAPageWithoutAToken) {
  proxy::Settings settings = settings_for({});
  TestProxy proxy(settings);
  const auto ask_by = [&](const std::string& host, const std::string& token) {
    RawClient client(proxy.operators_port());
    client.send("GET /weir/queue HTTP/1.1\r\nHost: " + host + "\r\n" + token + "\r\n");
    return client.read_response().status();
  };
  EXPECT_EQ(ask_by("page.example:8081", ""), 403);
  EXPECT_EQ(ask_by("localhost:8081", ""), 200);
  EXPECT_EQ(ask_by("10.1.2.3", ""), 200);
  settings.operator_token = "secret";
  proxy.reload(settings);
  EXPECT_EQ(ask_by("weir.example", "Authorization: Bearer secret\r\n"), 200);
}

TEST(Operators, MayLeaveBeforeTheReloadIsOver) {
  std::promise<void> go_on;
  ScriptedUpstream upstream;
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  proxy.on_reload_request([&]() -> std::optional<std::string> {
    go_on.get_future().wait();
    return std::nullopt;
  });
  {
    RawClient client(proxy.operators_port());
    client.send("POST /weir/reload HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ASSERT_TRUE(proxy.wait_sessions(1));
  }
  EXPECT_TRUE(proxy.wait_sessions(0));
  go_on.set_value();
}

TEST(Operators, AnswerWithABodyOnTheLineCloses) {
  TestProxy proxy(settings_for({}));
  RawClient client(proxy.operators_port());
  client.send(post("/weir/reload", "{}") + get("/healthz"));
  EXPECT_EQ(client.read_response().field("connection"), "close");
  client.end();
  EXPECT_EQ(client.read_to_end(), "");
}

}  // namespace
}  // namespace weir::test
