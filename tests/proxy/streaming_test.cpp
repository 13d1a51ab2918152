// Event streams through the whole proxy: what crosses, in which pieces, and what a stream that is not whole looks like.
#include <gtest/gtest.h>

#include <random>

#include "proxy/proxy_support.hpp"
#include "support/seed.hpp"

namespace weir::test {
namespace {

const std::string ask_with_usage =
    R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]})";
const std::string usage_event =
    "data: "
    "{\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5,\"total_tokens\":16}}\n\n";

std::string to_crlf(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return out;
}

TEST(Streaming, RelaysAnEventTheMomentItIsComplete) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head() + chunk(chat_event("one")))
      .hold()
      .send(chunk(chat_event("two") + "data: [DONE]\n\n") + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const std::string head = client.read_head();
  EXPECT_NE(head.find("Content-Type: text/event-stream"), std::string::npos) << head;
  EXPECT_NE(head.find("cache-control: no-cache"), std::string::npos) << head;
  client.read_until(chunk(chat_event("one")));
  upstream.release();
  const std::string rest = chunk(chat_event("two") + "data: [DONE]\n\n") + last_chunk();
  EXPECT_EQ(client.read_exactly(rest.size()), rest);
}

TEST(Streaming, SendsAllThatOneReadBroughtAsOneChunk) {
  const std::string events = chat_event("a") + chat_event("b") + chat_stream();
  ScriptedUpstream upstream;
  std::string in_chunks;
  for (std::size_t at = 0; at < events.size(); at += 50) in_chunks += chunk(std::string_view(events).substr(at, 50));
  upstream.expect_request().send(stream_head() + in_chunks + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.body, events);
  EXPECT_EQ(answer.chunks.size(), 1u);
}

// Framing is normalised, keep-alives are absorbed, the usage that nobody but weir asked for is hidden: at every cut.
TEST(Streaming, GivesTheSameWhereverTheUpstreamsBytesAreCut) {
  const std::string wanted = chat_event("h\xc3\xa9") + chat_stream();
  const std::string sent = "\xef\xbb\xbf: hi\n\n" + to_crlf(chat_event("h\xc3\xa9")) + ": keep-alive\r\n\r\n\n" +
                           chat_stream().substr(0, chat_stream().find("data: [DONE]")) + usage_event +
                           "data: [DONE]\n\n";
  ScriptedUpstream upstream;
  auto& script = upstream.script();
  for (std::size_t cut = 1; cut < sent.size(); ++cut) {
    script.expect_request();
    script.send(stream_head() + chunk(sent.substr(0, cut))).send(chunk(sent.substr(cut)) + last_chunk());
  }
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  for (std::size_t cut = 1; cut < sent.size(); ++cut) {
    client.send(post("/v1/chat/completions", stream_body));
    const HttpMessage answer = client.read_response();
    ASSERT_EQ(answer.body, wanted) << "cut at " << cut;
    ASSERT_TRUE(answer.complete());
  }
  EXPECT_EQ(upstream.connections(), 1u);
  const auto record = proxy.record();
  EXPECT_TRUE(record.stream);
  EXPECT_EQ(record.input_tokens, 11u);
  EXPECT_EQ(record.output_tokens, 5u);
  EXPECT_EQ(record.keepalives_absorbed, 2u);
}

TEST(Streaming, GivesTheSameForRandomChunksAndWrites) {
  const Seed seed;
  std::mt19937_64 random(seed.value);
  const std::string wanted =
      chat_event("x") + chat_event("\\\"data: [DONE]\\n") + chat_event(std::string(3000, 'y')) + chat_stream();
  const auto up_to = [&](std::size_t most) { return std::uniform_int_distribution<std::size_t>(1, most)(random); };
  ScriptedUpstream upstream;
  constexpr int rounds = 60;
  auto& script = upstream.script();
  for (int round = 0; round < rounds; ++round) {
    const std::string text = round % 2 ? to_crlf(wanted) : wanted;
    std::string bytes = stream_head();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = std::min(up_to(200), text.size() - at);
      bytes += chunk(text.substr(at, size));
      at += size;
    }
    bytes += last_chunk();
    script.expect_request().send_in_pieces(bytes, up_to(round < 10 ? 3 : 400));
  }
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  for (int round = 0; round < rounds; ++round) {
    client.send(post("/v1/chat/completions", stream_body));
    ASSERT_EQ(client.read_response().body, wanted) << "round " << round;
  }
}

TEST(Streaming, AsksForUsageAndHidesItFromAClientThatDidNot) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a")) + chunk(usage_event) +
                                 chunk("data: [DONE]\n\n") + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  EXPECT_EQ(client.read_response().body, chat_event("a") + "data: [DONE]\n\n");
  EXPECT_NE(upstream.requests().at(0).body.find(R"("stream_options":{"include_usage":true})"), std::string::npos)
      << upstream.requests().at(0).body;
  EXPECT_EQ(upstream.requests().at(0).field("content-length"), std::to_string(upstream.requests().at(0).body.size()));
  EXPECT_EQ(proxy.record().output_tokens, 5u);
}

TEST(Streaming, TouchesNothingWhenTheClientAskedForUsage) {
  const std::string events =
      "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n" + usage_event + "data: [DONE]\n\n";
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(events) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", ask_with_usage));
  EXPECT_EQ(client.read_response().body, events);
  EXPECT_EQ(upstream.requests().at(0).body, ask_with_usage);
}

TEST(Streaming, ThatEndsInTheUpstreamsErrorIsNoSuccess) {
  const std::string error = R"(data: {"error":{"message":"no room","type":"server_error","code":"engine_down"}})"
                            "\n\n";
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a") + error) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  EXPECT_TRUE(client.read_response().body.ends_with(error));
  const observe::ExchangeRecord record = proxy.record();
  EXPECT_EQ(record.outcome, "upstream_error");
  EXPECT_EQ(record.cause, "fault");
  EXPECT_EQ(record.detail, "no room");
  ASSERT_EQ(record.tries.size(), 1u);
  EXPECT_EQ(record.tries[0].cause, "fault");
}

TEST(Streaming, ThatIsAnErrorWithoutItsBlankLineIsThatError) {
  const std::string error = R"(data: {"error":{"message":"no room","type":"server_error","code":"engine_down"}})"
                            "\n";
  for (const std::string& bytes :
       {chunk(error) + last_chunk(), chunk(error.substr(0, 20)) + chunk(error.substr(20)) + last_chunk(),
        chunk(error.substr(0, error.size() - 1)) + last_chunk()}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send(stream_head() + bytes);
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_TRUE(answer.complete());
    EXPECT_EQ(answer.body, error + "\n");
    EXPECT_EQ(proxy.record().outcome, "upstream_error");
    EXPECT_EQ(proxy.record().detail, "no room");
  }
}

// Libraries would stumble over it, and it is too late to say anything.
TEST(Streaming, EndsWithItsLastWordThoughHalfAnEventFollows) {
  for (const char* ending : {"data: {\"id\":", "data: {\"id\":\n", "data: [DONE]\n", ": keep-alive"}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send(stream_head() + chunk(chat_stream() + ending) + last_chunk());
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
    const HttpMessage answer = client.read_response();
    EXPECT_TRUE(answer.complete());
    EXPECT_EQ(answer.body, chat_stream()) << ending;
    EXPECT_EQ(proxy.record().outcome, "ok");
  }
}

// Of many servers the last line is the last byte.
TEST(Streaming, KeepsALastWordWithoutItsBlankLine) {
  const std::string events = chat_stream();
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(events.substr(0, events.size() - 1)) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  EXPECT_EQ(client.read_response().body, events);
}

TEST(Streaming, KeepsAnEventsOwnFields) {
  const std::string events =
      "event: response.created\nid: 7\nretry: 10\ndata: {\"type\":\"response.created\",\ndata: "
      "\"response\":{\"id\":\"resp_1\"}}\n\n"
      "event: response.completed\ndata: "
      "{\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":2,"
      "\"output_tokens\":3}}}\n\n";
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(events) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/responses", R"({"model":"m","stream":true,"input":"hi"})"));
  EXPECT_EQ(client.read_response().body, events);
  EXPECT_EQ(proxy.record().output_tokens, 3u);
}

TEST(Streaming, FramesACloseDelimitedStreamAsChunks) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n" + chat_stream())
      .close();
  upstream.next_connection().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.start_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(answer.field("transfer-encoding"), "chunked");
  EXPECT_EQ(answer.body, chat_stream());
  EXPECT_TRUE(answer.complete());
  client.send(post("/v1/chat/completions", R"({"model":"m"})"));
  EXPECT_EQ(client.read_response().body, "{}");
}

// Some servers call their events text.
TEST(Streaming, KnowsAStreamThatDoesNotSayThatItIsOne) {
  for (const std::string type : {"Content-Type: text/plain\r\n", "Content-Type: application/octet-stream\r\n", ""}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + type + "\r\n" +
                                   chunk(": keep-alive\n\n") + chunk(chat_stream()) + last_chunk());
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.body, chat_stream());
    EXPECT_EQ(answer.field("content-type"), "text/event-stream");
    EXPECT_EQ(answer.count("content-type"), 1u);
  }
}

TEST(Streaming, FramesAStreamOfKnownLengthAsChunksToo) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(answer_with("200 OK\r\nContent-Type: text/event-stream\r\n", to_crlf(chat_stream())));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.count("content-length"), 0u);
  EXPECT_EQ(answer.body, chat_stream());
}

TEST(Streaming, RelaysACompressedStreamUntouched) {
  const std::string bytes("\x1f\x8b\x08\0 data: x\r\n\r\n: c\n\n", 21);
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head("Content-Encoding: gzip\r\n") + chunk(bytes) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body, "Accept-Encoding: gzip\r\n"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.field("content-encoding"), "gzip");
  EXPECT_EQ(answer.body, bytes);
  EXPECT_EQ(upstream.requests().at(0).field("accept-encoding"), "identity");
}

TEST(Streaming, PassesAnEventAboveAMegabyteThroughAsItArrives) {
  const std::string large = chat_event(std::string(3u << 20, 'z'));
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head() + chunk(large.substr(0, 2u << 20)))
      .hold()
      .send(chunk(large.substr(2u << 20)) + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  client.read_head();
  client.read_exactly(1u << 20);  // before the upstream has sent its end
  upstream.release();
  client.read_until("data: [DONE]\n\n\r\n" + last_chunk());
  EXPECT_EQ(proxy.record().outcome, "ok");
}

TEST(Streaming, EndsAnHttp10StreamWithItsConnection) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(
      "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Type: "
      "application/json\r\n"
      "Content-Length: " +
      std::to_string(stream_body.size()) + "\r\n\r\n" + stream_body);
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.count("transfer-encoding"), 0u);
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_EQ(answer.body, chat_stream());
}

TEST(Streaming, KeepsAnUpstreamConnectionWhoseClientLeftAfterTheLastWord) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head() + chunk(chat_stream()))
      .hold()
      .send(last_chunk())
      .expect_request()
      .send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  {
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body));
    client.read_until("data: [DONE]\n\n\r\n");
  }
  upstream.release();
  EXPECT_TRUE(proxy.wait_idle_upstreams(1));
  EXPECT_EQ(proxy.record().outcome, "ok");
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})"));
  EXPECT_EQ(client.read_response().body, "{}");
  EXPECT_EQ(upstream.connections(), 1u);
}

// A client that leaves after the last word must not let a half-read answer reach the next caller.
TEST(Streaming, DropsAnUpstreamConnectionThatDoesNotEndItsStream) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_stream())).expect_end();
  upstream.next_connection().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  {
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body));
    client.read_until("data: [DONE]\n\n\r\n");
  }
  EXPECT_TRUE(proxy.wait_sessions(0));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})"));
  EXPECT_EQ(client.read_response().body, "{}");
}

TEST(Streaming, ClosesTheUpstreamWhenTheClientLeavesInTheMiddle) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  {
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body));
    client.read_until(chunk(chat_event("a")));
  }
  EXPECT_TRUE(upstream.wait_done());
  EXPECT_EQ(proxy.record().outcome, "client_left");
}

TEST(Streaming, ClosesTheUpstreamWhenTheClientLeavesBeforeTheAnswer) {
  ScriptedUpstream upstream;
  upstream.expect_request().expect_end();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  {
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body));
    EXPECT_TRUE(upstream.wait_requests(1));
  }
  EXPECT_TRUE(upstream.wait_done());
  EXPECT_EQ(proxy.record().outcome, "client_left");
}

}  // namespace
}  // namespace weir::test
