// Clients that speak TLS to weir itself.
#include <gtest/gtest.h>

#include "net/socket_wire.hpp"
#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"
#include "proxy/session.hpp"
#include "support/certificates.hpp"

namespace weir::test {
namespace {

class TlsClient : public ::testing::Test {
 protected:
  TlsClient() : certificate(authority.issue("localhost", "DNS:localhost")) {}
  void start() {
    proxy.emplace(settings_for({upstream_at(upstream.port())}),
                  net::make_server_tls(certificate.certificate_file, certificate.key_file));
  }
  TestAuthority authority;
  TestCertificate certificate;
  net::SslContextPtr trust = net::make_client_tls(authority.file(), true);
  ScriptedUpstream upstream;
  std::optional<TestProxy> proxy;
};

TEST_F(TlsClient, IsServedLikeAnyOther) {
  const std::string large = R"({"x":")" + std::string(3u << 20, 'x') + "\"}";
  upstream.expect_request().send(json_answer(large));
  upstream.script()
      .expect_request()
      .send(stream_head() + chunk(chat_event("a")))
      .hold()
      .send(chunk(chat_stream()) + last_chunk());
  start();
  RawClient client(proxy->port());
  client.start_tls(trust.get(), "localhost");
  const std::string body = R"({"model":"m","x":")" + std::string(1u << 20, 'y') + "\"}";
  client.send(post("/v1/chat/completions", body));
  EXPECT_TRUE(client.read_response().body == large);
  EXPECT_TRUE(upstream.requests().at(0).body == body);
  client.send(post("/v1/chat/completions", stream_body));
  client.read_until(chunk(chat_event("a")));
  upstream.release();
  client.read_until(chunk(chat_stream()) + last_chunk());
  client.end();
  EXPECT_TRUE(client.sees_end());
}

TEST_F(TlsClient, ThatPipelinesIsServedInOrder) {
  upstream.answer_always([](const HttpMessage& request) { return json_answer(request.body); });
  start();
  RawClient client(proxy->port());
  client.start_tls(trust.get(), "localhost");
  client.send(post("/v1/chat/completions", R"({"model":"1"})") + post("/v1/chat/completions", R"({"model":"2"})"));
  EXPECT_EQ(client.read_response().body, R"({"model":"1"})");
  EXPECT_EQ(client.read_response().body, R"({"model":"2"})");
}

TEST_F(TlsClient, ThatLeavesEndsItsCall) {
  upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
  start();
  {
    RawClient client(proxy->port());
    client.start_tls(trust.get(), "localhost");
    client.send(post("/v1/chat/completions", stream_body));
    client.read_until(chunk(chat_event("a")));
  }
  EXPECT_TRUE(upstream.wait_done());
  EXPECT_EQ(proxy->record().outcome, "client_left");
}

TEST_F(TlsClient, ThatSpeaksPlainHttpIsNotServed) {
  start();
  RawClient client(proxy->port());
  client.send(get("/v1/models"));
  client.end();
  const std::string said = client.read_to_end();
  EXPECT_EQ(said.find("HTTP/1.1 200"), std::string::npos);
  EXPECT_TRUE(proxy->wait_sessions(0));
}

TEST_F(TlsClient, ThatNeverFinishesItsHandshakeIsDropped) {
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.client_timeouts.header = 50ms;
  proxy.emplace(settings, net::make_server_tls(certificate.certificate_file, certificate.key_file));
  RawClient client(proxy->port());
  EXPECT_TRUE(client.sees_end());
}

TEST_F(TlsClient, ThatDoesNotReadIsNotKeptInMemory) {
  std::string large;
  while (large.size() < 24u << 20) large += chunk(chat_event(std::string(20'000, 'b')));
  upstream.expect_request().send(stream_head() + large + chunk(chat_stream()) + last_chunk());
  start();
  RawClient client(proxy->port(), "127.0.0.1", 4096);
  client.start_tls(trust.get(), "localhost");
  client.send(post("/v1/chat/completions", stream_body));
  EXPECT_TRUE(wait_for([&] {
    bool waits = false;
    proxy->on_worker([&](proxy::WorkerContext& context) {
      waits = !context.sessions.empty() && context.sessions.at(0)->client().has_unflushed();
    });
    return waits;
  }));
  EXPECT_TRUE(client.read_response().body.ends_with(chat_stream()));
}

}  // namespace
}  // namespace weir::test
