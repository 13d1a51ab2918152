// Bodies that weir does not read: passed on in both directions while they come. And bodies it reads, however they come.
#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

const std::string upload_head =
    "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n";

TEST(Upload, ReachesTheUpstreamBeforeItIsComplete) {
  ScriptedUpstream upstream;
  upstream.script()
      .expect_until("first half")
      .hold()
      .expect_until("second half")
      .send(json_answer(R"({"id":"file-1"})"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(upload_head + "Content-Length: 21\r\n\r\nfirst half");
  EXPECT_TRUE(upstream.wait_connections(1));
  EXPECT_TRUE(wait_for([&] { return upstream.received(0).find("first half") != std::string::npos; }));
  upstream.release();
  client.send("second half");
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, R"({"id":"file-1"})");
  EXPECT_NE(upstream.received(0).find("content-length: 21\r\n"), std::string::npos);
  EXPECT_NE(upstream.received(0).find("Content-Type: multipart/form-data; boundary=x\r\n"), std::string::npos);
}

TEST(Upload, InChunksCrossesInChunks) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}")).expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(upload_head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("one") + "3;ext=\"1\"\r\ntwo\r\n" +
              "0\r\nTrailer: x\r\n\r\n");
  EXPECT_EQ(client.read_response().status(), 200);
  const HttpMessage sent = upstream.requests().at(0);
  EXPECT_EQ(sent.body, "onetwo");
  EXPECT_EQ(sent.field("transfer-encoding"), "chunked");
  EXPECT_EQ(sent.count("content-length"), 0u);
  EXPECT_EQ(sent.raw_body.find("ext"), std::string::npos);
  EXPECT_EQ(sent.raw_body.find("Trailer"), std::string::npos);
  // Both connections can be used again.
  client.send(post("/v1/chat/completions", R"({"model":"m"})"));
  EXPECT_EQ(client.read_response().status(), 200);
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST(Upload, OfManyMegabytesCrossesByteForByte) {
  std::string body;
  for (unsigned i = 0; body.size() < 20u << 20; ++i) body += std::to_string(i * 2654435761u);
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(upload_head + "Transfer-Encoding: chunked\r\n\r\n");
  for (std::size_t at = 0; at < body.size(); at += 100'000)
    client.send(chunk(std::string_view(body).substr(at, 100'000)));
  client.send(last_chunk());
  EXPECT_EQ(client.read_response().status(), 200);
  EXPECT_TRUE(upstream.requests().at(0).body == body);
  EXPECT_EQ(proxy.record().bytes_in, body.size());
}

// The rest of the upload must not be read as the next request.
TEST(Upload, AnsweredEarlyEndsTheClientsConnection) {
  ScriptedUpstream upstream;
  upstream.script()
      .expect_until("POST /v1/files")
      .expect_until("\r\n\r\n")
      .send(answer_with("400 Bad Request\r\nContent-Type: application/json\r\n", "{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(upload_head + "Content-Length: 5000\r\n\r\nx");
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 400);
  EXPECT_EQ(answer.count("x-weir-error"), 0u);
  EXPECT_EQ(answer.field("connection"), "close");
  client.send(get("/v1/files/smuggled"));
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(upstream.connections(), 1u);
  EXPECT_TRUE(proxy.wait_idle_upstreams(0));
}

TEST(Upload, RefusedWhileItIsBeingSentGivesTheUpstreamsAnswer) {
  ScriptedUpstream upstream;
  upstream.script()
      .expect_until("\r\n\r\n")
      .send(answer_with("413 Too Large\r\nConnection: close\r\n", "no"))
      .expect_end();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(upload_head + "Content-Length: 100000000\r\n\r\n" + std::string(100'000, 'x'));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 413);
  EXPECT_EQ(answer.body, "no");
  EXPECT_TRUE(upstream.wait_done());
}

// They come while the request is still being sent, and only say to go on.
TEST(InterimAnswers, DoNotEndAnUpload) {
  for (const char* last : {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "HTTP/1.1 10"}) {
    const std::string body(8u << 20, 'y');
    for (const bool is_json : {false, true}) {
      SCOPED_TRACE(std::string(last) + (is_json ? ", read whole" : ", passed on"));
      ScriptedUpstream upstream;
      const std::string rest = std::string(last).ends_with('0') ? "0 Continue\r\n\r\n" : "";
      upstream.script()
          .expect_until("\r\n\r\n")
          .send("HTTP/1.1 100 Continue\r\n\r\n" + std::string(last))
          .expect_until("x end")
          .send(rest + json_answer("{}"));
      TestProxy proxy(settings_for({upstream_at(upstream.port())}));
      RawClient client(proxy.port());
      if (is_json) {
        client.send(post("/v1/chat/completions", R"({"model":"m","x":")" + body + "x end\"}"));
      } else {
        client.send(upload_head + "Content-Length: " + std::to_string(body.size() + 5) + "\r\n\r\n" + body + "x end");
      }
      const HttpMessage answer = client.read_response();
      EXPECT_EQ(answer.status(), 200) << answer.body;
      EXPECT_EQ(answer.body, "{}");
    }
  }
}

TEST(Upload, WhoseClientLeavesBreaksOff) {
  ScriptedUpstream upstream;
  upstream.script().expect_until("part").expect_end();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  {
    RawClient client(proxy.port());
    client.send(upload_head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("part"));
    EXPECT_TRUE(upstream.wait_connections(1));
    EXPECT_TRUE(wait_for([&] { return upstream.received(0).find("part") != std::string::npos; }));
  }
  EXPECT_TRUE(upstream.wait_done());
  EXPECT_FALSE(upstream.received(0).ends_with(last_chunk()));
  EXPECT_EQ(proxy.record().outcome, "client_left");
}

TEST(Download, OfBinaryBytesCrossesUntouchedWhileItComes) {
  std::string first("\0\xff\r\n\r\ndata: {}\n\n", 17), second(300'000, '\x01');
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
            std::to_string(first.size() + second.size()) + "\r\n\r\n" + first)
      .hold()
      .send(second);
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(get("/v1/files/file-1/content"));
  client.read_head();
  EXPECT_EQ(client.read_exactly(first.size()), first);
  upstream.release();
  EXPECT_EQ(client.read_exactly(second.size()), second);
}

TEST(Download, ThatEndsWithItsConnectionIsFramed) {
  ScriptedUpstream upstream;
  upstream.expect_request().send("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\nsound").close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/audio/speech", "{}"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.field("transfer-encoding"), "chunked");
  EXPECT_EQ(answer.body, "sound");
  EXPECT_TRUE(answer.complete());
}

TEST(Body, ThatIsTakenSlowlyKeepsTheCallerAlive) {
  ScriptedUpstream upstream;
  upstream.script().hold().expect_request().send(stream_head() + chunk(chat_stream()) + last_chunk());
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.heartbeat = {10ms, 10ms, 10ms, 10ms};
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  const std::string text(24u << 20, 'x');
  client.send(post("/v1/chat/completions",
                   R"({"model":"m","stream":true,"messages":[{"role":"user","content":")" + text + R"("}]})"));
  client.read_until(chunk(": keep-alive\n"));
  client.read_until(chunk(": keep-alive\n"));
  upstream.release();
  EXPECT_NE(client.read_until(last_chunk()).find("[DONE]"), std::string::npos);
}

TEST(Body, OfAMegabyteCrossesHoweverItIsCut) {
  const std::string body =
      R"({"model":"m","messages":[{"role":"user","content":")" + std::string(1u << 20, 'p') + "\"}]}";
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}")).expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.socket().send(post("/v1/chat/completions", body).substr(0, 200));
  client.send_in_pieces(std::string_view(post("/v1/chat/completions", body)).substr(200), 10'007);
  EXPECT_EQ(client.read_response().status(), 200);
  std::string chunks;
  for (std::size_t at = 0; at < body.size(); at += 70'001) chunks += chunk(std::string_view(body).substr(at, 70'001));
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8\r\n"
      "Transfer-Encoding: chunked\r\n\r\n" +
      chunks + last_chunk());
  EXPECT_EQ(client.read_response().status(), 200);
  ASSERT_EQ(upstream.requests().size(), 2u);
  for (const HttpMessage& sent : upstream.requests()) {
    EXPECT_TRUE(sent.body == body);
    EXPECT_EQ(sent.field("content-length"), std::to_string(body.size()));
    EXPECT_EQ(sent.count("transfer-encoding"), 0u);
  }
}

TEST(Expect, IsAnsweredWith100WhenTheBodyIsNotThere) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}"));
  upstream.next_connection().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  const std::string body = R"({"model":"m"})";
  const std::string request = post("/v1/chat/completions", body, "Expect: 100-Continue\r\n");
  client.send(request.substr(0, request.size() - body.size()));
  EXPECT_EQ(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send(body);
  EXPECT_EQ(client.read_response().status(), 200);
  EXPECT_EQ(upstream.requests().at(0).count("expect"), 0u);
  client.send(upload_head + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_EQ(client.read_response().status(), 200);
}

TEST(Expect, IsPassedOverWhenTheBodyIsThere) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})", "Expect: 100-continue\r\n"));
  EXPECT_EQ(client.read_response().status(), 200);
}

TEST(Expect, OfAnHttp10ClientIsIgnored) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  const std::string body = R"({"model":"m"})";
  client.send(
      "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: "
      "100-continue\r\n"
      "Content-Length: 13\r\n\r\n");
  EXPECT_TRUE(client.silent_for(30ms));
  client.send(body);
  EXPECT_EQ(client.read_response().status(), 200);
}

TEST(Expect, OfABodyThatIsTooLargeGetsTheRefusalAtOnce) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.limits.body_bytes_max = 1000;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  const std::string request = post("/v1/chat/completions", std::string(1001, ' '), "Expect: 100-continue\r\n");
  client.send(request.substr(0, request.size() - 1001));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 413);
  EXPECT_EQ(code_of(answer), "weir_body_too_large");
}

TEST(Expect, OfARefusedRequestGetsTheRefusalAtOnce) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.clients.mode = proxy::ClientMode::keys;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n");
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 401);
  EXPECT_EQ(answer.field("connection"), "close");
}

}  // namespace
}  // namespace weir::test
