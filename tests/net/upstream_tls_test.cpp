// Connections of the pool that take more than TCP to open: TLS, and the tunnel of an HTTP proxy.
#include <gtest/gtest.h>

#include <thread>

#include "net/pool_bench.hpp"
#include "net/upstream_pool.hpp"
#include "support/certificates.hpp"
#include "support/scripted_upstream.hpp"

namespace weir::net {
namespace {

using namespace std::chrono_literals;
using test::ok;
using test::plain;
using Bench = test::PoolBench;
using Kind = Failure::Kind;

// TLS.

struct TlsBench : Bench {
  test::TestAuthority authority;
  test::TestCertificate certificate = authority.issue("api.weir.test", "DNS:api.weir.test,DNS:localhost");
  SslContextPtr identity = make_server_tls(certificate.certificate_file, certificate.key_file);
  Endpoint secure(std::uint16_t port, std::string host = "localhost") {
    Endpoint endpoint = plain(port, std::move(host));
    endpoint.tls = make_client_tls(authority.file(), true);
    return endpoint;
  }
};

TEST(UpstreamPoolTls, KeepsAnEncryptedConnectionAlive) {
  TlsBench bench;
  test::ScriptedUpstream upstream(bench.identity);
  upstream.answer_always(ok);
  const Endpoint endpoint = bench.secure(upstream.port());
  for (int i = 0; i < 3; ++i) {
    Lease lease = bench.lease(endpoint);
    ASSERT_TRUE(lease);
    EXPECT_EQ(bench.exchange(lease, "/"), ok);
    lease.give_back();
    if (i == 1) std::this_thread::sleep_for(30ms);  // then it is looked at: session tickets are no reason to drop it
  }
  EXPECT_EQ(upstream.connections(), 1u);
  EXPECT_EQ(upstream.server_name(0), "localhost");
}

TEST(UpstreamPoolTls, SaysWhyTheCertificateIsRefused) {
  TlsBench bench;
  test::ScriptedUpstream upstream(bench.identity);
  const Failure failure = bench.failure(bench.secure(upstream.port(), "127.0.0.1"));
  EXPECT_EQ(failure.kind, Kind::tls);
  EXPECT_EQ(failure.detail, "TLS handshake with 127.0.0.1 failed: certificate: IP address mismatch");
  EXPECT_TRUE(failure.lasting);
  EXPECT_EQ(bench.pool.connections_opened(), 0u);
}

TEST(UpstreamPoolTls, SaysThatTheServerSpeaksNoTls) {
  TlsBench bench;
  test::ScriptedUpstream upstream;
  upstream.script().send("HTTP/1.1 400 Bad Request\r\n\r\n").expect_end();
  const Failure failure = bench.failure(bench.secure(upstream.port()));
  EXPECT_EQ(failure.kind, Kind::tls);
  EXPECT_TRUE(failure.lasting);
  upstream.wait_done();
}

TEST(UpstreamPoolTls, AHandshakeThatBreaksMayDoBetterNextTime) {
  TlsBench bench;
  test::ScriptedUpstream upstream;
  upstream.script().expect_until("\x16\x03").reset();
  upstream.next_connection().expect_until("\x16\x03").close();
  for (int i = 0; i < 2; ++i) {
    const Failure failure = bench.failure(bench.secure(upstream.port()));
    EXPECT_EQ(failure.kind, Kind::tls);
    EXPECT_FALSE(failure.lasting);
  }
}

TEST(UpstreamPoolTls, SaysThatTheHandshakeTookTooLong) {
  TlsBench bench;
  test::ScriptedUpstream upstream;
  upstream.expect_end();
  Endpoint endpoint = bench.secure(upstream.port());
  endpoint.tls_max = 50ms;
  EXPECT_EQ(bench.failure(endpoint).kind, Kind::tls_timeout);
  upstream.wait_done();
}

// Through an HTTP proxy.

struct ProxyBench : TlsBench {
  test::ScriptedUpstream proxy;
  Endpoint endpoint = secure(443, "api.weir.test");  // a name that only the proxy knows
  ProxyBench() {
    endpoint.proxy = ProxyHop{"127.0.0.1", proxy.port(), "Basic dXNlcjpwYXNz"};
    endpoint.connect_max = 10s;
  }
};

TEST(UpstreamPoolProxy, TunnelsToAnEncryptedUpstream) {
  ProxyBench bench;
  bench.proxy.expect_request().send("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").start_tls(bench.identity);
  bench.proxy.expect_request().send(ok);
  Lease lease = bench.lease(bench.endpoint);
  ASSERT_TRUE(lease);
  EXPECT_EQ(bench.exchange(lease, "/v1/models"), ok);
  const auto requests = bench.proxy.requests();
  EXPECT_EQ(requests.at(0).head,
            "CONNECT api.weir.test:443 HTTP/1.1\r\nHost: api.weir.test:443\r\nProxy-Authorization: Basic "
            "dXNlcjpwYXNz\r\n\r\n");
  EXPECT_EQ(requests.at(1).target(), "/v1/models");
}

TEST(UpstreamPoolProxy, TakesAnAnswerThatComesByteByByte) {
  ProxyBench bench;
  bench.proxy.expect_request().send_in_pieces("HTTP/1.0 200 OK\r\nX: y\r\n\r\n", 1).start_tls(bench.identity);
  EXPECT_TRUE(bench.lease(bench.endpoint));
  EXPECT_TRUE(bench.proxy.wait_done());
}

struct RefusalRow {
  const char* name;
  const char* answer;
  bool closes;
  const char* detail;
};

TEST(UpstreamPoolProxy, SaysWhyThereIsNoTunnel) {
  const std::string huge = "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x');
  const RefusalRow rows[] = {
      {"credentials", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", false,
       "refused the tunnel with status 407"},
      {"forbidden", "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", true,
       "refused the tunnel with status 403"},
      {"garbage", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false, "answer is not HTTP"},
      {"bare LF", "HTTP/1.1 200 OK\n\n", false, "answer is not HTTP"},
      {"too large", huge.c_str(), false, "answer is not HTTP"},
      {"half an answer", "HTTP/1.1 200 OK\r\n", true, "closed the connection"},
      {"nothing", "", true, "closed the connection"},
  };
  for (const RefusalRow& row : rows) {
    SCOPED_TRACE(row.name);
    ProxyBench bench;
    bench.proxy.expect_request().send(row.answer);
    if (row.closes) bench.proxy.close();
    const Failure failure = bench.failure(bench.endpoint);
    EXPECT_EQ(failure.kind, Kind::proxy);
    EXPECT_NE(failure.detail.find(row.detail), std::string::npos) << failure.detail;
    EXPECT_EQ(failure.detail.find("dXNlcjpwYXNz"), std::string::npos);
    EXPECT_TRUE(bench.proxy.wait_done());
  }
}

TEST(UpstreamPoolProxy, SaysThatTheProxyDidNotAnswer) {
  ProxyBench bench;
  bench.proxy.expect_request().expect_end();
  bench.endpoint.connect_max = 200ms;
  const Failure failure = bench.failure(bench.endpoint);
  EXPECT_EQ(failure.kind, Kind::proxy);
  EXPECT_NE(failure.detail.find("did not answer"), std::string::npos) << failure.detail;
  bench.proxy.wait_done();
}

TEST(UpstreamPoolProxy, GivesUpWhileTheProxyIsSilent) {
  ProxyBench bench;
  bench.proxy.expect_request().expect_end();
  bench.begin(bench.endpoint);
  test::run_until(bench.worker, [&] { return bench.proxy.requests().size() == 1; });
  bench.wanted = false;
  bench.signal.raise(Bench::watch);
  ASSERT_TRUE(bench.done);
  EXPECT_EQ(std::get<Failure>(bench.result).kind, Kind::cancelled);
  bench.proxy.wait_done();
}

TEST(UpstreamPoolProxy, IsAPlainConnectionToTheProxyForAPlainUpstream) {
  Bench bench;
  test::ScriptedUpstream proxy;
  proxy.answer_always(ok);
  Endpoint endpoint = plain(80, "api.weir.test");
  endpoint.proxy = ProxyHop{"127.0.0.1", proxy.port(), ""};
  Lease lease = bench.lease(endpoint);
  ASSERT_TRUE(lease);
  EXPECT_EQ(bench.exchange(lease, "http://api.weir.test/v1/models"), ok);
  EXPECT_EQ(proxy.requests().at(0).target(), "http://api.weir.test/v1/models");
}

}  // namespace
}  // namespace weir::net
