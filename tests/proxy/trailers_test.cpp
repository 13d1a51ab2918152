// What a head that went out with a heartbeat could not say yet stands in trailers, for clients that read them.
#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

const std::string reads_trailers = "TE: trailers\r\nConnection: TE\r\n";

std::string chunked_json(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body) +
         last_chunk();
}

// The trailer section as lines, if it is well-formed: behind the last chunk, before the empty line.
std::vector<std::string> trailers_of(std::string_view after_last_chunk) {
  std::vector<std::string> lines;
  while (!after_last_chunk.starts_with("\r\n")) {
    const auto end = after_last_chunk.find("\r\n");
    if (end == std::string_view::npos) {
      ADD_FAILURE() << "no empty line";
      return lines;
    }
    lines.emplace_back(after_last_chunk.substr(0, end));
    after_last_chunk.remove_prefix(end + 2);
  }
  EXPECT_EQ(after_last_chunk, "\r\n");
  return lines;
}

bool has_line_of(const std::vector<std::string>& lines, std::string_view beginning) {
  return std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.starts_with(beginning); });
}

// Whether the connection is at the beginning of the next answer.
void expect_another_answer(RawClient& client) {
  client.send(get("/healthz"));
  EXPECT_EQ(client.read_response().body, "ok\n");
}

TEST(Trailers, TellWhatTheHeadOfAStreamCouldNot) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(
      stream_head("x-request-id: theirs\r\nx-ratelimit-limit-requests: 10\r\nx-other: 1\r\n") + chunk(chat_stream()) +
      last_chunk());
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body, reads_trailers));
  const std::string head = client.read_head();
  EXPECT_NE(head.find("\r\nx-weir-queue-state: waiting\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\ntrailer: x-weir-upstream, x-weir-upstream-request-id, x-weir-queue-ms, x-weir-attempts, "),
            std::string::npos)
      << head;
  client.read_until(chunk(": keep-alive\n"));
  upstream.release();
  client.read_until(chunk(chat_stream()) + "0\r\n");
  const std::string section = client.read_until("\r\n\r\n");
  const auto lines = trailers_of(section);
  for (const char* line : {"x-weir-upstream: up", "x-weir-upstream-request-id: theirs", "x-weir-attempts: 1",
                           "x-weir-queue-ms: ", "x-ratelimit-limit-requests: 10"})
    EXPECT_TRUE(has_line_of(lines, line)) << line << " in " << section;
  EXPECT_FALSE(has_line_of(lines, "x-other")) << section;
  EXPECT_FALSE(has_line_of(lines, "x-request-id")) << "the head has said it";
  expect_another_answer(client);
}

TEST(Trailers, TellWhatTheHeadOfAJsonAnswerCouldNot) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(chunked_json(R"({"id":"c1"})"));
  proxy::Settings settings = with_beats(upstream.port());
  settings.upstreams[0].limits.rpm = 7;
  settings.clients.mode = proxy::ClientMode::keys;
  settings.clients.keys.push_back(key_for("alice", "a-secret"));
  settings.clients.keys.back().limits.rpm = 5;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body, reads_trailers + "Authorization: Bearer a-secret\r\n"));
  client.read_until(chunk(" "));
  upstream.release();
  client.read_until(chunk(R"({"id":"c1"})") + "0\r\n");
  const std::string section = client.read_until("\r\n\r\n");
  EXPECT_TRUE(has_line_of(trailers_of(section), "x-ratelimit-remaining-requests: 4")) << section;
  expect_another_answer(client);
}

TEST(Trailers, TellTheCodeOfAnErrorInTheStream) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().close();
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body, reads_trailers));
  client.read_until(chunk(": keep-alive\n"));
  upstream.release();
  client.read_until("\r\n0\r\n");
  const std::string section = client.read_until("\r\n\r\n");
  const auto lines = trailers_of(section);
  for (const char* line :
       {"x-weir-upstream: up", "x-weir-attempts: 1", "x-weir-queue-ms: ", "x-weir-error: weir_upstream_reset"})
    EXPECT_TRUE(has_line_of(lines, line)) << line << " in " << section;
}

TEST(Trailers, AreOnlyForThoseWhoAskedForThemOnThisConnection) {
  // A TE that Connection does not name may be that of another hop.
  for (const char* headers : {"", "TE: trailers\r\n", "TE: deflate\r\nConnection: TE\r\n", "Connection: TE\r\n"}) {
    ScriptedUpstream upstream;
    upstream.expect_request().hold().send(stream_head() + chunk(chat_stream()) + last_chunk());
    TestProxy proxy(with_beats(upstream.port()));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body, headers));
    const std::string head = client.read_head();
    EXPECT_EQ(head.find("trailer:"), std::string::npos) << headers << head;
    client.read_until(chunk(": keep-alive\n"));
    upstream.release();
    client.read_until(chunk(chat_stream()) + last_chunk());
    expect_another_answer(client);
  }
}

TEST(Trailers, AreNotNeededWhereTheHeadSaysItAll) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body, reads_trailers));
  const std::string head = client.read_head();
  EXPECT_EQ(head.find("trailer:"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\nx-weir-attempts: 1\r\n"), std::string::npos) << head;
  EXPECT_EQ(client.read_until(last_chunk()), chunk(chat_stream()) + last_chunk());
  expect_another_answer(client);
}

TEST(Trailers, OfTheLastTryCount) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(stream_head("x-request-id: first\r\n")).close();
  upstream.next_connection().expect_request().send(stream_head("x-request-id: second\r\n") + chunk(chat_stream()) +
                                                   last_chunk());
  proxy::Settings settings = with_beats(upstream.port());
  settings.retry.enabled = true;
  settings.retry.pause_min = settings.retry.pause_max = 1ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body, reads_trailers));
  client.read_until(chunk(": keep-alive\n"));
  upstream.release();
  client.read_until(chunk(chat_stream()) + "0\r\n");
  const std::string section = client.read_until("\r\n\r\n");
  EXPECT_TRUE(has_line_of(trailers_of(section), "x-weir-attempts: 2")) << section;
  EXPECT_TRUE(has_line_of(trailers_of(section), "x-weir-upstream-request-id: second")) << section;
  EXPECT_EQ(section.find("first"), std::string::npos) << section;
}

}  // namespace
}  // namespace weir::test
