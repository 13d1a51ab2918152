// What clients see when an upstream fails: never a clean end of something that is not whole, always whose fault it was.
#include <gtest/gtest.h>

#include "net/socket_wire.hpp"
#include "proxy/proxy_support.hpp"
#include "support/certificates.hpp"
#include "support/loopback_port.hpp"
#include "support/no_descriptors.hpp"

namespace weir::test {
namespace {

void expect_refusal(TestProxy& proxy, const std::string& body, int status, const std::string& code) {
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), status);
  EXPECT_EQ(answer.field("x-weir-error"), code);
  EXPECT_EQ(code_of(answer), code);
  EXPECT_NE(answer.body.find("'up'"), std::string::npos) << answer.body;
  EXPECT_EQ(answer.field("x-weir-upstream"), "up");
  EXPECT_EQ(answer.count("connection"), 0u);
  const auto record = proxy.record();
  EXPECT_EQ(record.error, code);
  EXPECT_EQ(record.outcome, "upstream_failed");
  EXPECT_EQ(record.status, status);
}

proxy::Upstream tls_account(std::uint16_t port, const TestAuthority& trusted) {
  proxy::Upstream account = upstream_at(port);
  account.tls = true;
  account.ca_file = trusted.file();
  return account;
}

proxy::Settings with_retries(proxy::Upstream account) {
  proxy::Settings settings = settings_for({std::move(account)});
  settings.retry.enabled = true;
  settings.retry.pause_min = settings.retry.pause_max = proxy::Duration(1);
  return settings;
}

// Neither weir nor the caller's library is to try this again.
void expect_final(TestProxy& proxy) {
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 502);
  EXPECT_EQ(code_of(answer), "weir_upstream_tls");
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_EQ(proxy.record().attempts, 1u);
}

struct Broken {
  std::string name;
  std::string sent;  // by the upstream, which then closes
  std::string code;
};
void PrintTo(const Broken& row, std::ostream* out) {
  *out << row.name;
}
class BrokenAnswer : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenAnswer, Is502BeforeAnythingWasSaid) {
  ScriptedUpstream upstream;
  auto& script = upstream.expect_request();
  if (!GetParam().sent.empty()) script.send(GetParam().sent);
  script.close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  expect_refusal(proxy, chat_body, 502, GetParam().code);
  EXPECT_EQ(upstream.requests().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BrokenAnswer,
    ::testing::Values(
        Broken{"NothingAtAll", "", "weir_upstream_reset"},
        Broken{"NoEndOfALine", "SSH-2.0-OpenSSH", "weir_upstream_invalid"},
        Broken{"HalfAVersion", "HTT", "weir_upstream_truncated"},
        Broken{"HalfAHead", "HTTP/1.1 200 OK\r\nContent-", "weir_upstream_truncated"},
        Broken{"Garbage", "\x15\x03\x01\x02\x02\x46\r\n\r\n", "weir_upstream_invalid"},
        Broken{"NotHttp", "220 mail.example ESMTP\r\n\r\n", "weir_upstream_invalid"},
        Broken{"LengthAndChunked",
               "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
               "weir_upstream_invalid"},
        Broken{"TwoLengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
               "weir_upstream_invalid"},
        Broken{"ObsFold", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", "weir_upstream_invalid"},
        Broken{"SwitchedProtocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "weir_upstream_invalid"},
        Broken{"NoBodyYet", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n",
               "weir_upstream_truncated"},
        Broken{
            "OnlyWhiteSpace",
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("\n\n"),
            "weir_upstream_truncated"},
        Broken{"OnlyComments", stream_head() + chunk(": keep-alive\n\n"), "weir_upstream_truncated"},
        Broken{"BadFirstChunk", stream_head() + "xyz\r\n", "weir_upstream_invalid"}),
    [](const auto& row) { return row.param.name; });

TEST(UpstreamFailure, ResetBeforeTheHeadIs502) {
  ScriptedUpstream upstream;
  upstream.expect_request().reset();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  expect_refusal(proxy, chat_body, 502, "weir_upstream_reset");
}

TEST(UpstreamFailure, RefusedConnectionIs502) {
  TestProxy proxy(settings_for({upstream_at(refusing_port())}));
  expect_refusal(proxy, chat_body, 502, "weir_upstream_connect");
}

// The bug: four tries, weir_upstream_connect, and a breaker that kept all others from an upstream that was well.
TEST(UpstreamFailure, AShortageOfDescriptorsIsWeirsOwn) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer needs descriptors of its own";
#endif
  const LoopbackPort upstream;
  auto settings = settings_for({upstream_at(upstream.port(), "up")});
  settings.breaker_enabled = settings.retry.enabled = true;
  settings.retry.pause_min = settings.retry.pause_max = proxy::Duration(1);
  TestProxy proxy(settings);
  RawClient client(proxy.port()), operators(proxy.operators_port());
  ASSERT_TRUE(proxy.wait_sessions(2));
  {
    const NoDescriptors none;
    for (int i = 0; i < 6; ++i) {
      client.send(post("/v1/chat/completions", chat_body));
      const HttpMessage answer = client.read_response();
      EXPECT_EQ(answer.status(), 503);
      EXPECT_EQ(code_of(answer), "weir_no_upstream");
      EXPECT_NE(answer.body.find("Too many open files"), std::string::npos) << answer.body;
    }
  }
  operators.send(get("/weir/upstreams"));
  const std::string upstreams = operators.read_response().body;
  EXPECT_NE(upstreams.find("up is ready."), std::string::npos) << upstreams;
}

TEST(UpstreamFailure, UnknownNameIs502) {
  auto upstream = upstream_at(80);
  upstream.host = "no-such-host.invalid";
  TestProxy proxy(settings_for({upstream}));
  expect_refusal(proxy, chat_body, 502, "weir_upstream_connect");
}

TEST(UpstreamFailure, ConnectTimeoutIs504) {
  const SilentPort silent;
  auto upstream = upstream_at(silent.port());
  upstream.timeouts.connect = 50ms;
  TestProxy proxy(settings_for({upstream}));
  expect_refusal(proxy, chat_body, 504, "weir_upstream_connect");
}

TEST(UpstreamFailure, TlsOnAPlainPortIs502) {
  ScriptedUpstream upstream;
  upstream.script().expect_until("\x16\x03").send("HTTP/1.1 400 Bad Request\r\n\r\n").close();
  auto account = upstream_at(upstream.port());
  account.tls = true;
  TestProxy proxy(settings_for({account}));
  expect_refusal(proxy, chat_body, 502, "weir_upstream_tls");
  const std::string detail = proxy.record().detail;
  EXPECT_NE(detail.find("wrong version number, as of a port that speaks plain HTTP: is http:// meant?"),
            std::string::npos)
      << detail;
}

// Among the alerts is one that ends in what HTTP takes for the end of a line.
TEST(UpstreamFailure, PlainHttpOnATlsPortIs502) {
  using namespace std::string_literals;
  for (const std::string& alert : {"\x15\x03\x01\0\2\2\x46"s, "\x15\x03\x03\0\2\2\x0a"s}) {
    ScriptedUpstream upstream;
    upstream.script().expect_request().send(alert).close();
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    expect_refusal(proxy, chat_body, 502, "weir_upstream_invalid");
    const std::string detail = proxy.record().detail;
    EXPECT_NE(detail.find("a TLS alert, as of a port that speaks TLS: is https:// meant?"), std::string::npos)
        << detail;
  }
}

TEST(UpstreamFailure, UntrustedCertificateIs502) {
  const TestAuthority trusted, other;
  const TestCertificate certificate = other.issue("localhost", "DNS:localhost,IP:127.0.0.1");
  ScriptedUpstream upstream(net::make_server_tls(certificate.certificate_file, certificate.key_file));
  upstream.answer_always(json_answer("{}"));
  auto account = upstream_at(upstream.port());
  account.tls = true;
  account.ca_file = trusted.file();
  TestProxy proxy(settings_for({account}));
  expect_refusal(proxy, chat_body, 502, "weir_upstream_tls");
  EXPECT_TRUE(upstream.requests().empty());
}

// Nobody will mend it while a call waits.
TEST(UpstreamFailure, ACertificateThatCannotBeVerifiedIsToldAtOnce) {
  const TestAuthority trusted, other;
  const std::string names = "DNS:localhost,IP:127.0.0.1", missing = "is ca_file missing?";
  const struct {
    TestCertificate certificate;
    std::string ends_with;
  } troubles[] = {
      {other.issue("localhost", names), "certificate signature failure"},  // it has the same name
      {trusted.self_signed("localhost", names), missing},
      {trusted.issue("localhost", names, -1), "certificate has expired"},
      {trusted.issue("other", "DNS:other"), "mismatch"},
  };
  for (const auto& [certificate, end] : troubles) {
    ScriptedUpstream upstream(net::make_server_tls(certificate.certificate_file, certificate.key_file));
    upstream.answer_always(json_answer("{}"));
    TestProxy proxy(with_retries(tls_account(upstream.port(), trusted)));
    expect_final(proxy);
    EXPECT_NE(proxy.record().detail.find("certificate: "), std::string::npos) << proxy.record().detail;
    EXPECT_TRUE(proxy.record().detail.ends_with(end)) << proxy.record().detail;
  }
}

TEST(UpstreamFailure, WhatLastsIsToldAtOnceWhileTheAccountRestsToo) {
  const TestAuthority trusted;
  const TestCertificate certificate = trusted.self_signed("localhost", "DNS:localhost,IP:127.0.0.1");
  ScriptedUpstream upstream(net::make_server_tls(certificate.certificate_file, certificate.key_file));
  upstream.answer_always(json_answer("{}"));
  proxy::Settings settings = with_retries(tls_account(upstream.port(), trusted));
  settings.breaker_enabled = true;
  settings.breaker_wait_max = std::chrono::hours(1);
  settings.retry.pause_max = std::chrono::hours(1);
  TestProxy proxy(settings);
  RawClient client(proxy.port());
  HttpMessage answer;
  int calls = 0;
  do {
    client.send(post("/v1/chat/completions", chat_body));
    answer = client.read_response();
  } while (answer.status() == 502 && ++calls < 20);
  EXPECT_GE(calls, 5);
  EXPECT_EQ(answer.status(), 503);
  EXPECT_EQ(code_of(answer), "weir_no_upstream");
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_NE(answer.body.find("is ca_file missing?"), std::string::npos) << answer.body;
  EXPECT_EQ(proxy.record(static_cast<std::size_t>(calls)).attempts, 0u);
}

TEST(UpstreamFailure, TlsOnAPlainPortIsToldAtOnce) {
  const TestAuthority trusted;
  ScriptedUpstream upstream;
  upstream.script().expect_until("\x16\x03").send("HTTP/1.1 400 Bad Request\r\n\r\n").close();
  TestProxy proxy(with_retries(tls_account(upstream.port(), trusted)));
  expect_final(proxy);
}

// A caller's library would fail at its first byte.
TEST(UpstreamFailure, AWebPageIsNoAnswer) {
  ScriptedUpstream upstream;
  upstream.answer_always(
      answer_with("200 OK\r\nContent-Type: text/html; charset=utf-8\r\n", "<!DOCTYPE html><p>Log in"));
  TestProxy proxy(with_retries(upstream_at(upstream.port())));
  RawClient client(proxy.port());
  for (const char* path :
       {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages"}) {
    for (const char* stream : {"false", "true"}) {
      SCOPED_TRACE(path + std::string(" stream ") + stream);
      client.send(post(path, R"({"model":"m","max_tokens":5,"input":"x","prompt":"x","messages":[],"stream":)" +
                                 std::string(stream) + "}"));
      const HttpMessage answer = client.read_response();
      EXPECT_EQ(answer.status(), 502);
      EXPECT_EQ(answer.field("x-weir-error"), "weir_upstream_invalid");
      EXPECT_EQ(answer.field("x-should-retry"), "false");
      EXPECT_NE(answer.body.find("it answered with a web page (text/html; charset=utf-8) and no JSON"),
                std::string::npos)
          << answer.body;
    }
  }
  EXPECT_EQ(upstream.requests().size(), 10u);
  client.send(get("/v1/files/f/content"));
  EXPECT_EQ(client.read_response().body, "<!DOCTYPE html><p>Log in") << "where weir does not know what comes";
}

TEST(UpstreamFailure, AHandshakeThatBreaksIsTriedAgain) {
  const TestAuthority trusted;
  ScriptedUpstream upstream;
  for (int i = 0; i < 4; ++i) {
    ScriptedUpstream::Script& script = i == 0 ? upstream.script() : upstream.next_connection();
    script.expect_until("\x16\x03");
    if (i % 2 == 0) {
      script.reset();
    } else {
      script.close();
    }
  }
  TestProxy proxy(with_retries(tls_account(upstream.port(), trusted)));
  expect_refusal(proxy, chat_body, 502, "weir_upstream_tls");
  EXPECT_EQ(proxy.record().attempts, 4u);
}

TEST(UpstreamFailure, TlsHandshakeTimeoutIs504) {
  ScriptedUpstream upstream;
  upstream.script().expect_end();
  auto account = upstream_at(upstream.port());
  account.tls = true;
  account.timeouts.tls = 50ms;
  TestProxy proxy(settings_for({account}));
  expect_refusal(proxy, chat_body, 504, "weir_upstream_tls");
  EXPECT_TRUE(upstream.wait_done());
}

TEST(UpstreamFailure, TrustedTlsCarriesTheCall) {
  const TestAuthority authority;
  const TestCertificate certificate = authority.issue("localhost", "DNS:localhost,IP:127.0.0.1");
  ScriptedUpstream upstream(net::make_server_tls(certificate.certificate_file, certificate.key_file));
  auto& script = upstream.script();
  for (int i = 0; i < 2; ++i) script.expect_request().send(stream_head() + chunk(chat_stream()) + last_chunk());
  auto account = upstream_at(upstream.port());
  account.tls = true;
  account.host = "localhost";
  account.ca_file = authority.file();
  TestProxy proxy(settings_for({account}));
  RawClient client(proxy.port());
  for (int i = 0; i < 2; ++i) {
    client.send(post("/v1/chat/completions", stream_body));
    EXPECT_EQ(client.read_response().body, chat_stream());
  }
  EXPECT_EQ(upstream.connections(), 1u);
  EXPECT_EQ(upstream.server_name(0), "localhost");
}

// TLS has messages of its own (session tickets right after the handshake): they are no early answer.
TEST(UpstreamFailure, TrustedTlsCarriesLargeBodiesAndUploads) {
  const TestAuthority authority;
  const TestCertificate certificate = authority.issue("localhost", "DNS:localhost");
  ScriptedUpstream upstream(net::make_server_tls(certificate.certificate_file, certificate.key_file));
  upstream.expect_request().send(json_answer("{}"));
  upstream.next_connection().expect_request().send(json_answer("{}"));
  auto account = upstream_at(upstream.port());
  account.tls = true;
  account.host = "localhost";
  account.ca_file = authority.file();
  account.timeouts.first_byte = 5s;
  TestProxy proxy(settings_for({account}));
  RawClient client(proxy.port());
  const std::string body = R"({"model":"m","x":")" + std::string(8u << 20, 'x') + "\"}";
  client.send(post("/v1/chat/completions", body));
  EXPECT_EQ(client.read_response().status(), 200);
  client.send("POST /v1/files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("one"));
  EXPECT_TRUE(upstream.wait_connections(2));
  EXPECT_TRUE(client.silent_for(20ms));
  for (int i = 0; i < 200; ++i) client.send(chunk(std::string(20'000, 'y')));
  client.send(last_chunk());
  EXPECT_EQ(client.read_response().status(), 200);
  EXPECT_TRUE(upstream.requests().at(0).body == body);
  EXPECT_EQ(upstream.requests().at(1).body.size(), 4'000'003u);
}

class CutStream : public ::testing::TestWithParam<Broken> {};

// The error event of sdks.md §1.6: no event line, `{"error":` first, then the end of the body.
TEST_P(CutStream, EndsWithAnErrorEventAndACleanEnd) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(GetParam().sent).close();
  upstream.next_connection().expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_TRUE(answer.complete());
  ASSERT_TRUE(answer.body.starts_with(chat_event("a") + "data: {\"error\":{\"message\":")) << answer.body;
  EXPECT_TRUE(answer.body.ends_with("}}\n\n")) << answer.body;
  EXPECT_EQ(code_of(answer), GetParam().code);
  EXPECT_EQ(proxy.record().error, GetParam().code);
  // Nothing is wrong with the client's connection.
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().body, "{}");
}

const std::string begun = stream_head() + chunk(chat_event("a"));
INSTANTIATE_TEST_SUITE_P(
    Rows, CutStream,
    ::testing::Values(
        Broken{"BetweenEvents", begun, "weir_upstream_truncated"},
        Broken{"InsideAnEvent", begun + chunk(chat_event("b").substr(0, 30)), "weir_upstream_truncated"},
        Broken{"InsideAChunk", begun + chunk(chat_event("b")).substr(0, 30), "weir_upstream_truncated"},
        Broken{"AsIfItWereWhole", begun + last_chunk(), "weir_upstream_truncated"},
        Broken{"AsIfItWereWholeInsideAnEvent", begun + chunk(chat_event("b").substr(0, 30)) + last_chunk(),
               "weir_upstream_truncated"},
        Broken{"BadChunk", begun + "nonsense\r\n", "weir_upstream_invalid"},
        Broken{"CloseDelimited", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + chat_event("a"),
               "weir_upstream_truncated"},
        Broken{"OfKnownLength",
               "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n" + chat_event("a"),
               "weir_upstream_truncated"}),
    [](const auto& row) { return row.param.name; });

TEST(UpstreamFailure, ResetInAStreamIsToldInIt) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(begun).hold().reset();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  client.read_until(chunk(chat_event("a")));
  upstream.release();
  const std::string rest = client.read_until(last_chunk());
  EXPECT_NE(rest.find("weir_upstream_truncated"), std::string::npos) << rest;
}

TEST(UpstreamFailure, CutOfMessagesIsANamedErrorEvent) {
  const std::string event =
      "event: content_block_delta\ndata: "
      "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n";
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(event)).close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/messages", R"({"model":"m","stream":true,"max_tokens":5,"messages":[]})"));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_TRUE(answer.body.starts_with(event + "event: error\ndata: {\"type\":\"error\",\"error\":{")) << answer.body;
}

TEST(UpstreamFailure, CutAfterTheLastWordIsNoFailure) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_stream())).close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.body, chat_stream());
  EXPECT_EQ(proxy.record().outcome, "ok");
  EXPECT_TRUE(proxy.wait_idle_upstreams(0));
}

TEST(UpstreamFailure, CutInsideALargeEventBreaksTheFraming) {
  for (const std::string& as_if_it_were_whole : {std::string(), last_chunk()}) {
    ScriptedUpstream upstream;
    upstream.expect_request()
        .send(stream_head() + chunk(chat_event(std::string(3u << 20, 'x')).substr(0, 2u << 20)) + as_if_it_were_whole)
        .close();
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", stream_body));
    EXPECT_FALSE(client.read_response().complete());
    EXPECT_EQ(proxy.record().error, "weir_upstream_truncated");
  }
}

// Nobody has looked for a last word in the large event, but there is none in the last.
TEST(UpstreamFailure, CutSomeTimeAfterALargeEventIsToldInTheStream) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event(std::string(2u << 20, 'x')) + chat_event("b")) +
                                 last_chunk());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", stream_body));
  const HttpMessage answer = client.read_response();
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(code_of(answer), "weir_upstream_truncated");
}

class CutJson : public ::testing::TestWithParam<Broken> {};

TEST_P(CutJson, BreaksTheFraming) {
  ScriptedUpstream upstream;
  auto& script = upstream.expect_request().send(GetParam().sent).hold();
  GetParam().code == "reset" ? script.reset() : script.close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  client.read_until("\"id\"");
  upstream.release();
  client.read_to_end();
  EXPECT_TRUE(client.sees_reset());
  EXPECT_EQ(proxy.record().error, "weir_upstream_truncated");
}

const std::string json_head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const std::string begun_json = "{\"id\":\"x\",\"choices\":[{\"mess";
INSTANTIATE_TEST_SUITE_P(
    Rows, CutJson,
    ::testing::Values(Broken{"OfKnownLength", json_head + "Content-Length: 100\r\n\r\n" + begun_json, "close"},
                      Broken{"Chunked", json_head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(begun_json), "close"},
                      Broken{"ChunkedReset", json_head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(begun_json),
                             "reset"},
                      Broken{"CloseDelimited", json_head + "\r\n" + begun_json, "close"},
                      Broken{"CloseDelimitedReset", json_head + "\r\n" + begun_json, "reset"}),
    [](const auto& row) { return row.param.name; });

// Status and hint tell more than how it ended.
TEST(UpstreamFailure, AnErrorThatIsCutOrHangsKeepsItsStatus) {
  for (const auto& [hangs, byte_gap] : {std::pair(false, 50ms), std::pair(true, 50ms), std::pair(true, 600'000ms)}) {
    ScriptedUpstream upstream;
    auto& script = upstream.expect_request().send(
        "HTTP/1.1 429 Slow Down\r\nContent-Type: application/json\r\nRetry-After: 7\r\nContent-Length: 100\r\n\r\n"
        "{\"error\":{\"mess");
    hangs ? script.expect_end() : script.close();
    proxy::Settings settings = settings_for({upstream_at(upstream.port())});
    settings.upstreams[0].timeouts.byte_gap = byte_gap;
    TestProxy proxy(std::move(settings));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", chat_body));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 429);
    EXPECT_EQ(answer.field("retry-after"), "7");
    EXPECT_TRUE(answer.body.starts_with(R"({"error":{"message":"The upstream answered 429.")")) << answer.body;
  }
}

TEST(UpstreamFailure, ALargeErrorCrossesAsItCame) {
  const std::string page = "<html>" + std::string(300'000, 'x');
  const std::string chunked = "HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\n" +
                              chunk(page.substr(0, 70'000)) + chunk(page.substr(70'000)) + last_chunk();
  for (const std::string& sent : {answer_with("500 Broken\r\n", page), chunked}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send(sent).expect_request().send(json_answer("{}"));
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", chat_body));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 500);
    EXPECT_TRUE(answer.body == page) << answer.body.size();
    EXPECT_EQ(proxy.record().outcome, "upstream_error");
    client.send(post("/v1/chat/completions", chat_body));
    EXPECT_EQ(client.read_response().status(), 200) << "both connections go on";
    EXPECT_EQ(upstream.connections(), 1u);
  }
}

TEST(UpstreamFailure, ALargeErrorThatIsCutKeepsItsStatus) {
  ScriptedUpstream upstream;
  upstream.expect_request().send("HTTP/1.1 500 Broken\r\nContent-Length: 90000\r\n\r\n" + std::string(70'000, 'x'));
  upstream.script().close();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_TRUE(client.read_head().starts_with("HTTP/1.1 500 "));
  EXPECT_LT(client.read_to_end().size(), 90'000u) << "and is not taken for whole";
  EXPECT_EQ(proxy.record().error, "weir_upstream_truncated");
}

// Libraries take a 200 for an answer, and one without `data:` for an empty stream.
TEST(UpstreamFailure, AnErrorInsideA200IsToldWithAStatusThatSaysSo) {
  for (const std::string& call : {chat_body, stream_body}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send(json_answer(R"({"error":{"message":"broken","type":"t","code":"theirs"}})"));
    TestProxy proxy(settings_for({upstream_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", call));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 502);
    EXPECT_EQ(answer.body, R"({"error":{"message":"broken","type":"t","param":null,"code":"theirs"}})");
  }
}

// It tells by its first bytes what it is.
TEST(UpstreamFailure, ALargeErrorInsideA200IsNoAnswerEither) {
  const std::string large = R"({"error":{"message":")" + std::string(70'000, 'x') + "\"}}";
  const std::string chunked = json_head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(large.substr(0, 10)) +
                              chunk(large.substr(10)) + last_chunk();
  for (const std::string& call : {chat_body, stream_body}) {
    for (const std::string& answer : {json_answer(large), chunked}) {
      ScriptedUpstream upstream;
      upstream.expect_request().send(answer);
      TestProxy proxy(settings_for({upstream_at(upstream.port())}));
      RawClient client(proxy.port());
      client.send(post("/v1/chat/completions", call));
      const HttpMessage told = client.read_response();
      EXPECT_EQ(told.status(), 502);
      EXPECT_EQ(code_of(told), "upstream_error");
      EXPECT_EQ(proxy.record().cause, "fault");
    }
  }
}

// What weir does not know may well be empty, also where it looks for the id that a success names.
TEST(UpstreamFailure, AnEmptyAnswerOfAnUnknownRouteIsNone) {
  const std::string json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
  for (const std::string& answer : {json + "Content-Length: 0\r\n\r\n", json + "Content-Length: 2\r\n\r\n\n\n",
                                    json + "Transfer-Encoding: chunked\r\n\r\n" + last_chunk(),
                                    json + "Transfer-Encoding: chunked\r\n\r\n" + chunk("\n") + last_chunk()}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send(answer);
    TestProxy proxy(settings_for({upstream_at(upstream.port(), "one"), upstream_at(upstream.port(), "two")}));
    RawClient client(proxy.port());
    client.send(post("/v1/things/t/cancel", "{}", "x-weir-upstream: one\r\n"));
    const HttpMessage told = client.read_response();
    EXPECT_EQ(told.status(), 200) << answer;
    EXPECT_TRUE(told.complete()) << answer;
    EXPECT_EQ(proxy.record().outcome, "ok") << answer;
  }
}

TEST(UpstreamFailure, CompressedErrorsPassUntouched) {
  const std::string bytes("\x1f\x8b\x08\0", 4);
  ScriptedUpstream upstream;
  upstream.expect_request().send(answer_with("400 Bad Request\r\nContent-Encoding: gzip\r\n", bytes));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 400);
  EXPECT_EQ(answer.field("content-encoding"), "gzip");
  EXPECT_EQ(answer.body, bytes);
}

TEST(UpstreamFailure, ErrorsOfTheUpstreamPassUntouched) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(
      answer_with("429 Slow Down\r\nContent-Type: application/json\r\nRetry-After: 7\r\nx-should-retry: true\r\n"
                  "x-weir-error: forged\r\n",
                  R"( {"error":"theirs"})"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 429);
  EXPECT_EQ(answer.body, R"( {"error":"theirs"})");
  EXPECT_EQ(answer.field("retry-after"), "7");
  EXPECT_EQ(answer.field("x-should-retry"), "true");
  EXPECT_EQ(answer.count("x-weir-error"), 0u);
  EXPECT_EQ(proxy.record().outcome, "upstream_error");
}

// Its budgets are charged what has come; so is the account of what was spent.
TEST(UpstreamFailure, AStreamThatIsCutIsRecordedWithWhatHasCome) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(chat_event("a") + chat_event("b"))).reset();
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  proxy::ModelProfile model;
  model.name = "m";
  model.prices = {{"", "", "USD", 0, 0, 500'000}};
  settings.upstreams[0].models = {model};
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  client.read_until(last_chunk());
  const observe::ExchangeRecord record = proxy.record();
  EXPECT_FALSE(record.output_tokens) << "nobody reported any";
  EXPECT_GT(record.cut_input_tokens, 0u);
  EXPECT_EQ(record.cut_output_tokens, 2u);
  EXPECT_EQ(record.cost, 1.0);
  EXPECT_EQ(record.currency, "USD");
}

}  // namespace
}  // namespace weir::test
