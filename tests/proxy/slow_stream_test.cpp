// Streams in which time matters: heartbeats, stalls, clients that do not read. Limits are short; nothing is measured.
#include <gtest/gtest.h>

#include "net/connection.hpp"
#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"
#include "proxy/session.hpp"

namespace weir::test {
namespace {

TEST(Heartbeat, IsACommentWithExactlyOneLineFeed) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head() + chunk(": theirs\n\n"))
      .hold()
      .send(chunk(chat_stream()) + last_chunk());
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  client.read_head();
  const std::string beat = chunk(": keep-alive\n");
  EXPECT_EQ(client.read_exactly(2 * beat.size()), beat + beat);
  RawClient operators(proxy.operators_port());
  operators.send(get("/metrics"));
  const std::string metrics = operators.read_response().body;
  constexpr std::string_view name = "\nweir_heartbeats_sent_total ";
  const auto count = metrics.find(name);
  ASSERT_NE(count, std::string::npos) << "counted while their call goes on";
  EXPECT_GE(std::stoi(metrics.substr(count + name.size())), 2);
  upstream.release();
  client.read_until(chunk(chat_stream()) + last_chunk());
  EXPECT_GE(proxy.record().heartbeats_sent, 2u);
}

TEST(Heartbeat, IsAPingEventInAnthropicsShape) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head())
      .hold()
      .send(chunk("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n") + last_chunk());
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/messages", R"({"model":"m","stream":true,"max_tokens":5,"messages":[]})"));
  client.read_head();
  const std::string beat = chunk("event: ping\ndata: {\"type\": \"ping\"}\n\n");
  EXPECT_EQ(client.read_exactly(beat.size()), beat);
  upstream.release();
  client.read_until("message_stop\"}\n\n\r\n" + last_chunk());
}

// The key's owner chooses for all calls, a call for itself.
TEST(Heartbeat, IsForTheKeyAndTheCallToChoose) {
  const auto hears = [](bool key_wants, const std::string& headers) {
    ScriptedUpstream upstream;
    upstream.expect_request().pause(100ms).send(stream_head() + chunk(chat_stream()) + last_chunk());
    proxy::Settings settings = with_beats(upstream.port());
    settings.clients.mode = proxy::ClientMode::keys;
    settings.clients.keys = {key_for("k", "sk-k")};
    settings.clients.keys[0].heartbeat = key_wants;
    TestProxy proxy(std::move(settings));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body, "Authorization: Bearer sk-k\r\n" + headers));
    const std::string head = client.read_head();
    client.read_until(last_chunk());
    EXPECT_EQ(proxy.record().heartbeats_sent > 0, head.find("x-weir-queue-state: waiting") != std::string::npos);
    return proxy.record().heartbeats_sent > 0;
  };
  EXPECT_TRUE(hears(true, ""));
  EXPECT_FALSE(hears(false, ""));
  EXPECT_TRUE(hears(false, "x-weir-heartbeat: on\r\n"));
  EXPECT_FALSE(hears(true, "x-weir-heartbeat: off\r\n"));
}

TEST(Heartbeat, NeverStandsInsideAnEvent) {
  const std::string event = chat_event("abc");
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head() + chunk(event.substr(0, 20)))
      .hold()
      .send(chunk(event.substr(20) + chat_stream()) + last_chunk());
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  client.read_head();
  client.read_until(chunk(": keep-alive\n"));
  upstream.release();
  std::string rest = client.read_until(last_chunk());
  EXPECT_NE(rest.find(event + chat_stream()), std::string::npos) << rest;
}

TEST(Heartbeat, IsWhiteSpaceBeforeAJsonAnswer) {
  const std::string body = R"({"id":"c1"})";
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("\n\n"))
      .hold()
      .send(chunk("\n" + body) + last_chunk());
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})"));
  client.read_head();
  client.read_until(chunk(" ") + chunk(" "));
  upstream.release();
  client.read_until(chunk(body) + last_chunk());
}

// What the provider says to weir alone is not heard by the client.
TEST(Heartbeat, IsHeardBesideKeepAlivesOfTheUpstream) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).send_until_gone(chunk(": theirs\n\n"));
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  client.read_until(chunk(chat_event("a")));
  client.read_until(chunk(": keep-alive\n"));
}

const std::string finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

TEST(LastWord, IsFollowedByTheEndThoughTheUpstreamGoesOnWithKeepAlives) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head() + chunk(chat_event("a") + finish))
      .send_until_gone(chunk(": keep-alive\n\n"));
  upstream.next_connection().expect_request().send(json_answer("{}"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.content_gap = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.body, chat_event("a") + finish);
  EXPECT_EQ(proxy.record().outcome, "ok");
  client.send(post("/v1/chat/completions", R"({"model":"m"})"));
  EXPECT_EQ(client.read_response().body, "{}");
}

TEST(LastWord, IsFollowedByTheEndThoughTheUpstreamIsSilent) {
  for (const std::string& last : {chat_stream(), chat_event("a") + finish}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send(stream_head() + chunk(last)).expect_end();
    proxy::Settings settings = settings_for({upstream_at(upstream.port())});
    settings.upstreams[0].timeouts.byte_gap = 50ms;
    TestProxy proxy(std::move(settings));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body));
    const HttpMessage answer = client.read_response();
    EXPECT_TRUE(answer.complete());
    EXPECT_EQ(answer.body, last);
    EXPECT_TRUE(upstream.wait_done());
  }
}

TEST(LastWord, IsThatOfEveryChoice) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a") + finish)).close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"n":2,"messages":[]})"));
  EXPECT_EQ(code_of(client.read_response()), "weir_upstream_truncated");
}

TEST(LastWord, MayBeAnErrorBehindWhichNothingComes) {
  const std::string error = "data: {\"error\":{\"message\":\"broken\"}}\n\n";
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a") + error)).expect_end();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.body, chat_event("a") + error);
}

TEST(Stall, IsToldInTheStreamWhenOnlyKeepAlivesCome) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).send_until_gone(chunk(": keep-alive\n\n"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.content_gap = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  ASSERT_TRUE(answer.body.starts_with(chat_event("a") + "data: {\"error\":{")) << answer.body;
  EXPECT_EQ(code_of(answer), "weir_stall_timeout");
  EXPECT_TRUE(answer.body.ends_with("}}\n\n"));
  EXPECT_EQ(proxy.record().error, "weir_stall_timeout");
  EXPECT_TRUE(upstream.wait_done());
}

TEST(Stall, IsToldWhenNoByteComes) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.byte_gap = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(code_of(answer), "weir_stall_timeout");
  EXPECT_TRUE(upstream.wait_done());
}

TEST(Stall, BeforeAnyContentIsAPlainRefusal) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head()).send_until_gone(chunk(": keep-alive\n\n"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.first_content = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 504);
  EXPECT_EQ(code_of(answer), "weir_first_content_timeout");
  EXPECT_EQ(answer.field("x-weir-error"), "weir_first_content_timeout");
  EXPECT_TRUE(upstream.wait_done());
}

TEST(Stall, OfTheWholeCallHasALimitOfItsOwn) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head()).send_until_gone(chunk(chat_event("a")));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.total = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(code_of(answer), "weir_total_timeout");
  EXPECT_TRUE(upstream.wait_done());
}

TEST(Stall, OfAJsonAnswerBreaksItsFraming) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"choices\":[{")
      .expect_end();
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.byte_gap = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})"));
  EXPECT_FALSE(client.read_response().complete());
  EXPECT_TRUE(upstream.wait_done());
}

TEST(FirstByte, HasALimit) {
  ScriptedUpstream upstream;
  upstream.expect_request().expect_end();
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.first_byte = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 504);
  EXPECT_EQ(code_of(answer), "weir_first_byte_timeout");
  EXPECT_EQ(proxy.record().outcome, "upstream_failed");
  EXPECT_TRUE(upstream.wait_done());
}

// The head comes before the first content and is part of the whole.
TEST(FirstByte, IsBoundedByTheLimitsBehindIt) {
  for (const bool by_total : {false, true}) {
    ScriptedUpstream upstream;
    upstream.expect_request().expect_end();
    proxy::Settings settings = settings_for({upstream_at(upstream.port())});
    auto& timeouts = settings.upstreams[0].timeouts;
    (by_total ? timeouts.total : timeouts.first_content) = 50ms;
    TestProxy proxy(std::move(settings));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 504);
    EXPECT_EQ(code_of(answer), by_total ? "weir_total_timeout" : "weir_first_content_timeout");
    EXPECT_TRUE(upstream.wait_done());
  }
}

TEST(BackPressure, BoundsWhatIsKeptForAClientThatDoesNotRead) {
  std::string large;
  while (large.size() < 24u << 20) large += chunk(chat_event(std::string(20'000, 'b')));
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + large + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port(), "127.0.0.1", 4096);
  client.send(post("/v1/chat/completions", stream_body));
  std::size_t kept = 0, sent = 0;
  const auto look = [&] {
    proxy.on_worker([&](proxy::WorkerContext& context) {
      if (context.sessions.empty()) return;  // connected, and not accepted yet
      kept = context.sessions.at(0)->client().unflushed_bytes();
      sent = context.sessions.at(0)->client().bytes_written();
    });
    return kept > 0;
  };
  ASSERT_TRUE(wait_for(look));
  for (int looks = 0; looks < 50; ++looks) {
    look();
    ASSERT_LE(kept, 256u * 1024);
    ASSERT_LE(sent, 20u << 20);  // what the system's buffers take of it: the upstream was not read any further
  }
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_GT(answer.body.size(), 23u << 20);
  EXPECT_TRUE(answer.body.ends_with(chat_stream()));
  EXPECT_EQ(proxy.record().outcome, "ok");
}

// Whoever is slow: a call has a limit.
TEST(BackPressure, DoesNotLiftTheLimitOfTheWholeCall) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head()).send_until_gone(chunk(chat_event(std::string(20'000, 'b'))));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.total = 300ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port(), "127.0.0.1", 4096);
  client.send(post("/v1/chat/completions", stream_body));
  std::this_thread::sleep_for(400ms);  // longer than the limit
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(code_of(answer), "weir_total_timeout");
  EXPECT_TRUE(upstream.wait_done());
}

TEST(BackPressure, DoesNotLiftItForAClientThatReadsALittleNowAndThen) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head()).send_until_gone(chunk(chat_event(std::string(20'000, 'b'))));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.total = 300ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port(), "127.0.0.1", 4096);
  client.send(post("/v1/chat/completions", stream_body));
  const auto since = net::Clock::now();
  while (proxy.records().empty() && net::Clock::now() < since + 10s) {
    ASSERT_EQ(client.read_exactly(1000).size(), 1000u);
    std::this_thread::sleep_for(20ms);
  }
  ASSERT_EQ(proxy.records().size(), 1u) << "the call goes on";
  EXPECT_EQ(proxy.record().error, "weir_total_timeout");
  EXPECT_TRUE(upstream.wait_done());
  // What the system has not taken of it yet goes with its connection.
  const auto nothing_is_kept = [&] {
    std::size_t kept = 0;
    proxy.on_worker([&](proxy::WorkerContext& context) {
      if (!context.sessions.empty()) kept = context.sessions.at(0)->client().unflushed_bytes();
    });
    return kept == 0;
  };
  EXPECT_TRUE(wait_for(nothing_is_kept));
}

// The time a client takes to read is not a silence of the upstream.
TEST(BackPressure, IsNotTakenForAStallOfTheUpstream) {
  std::string large;
  while (large.size() < 24u << 20) large += chunk(chat_event(std::string(20'000, 'b')));
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + large).hold().send(chunk(chat_stream()) + last_chunk());
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].timeouts.byte_gap = settings.upstreams[0].timeouts.content_gap = 300ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port(), "127.0.0.1", 4096);
  client.send(post("/v1/chat/completions", stream_body));
  std::this_thread::sleep_for(700ms);  // longer than the limits
  upstream.release();
  EXPECT_TRUE(client.read_response().body.ends_with(chat_stream()));
  EXPECT_EQ(proxy.record().outcome, "ok");
}

}  // namespace
}  // namespace weir::test
