// Connections that serve more than one request: the client's, and the pooled ones to upstreams.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"
#include "proxy/snapshot.hpp"
#include "support/certificates.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

TEST(KeepAlive, ServesPipelinedRequestsInOrder) {
  ScriptedUpstream upstream;
  upstream.answer_always([](const HttpMessage& request) { return json_answer(request.body); });
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  std::string requests;
  for (int i = 0; i < 20; ++i)
    requests +=
        post("/v1/chat/completions", R"({"model":"m","n":)" + std::to_string(i + 1) + "}") + get("/healthz") + "\r\n";
  client.send(requests);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.read_response().body, R"({"model":"m","n":)" + std::to_string(i + 1) + "}");
    EXPECT_EQ(client.read_response().body, "ok\n");
  }
  EXPECT_EQ(upstream.connections(), 1u);
}

// More than is taken in while an exchange runs; nothing is lost and nothing is kept without bound.
TEST(KeepAlive, ServesMorePipelinedRequestsThanItTakesInAtOnce) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(json_answer("1"));
  upstream.script().expect_request().send(json_answer("2"));
  upstream.script().expect_request().send(json_answer("3"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  const std::string large = post("/v1/chat/completions", R"({"model":"m","x":")" + std::string(150'000, 'x') + "\"}");
  client.send(post("/v1/chat/completions", chat_body) + large + large);
  upstream.release();
  EXPECT_EQ(client.read_response().body, "1");
  EXPECT_EQ(client.read_response().body, "2");
  EXPECT_EQ(client.read_response().body, "3");
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST(KeepAlive, SkipsAFewEmptyLinesBeforeARequest) {
  TestProxy proxy(settings_for({}));
  RawClient client(proxy.port());
  client.send("\r\n\r\n\r\n\r\n" + get("/healthz"));
  EXPECT_EQ(client.read_response().body, "ok\n");
}

// Whatever stands in the line at the same time is served in between.
TEST(KeepAlive, APipeliningClientLeavesTheOthersTheirTurn) {
  constexpr std::size_t count = 500;
  std::size_t seen = 1, most = 0;
  std::promise<void> all_seen;
  std::function<void()> look;
  TestProxy proxy(settings_for({}));
  RawClient client(proxy.port());
  client.send(get("/nowhere"));
  EXPECT_EQ(client.read_response().status(), 404);
  ASSERT_TRUE(wait_for([&] { return proxy.records().size() == seen; }));
  proxy.on_worker([&](proxy::WorkerContext& context) {
    std::string requests;
    for (std::size_t i = 0; i < count; ++i) requests += get("/nowhere");
    client.send(requests);
    look = [&] {
      const std::size_t now = proxy.records().size();
      most = std::max(most, now - seen);
      seen = now;
      now > count ? all_seen.set_value() : context.worker.post(look);
    };
    context.worker.post(look);
  });
  ASSERT_EQ(all_seen.get_future().wait_for(20s), std::future_status::ready);
  EXPECT_LE(most, 64u);
}

// RFC 9112 §9.3: one that wants it kept would have to be told so, and waits for the end of the answer else.
TEST(KeepAlive, EndsAfterAnHttp10RequestThatAsksForMore) {
  TestProxy proxy(settings_for({}));
  RawClient client(proxy.port());
  client.send("GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client.read_response().field("connection"), "close");
  EXPECT_TRUE(client.sees_end());
}

TEST(KeepAlive, EndsWhenTheClientSaysSo) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body, "Connection: Close\r\n"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_TRUE(client.sees_end());
  EXPECT_TRUE(proxy.wait_idle_upstreams(1));  // that was the client's wish, not the upstream's
}

TEST(KeepAlive, EndsAfterAnHttp10Request) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("{}") +
      last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(
      "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(chat_body.size()) + "\r\n\r\n" + chat_body);
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.count("transfer-encoding"), 0u);
  EXPECT_EQ(answer.body, "{}");
  EXPECT_EQ(upstream.requests().at(0).start_line, "POST /v1/chat/completions HTTP/1.1");
}

TEST(KeepAlive, HeadTellsTheLengthAndSendsNoBody) {
  ScriptedUpstream upstream;
  upstream.expect_request().send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 500\r\n\r\n");
  upstream.script().expect_request().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  upstream.script().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send("HEAD /v1/files/f HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.read_response("HEAD").field("content-length"), "500");
  client.send("HEAD /v1/files/f HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.read_response("HEAD").status(), 200);
  client.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.read_response("HEAD").field("content-length"), "3");
  client.send("HEAD /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.read_response("HEAD").status(), 404);
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  EXPECT_EQ(upstream.connections(), 1u);
}

// Some clients take one for the final answer (docs/architecture.md).
TEST(InterimAnswers, OfTheUpstreamEndHere) {
  for (const char* interim : {"100 Continue", "102 Processing", "103 Early Hints"}) {
    ScriptedUpstream upstream;
    upstream.expect_request()
        .send("HTTP/1.1 " + std::string(interim) + "\r\nLink: </x>; rel=preload\r\n\r\n")
        .hold()
        .send(json_answer("{}", "x-of: the answer\r\n"));
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", chat_body));
    ASSERT_TRUE(upstream.wait_requests(1));
    upstream.release();
    const std::string head = client.read_head();
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << interim << head;
    EXPECT_EQ(head.find("preload"), std::string::npos) << head;
    EXPECT_NE(head.find("x-of: the answer"), std::string::npos) << head;
  }
}

TEST(KeepAlive, UnderstandsAHeadThatItMends) {
  ScriptedUpstream upstream;
  upstream.expect_request().send("HTTP/1.1 200\r\nContent-Type : application/json\r\nContent-Length\t: 2\r\n\r\n{}");
  upstream.script().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  const std::string head = client.read_head();
  EXPECT_NE(head.find("\r\nContent-Type: application/json\r\n"), std::string::npos) << head;
  EXPECT_EQ(client.read_exactly(2), "{}");
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST(KeepAlive, AnswersWithoutABodyKeepBothConnections) {
  ScriptedUpstream upstream;
  upstream.expect_request().send("HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n");
  upstream.script().expect_request().send("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"e\"\r\n\r\n");
  upstream.script().expect_request().send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
                                          answer_with("200 OK\r\n", ""));
  upstream.script().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send("DELETE /v1/files/f HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const HttpMessage no_content = client.read_response();
  EXPECT_EQ(no_content.status(), 204);
  EXPECT_EQ(no_content.count("content-length") + no_content.count("transfer-encoding"), 0u);
  client.send(get("/v1/files/f", "If-None-Match: \"e\"\r\n"));
  EXPECT_EQ(client.read_response().status(), 304);
  client.send(get("/v1/files/f"));
  const HttpMessage empty = client.read_response();
  EXPECT_EQ(empty.status(), 200);
  EXPECT_EQ(empty.field("content-length"), "0");
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST(KeepAlive, ForgetsAnUpstreamThatCloses) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}", "Connection: close\r\n")).expect_end();
  upstream.next_connection().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().count("connection"), 0u);
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  EXPECT_TRUE(upstream.wait_done());
}

// Bytes behind an answer belong to no request: they must not be the answer to the next one.
TEST(KeepAlive, ForgetsAnUpstreamThatSaysMoreThanItsAnswer) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}") + json_answer("forged")).expect_end();
  upstream.next_connection()
      .expect_request()
      .send(stream_head() + chunk(chat_stream()) + last_chunk() + json_answer("forged"))
      .expect_end();
  upstream.next_connection()
      .expect_request()
      .send("HTTP/1.1 204 No Content\r\n\r\n" + json_answer("forged"))
      .expect_end();
  upstream.next_connection().expect_request().send(json_answer("{\"last\":1}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  client.send(post("/v1/chat/completions", stream_body));
  EXPECT_EQ(client.read_response().body, chat_stream());
  client.send("DELETE /v1/files/f HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.read_response().status(), 204);
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{\"last\":1}");
  EXPECT_TRUE(upstream.wait_done());
}

// A body where there can be none comes behind its head, perhaps a little later.
TEST(KeepAlive, ForgetsAnUpstreamThatSendsABodyWhereThereIsNone) {
  for (const char* head : {"204 No Content\r\nContent-Length: 6", "204 No Content\r\nTransfer-Encoding: chunked",
                           "304 Not Modified\r\nTransfer-Encoding: chunked"}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send("HTTP/1.1 " + std::string(head) + "\r\n\r\n").expect_end();
    upstream.next_connection().expect_request().send(json_answer("{}"));
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(get("/v1/files/f"));
    EXPECT_LT(client.read_response().status(), 400) << head;
    client.send(post("/v1/chat/completions", chat_body));
    EXPECT_EQ(client.read_response().body, "{}") << head;
    EXPECT_TRUE(upstream.wait_done());
  }
}

class Stale : public ::testing::TestWithParam<bool> {};

TEST_P(Stale, ConnectionIsReplacedOnceByAFreshOne) {
  ScriptedUpstream upstream;
  auto& script = upstream.expect_request().send(json_answer("{}")).expect_request();
  GetParam() ? script.reset() : script.close();
  upstream.next_connection().expect_request().send(json_answer(R"({"fresh":1})"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  client.send(post("/v1/chat/completions", chat_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.body, R"({"fresh":1})");
  EXPECT_EQ(answer.field("x-weir-attempts"), "2");
  EXPECT_EQ(upstream.connections(), 2u);
}
INSTANTIATE_TEST_SUITE_P(Ends, Stale, ::testing::Bool(),
                         [](const auto& row) { return row.param ? "Reset" : "Closed"; });

// What was sent into a connection that was gone counts from when it is sent again, which may be long after.
TEST(KeepAlive, WhatWentIntoAStaleConnectionIsOnItsWayUntilItIsSentAgain) {
  const TestAuthority authority;
  const TestCertificate certificate = authority.issue("provider.test", "DNS:provider.test");
  const auto identity = net::make_server_tls(certificate.certificate_file, certificate.key_file);
  ScriptedUpstream tunnel;
  tunnel.expect_request().send("HTTP/1.1 200 OK\r\n\r\n").start_tls(identity);
  tunnel.script().expect_request().send(json_answer("{}")).expect_request().close();
  tunnel.next_connection().expect_request().hold().send("HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n").expect_end();
  proxy::Settings settings = settings_for({upstream_at(tunnel.port())});
  settings.upstreams[0].host = "provider.test";
  settings.upstreams[0].port = 443;
  settings.upstreams[0].tls = true;
  settings.upstreams[0].verify_tls = false;
  settings.upstreams[0].timeouts.connect = 60s;
  settings.upstreams[0].limits.rpm = 10;
  TestProxy proxy(std::move(settings));
  const net::ProxyRules through("http://127.0.0.1:" + std::to_string(tunnel.port()), {}, {});
  proxy.on_worker([&](proxy::WorkerContext& context) {
    context.snapshot = make_snapshot(context.snapshot->settings, through, context.snapshot->client_tls);
  });
  RawClient client(proxy.port()), operators(proxy.operators_port());
  const auto budgets = [&] {
    operators.send(get("/weir/budgets"));
    return operators.read_response().body;
  };
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  client.send(post("/v1/chat/completions", chat_body));
  ASSERT_TRUE(tunnel.wait_connections(2));
  EXPECT_NE(budgets().find(R"("rpm":{"limit":10,"used":1,"reserved":1,)"), std::string::npos) << budgets();
  tunnel.release();
  EXPECT_EQ(code_of(client.read_response()), "weir_upstream_connect");
  EXPECT_TRUE(
      wait_for([&] { return budgets().find(R"("rpm":{"limit":10,"used":1,"reserved":0,)") != std::string::npos; }));
}

TEST(KeepAlive, TriesAFreshConnectionOnlyOnce) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}")).expect_request().close();
  upstream.next_connection().expect_request().close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(code_of(client.read_response()), "weir_upstream_reset");
  EXPECT_EQ(upstream.connections(), 2u);
}

TEST(KeepAlive, NeverSendsAgainWhatWasBeingAnswered) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}")).expect_request().send("HTTP/1.1 2").close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(code_of(client.read_response()), "weir_upstream_truncated");
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST(KeepAlive, SendsUploadsOnFreshConnectionsOnly) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}"));
  upstream.next_connection().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().status(), 200);
  client.send(post("/v1/files", "abc"));
  EXPECT_EQ(client.read_response().status(), 200);
}

TEST(KeepAlive, SharesNothingBetweenClientsAtTheSameTime) {
  ScriptedUpstream upstream;
  upstream.answer_always([](const HttpMessage& request) {
    return stream_head() + chunk("data: " + request.body + "\n\n") + chunk(chat_stream()) + last_chunk();
  });
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      RawClient client(proxy.port());
      for (int i = 0; i < 50; ++i) {
        const std::string body = R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"seed":)" +
                                 std::to_string(t * 1000 + i) + "}";
        client.send(post("/v1/chat/completions", body));
        const HttpMessage answer = client.read_response();
        EXPECT_EQ(answer.body, "data: " + body + "\n\n" + chat_stream());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(upstream.connections(), 8u);
}

}  // namespace
}  // namespace weir::test
