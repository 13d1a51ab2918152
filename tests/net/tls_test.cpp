// TLS over real sockets, both ends on one worker; certificates made on the spot.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <filesystem>
#include <functional>
#include <ostream>
#include <random>
#include <stdexcept>
#include <thread>

#include "net/connection.hpp"
#include "net/socket_wire.hpp"
#include "net/task.hpp"
#include "support/certificates.hpp"
#include "support/run_worker.hpp"
#include "support/socket_pair.hpp"

namespace weir::net {
namespace {

using Status = IoStep::Status;
using Role = TlsWire::Role;

const test::TestAuthority& authority() {
  static const test::TestAuthority made;
  return made;
}

// The server's side of most tests.
SslContextPtr server_context() {
  static const test::TestCertificate certificate =
      authority().issue("localhost", "DNS:localhost,DNS:*.weir.test,IP:127.0.0.1,IP:::1");
  return make_server_tls(certificate.certificate_file, certificate.key_file);
}
SslContextPtr client_context() {
  return make_client_tls(authority().file(), true);
}

// One end: a wire, and a signal for the coroutine that uses it.
struct End {
  std::unique_ptr<TlsWire> wire;
  Signal signal;
  Status shaken = Status::would_block;  // how the handshake ended

  Task<void> shake() {
    for (;;) {
      const IoStep step = wire->handshake();
      if (step.status != Status::would_block) {
        shaken = step.status;
        co_return;
      }
      if (wire->wants_write()) {
        wire->wait_writable(Bell{&signal, 1});
      } else {
        wire->wait_readable(Bell{&signal, 1});
      }
      const Signal::Bits bits = co_await signal.wait(1 | 8);
      if (bits & 8) co_return;
    }
  }
};

struct Bench {
  Worker worker;
  End client, server;

  Bench(const SslContextPtr& trust, const SslContextPtr& identity, const std::string& name) {
    auto [left, right] = test::make_socket_pair(worker);
    client.wire = make_tls_wire(std::move(left), trust, Role::client, name);
    server.wire = make_tls_wire(std::move(right), identity, Role::server, {});
  }
  Bench() : Bench(client_context(), server_context(), "localhost") { shake(); }
  ~Bench() {
    client.signal.raise(8);
    server.signal.raise(8);
  }
  // Both ends at once, until the client has come to an end, and the server if it got so far.
  void shake() {
    spawn(client.shake());
    spawn(server.shake());
    test::run_until(worker, [&] {
      if (client.shaken == Status::failed) return true;
      return client.shaken != Status::would_block && server.shaken != Status::would_block;
    });
  }
  bool rings(End& end, Signal::Bits bit) {
    return test::run_until(worker, [&] { return (end.signal.raised() & bit) != 0; });
  }
};

IoStep write(Wire& wire, std::string_view bytes) {
  return wire.try_write(std::span<const std::string_view>(&bytes, 1));
}

std::string read(Bench& bench, End& end, std::size_t at_most = 100'000) {
  std::string buffer(at_most, '\0');
  for (;;) {
    const IoStep step = end.wire->try_read(buffer);
    if (step.status == Status::done) return buffer.substr(0, step.bytes);
    if (step.status == Status::end) return "<end>";
    if (step.status == Status::failed) return "<failed>";
    end.wire->wait_readable(Bell{&end.signal, 2});
    if (!bench.rings(end, 2)) return "<nothing>";
    end.signal.clear(2);
  }
}

// Who the client asks for, what the server shows, and what comes of it.
struct TrustRow {
  const char* name;
  const char* asked_for;
  enum { good, self_signed, stranger, expired } shown;
  bool verify;
  const char* error;  // "": the handshake succeeds
  friend std::ostream& operator<<(std::ostream& out, const TrustRow& row) { return out << row.name; }
};

class TlsTrust : public ::testing::TestWithParam<TrustRow> {};

TEST_P(TlsTrust, EndsAsTheTableSays) {
  const TrustRow& row = GetParam();
  const std::string names = "DNS:localhost,DNS:*.weir.test,IP:127.0.0.1,IP:::1";
  const test::TestAuthority other("somebody else's authority");
  const test::TestCertificate certificate = row.shown == TrustRow::self_signed
                                                ? authority().self_signed("localhost", names)
                                            : row.shown == TrustRow::stranger ? other.issue("localhost", names)
                                            : row.shown == TrustRow::expired  ? authority().issue("expired", names, -1)
                                                                              : authority().issue("localhost", names);
  Bench bench(make_client_tls(row.verify ? authority().file() : "", row.verify),
              make_server_tls(certificate.certificate_file, certificate.key_file), row.asked_for);
  bench.shake();
  const bool good = std::string(row.error).empty();
  EXPECT_EQ(bench.client.shaken, good ? Status::done : Status::failed);
  EXPECT_EQ(bench.client.wire->error_text(), row.error);
}

INSTANTIATE_TEST_SUITE_P(
    Table, TlsTrust,
    ::testing::Values(
        TrustRow{"ItsName", "localhost", TrustRow::good, true, ""},
        TrustRow{"ItsNameInAnyCase", "LocalHost", TrustRow::good, true, ""},
        TrustRow{"OneOfItsNames", "api.weir.test", TrustRow::good, true, ""},
        TrustRow{"ItsAddress", "127.0.0.1", TrustRow::good, true, ""},
        TrustRow{"ItsIpv6Address", "::1", TrustRow::good, true, ""},
        TrustRow{"ItsIpv6AddressSpeltOut", "0:0:0:0:0:0:0:1", TrustRow::good, true, ""},
        TrustRow{"WrongName", "example.com", TrustRow::good, true, "certificate: hostname mismatch"},
        TrustRow{"TwoLabelsForAStar", "a.b.weir.test", TrustRow::good, true, "certificate: hostname mismatch"},
        TrustRow{"WrongAddress", "127.0.0.2", TrustRow::good, true, "certificate: IP address mismatch"},
        TrustRow{"WrongAddressWithScope", "fe80::1%lo", TrustRow::good, true, "certificate: IP address mismatch"},
        TrustRow{"SelfSigned", "localhost", TrustRow::self_signed, true, "certificate: self-signed certificate"},
        TrustRow{"UnknownAuthority", "localhost", TrustRow::stranger, true,
                 "certificate: unable to get local issuer certificate"},
        TrustRow{"Expired", "localhost", TrustRow::expired, true, "certificate: certificate has expired"},
        TrustRow{"SelfSignedUnverified", "localhost", TrustRow::self_signed, false, ""},
        TrustRow{"WrongNameUnverified", "example.com", TrustRow::good, false, ""},
        TrustRow{"ExpiredUnverified", "localhost", TrustRow::expired, false, ""}),
    [](const ::testing::TestParamInfo<TrustRow>& row) { return std::string(row.param.name); });

TEST(TlsHandshake, DoesNotBlameTheCertificateWhenNobodyVerifiesIt) {
  const test::TestCertificate certificate = authority().self_signed("localhost", "DNS:localhost");
  const SslContextPtr demanding = make_server_tls(certificate.certificate_file, certificate.key_file);
  SSL_CTX_set_max_proto_version(demanding.get(), TLS1_2_VERSION);  // where the server has the last word
  SSL_CTX_set_verify(demanding.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  Bench bench(make_client_tls("", false), demanding, "localhost");
  bench.shake();
  EXPECT_EQ(bench.client.shaken, Status::failed);
  EXPECT_EQ(bench.client.wire->error_text().find("certificate:"), std::string::npos) << bench.client.wire->error_text();
  EXPECT_NE(bench.client.wire->error_text(), "");
}

TEST(TlsHandshake, SpeaksHttp11WithAClientThatOffersMore) {
  for (const bool offers_http11 : {true, false}) {
    Worker worker;
    auto [socket, peer] = test::make_socket_and_peer(worker);
    End server;
    server.wire = make_tls_wire(std::move(socket), server_context(), Role::server, {});
    spawn(server.shake());
    std::thread client([&, other = &peer, has = offers_http11] {
      const SslContextPtr context(SSL_CTX_new(TLS_client_method()), SslDeleter{});
      const std::string offer = has ? std::string("\x02h2\x08http/1.1") : std::string("\x02h2");
      SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                              static_cast<unsigned>(offer.size()));
      other->start_tls_client(context.get(), "localhost");
      const unsigned char* chosen = nullptr;
      unsigned size = 0;
      SSL_get0_alpn_selected(other->tls(), &chosen, &size);
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), size), has ? "http/1.1" : "");
    });
    test::run_until(worker, [&] { return server.shaken != Status::would_block; });
    client.join();
    EXPECT_EQ(server.shaken, Status::done);
  }
}

TEST(TlsHandshake, FailsOnBytesThatAreNotTls) {
  Worker worker;
  auto [socket, peer] = test::make_socket_and_peer(worker);
  End client;
  client.wire = make_tls_wire(std::move(socket), client_context(), Role::client, "localhost");
  spawn(client.shake());
  peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
  test::run_until(worker, [&] { return client.shaken != Status::would_block; });
  EXPECT_EQ(client.shaken, Status::failed);
  EXPECT_EQ(client.wire->error_text(), "wrong version number");
}

TEST(TlsHandshake, FailsWhenThePeerLeaves) {
  for (const bool by_reset : {true, false}) {
    Worker worker;
    auto [socket, peer] = test::make_socket_and_peer(worker);
    End client;
    client.wire = make_tls_wire(std::move(socket), client_context(), Role::client, "localhost");
    spawn(client.shake());
    by_reset ? peer.reset() : peer.shutdown_write();
    test::run_until(worker, [&] { return client.shaken != Status::would_block; });
    EXPECT_EQ(client.shaken, Status::failed);
    EXPECT_EQ(client.wire->error_text(), by_reset ? "Connection reset by peer" : "unexpected eof while reading");
  }
}

TEST(TlsWire, CarriesBytesBothWays) {
  Bench bench;
  const std::string_view pieces[] = {"5\r\n", "", "hello", "\r\n"};
  EXPECT_EQ(bench.client.wire->try_write(pieces).bytes, 10u);
  EXPECT_EQ(read(bench, bench.server), "5\r\nhello\r\n") << "one record";
  write(*bench.server.wire, "answer");
  EXPECT_EQ(read(bench, bench.client), "answer");
}

// The bug: the bytes that the last read of the handshake had brought with it rang nobody, since the socket had no more.
TEST(TlsWire, RingsForBytesThatCameWithTheHandshake) {
  Bench bench(client_context(), server_context(), "localhost");
  spawn(bench.server.shake());
  spawn(bench.client.shake());
  while (bench.client.shaken == Status::would_block) {
    bench.client.signal.raise(bench.client.signal.raised() | 1);
    if (bench.client.shaken == Status::done) break;
    bench.server.signal.raise(1);
  }
  write(*bench.client.wire, "first words");  // before the server has read the client's last word of the handshake
  ASSERT_EQ(bench.server.shaken, Status::would_block);
  bench.server.signal.raise(1);
  ASSERT_EQ(bench.server.shaken, Status::done);
  bench.server.wire->wait_readable(Bell{&bench.server.signal, 2});
  ASSERT_TRUE(bench.rings(bench.server, 2));
  EXPECT_EQ(read(bench, bench.server), "first words");
}

TEST(TlsWire, RingsForBytesThatAreDecryptedAlready) {
  Bench bench;
  write(*bench.client.wire, "123456789");
  EXPECT_EQ(read(bench, bench.server, 1), "1");
  bench.server.wire->wait_readable(Bell{&bench.server.signal, 4});
  EXPECT_EQ(bench.server.signal.raised() & 4, 0u) << "never from within the call";
  ASSERT_TRUE(bench.rings(bench.server, 4));
  EXPECT_EQ(read(bench, bench.server), "23456789");
}

TEST(TlsWire, RingsForARecordThatCameWithTheOneBefore) {
  Bench bench;
  write(*bench.client.wire, "one");
  write(*bench.client.wire, "two");  // the server reads both from the socket at once
  EXPECT_EQ(read(bench, bench.server), "one");
  bench.server.wire->wait_readable(Bell{&bench.server.signal, 4});
  ASSERT_TRUE(bench.rings(bench.server, 4));
  EXPECT_EQ(read(bench, bench.server), "two");
}

TEST(TlsWire, TellsAGoodbyeFromACut) {
  Bench ended, cut, aborted;
  write(*ended.server.wire, "all of it");
  ended.server.wire->close();
  EXPECT_EQ(read(ended, ended.client), "all of it");
  EXPECT_EQ(read(ended, ended.client), "<end>");

  aborted.server.wire->abort();
  EXPECT_EQ(read(aborted, aborted.client), "<failed>");

  Worker worker;
  auto [socket, peer] = test::make_socket_and_peer(worker);
  End client;
  client.wire = make_tls_wire(std::move(socket), client_context(), Role::client, "localhost");
  spawn(client.shake());
  std::thread server([other = &peer] {
    other->start_tls_server(server_context().get());
    other->close_without_goodbye();
  });
  Bell bell{&client.signal, 2};
  test::run_until(worker, [&] { return client.shaken != Status::would_block; });
  Status status = Status::would_block;
  test::run_until(worker, [&] {
    char byte;
    status = client.wire->try_read(std::span<char>(&byte, 1)).status;
    if (status == Status::would_block) client.wire->wait_readable(bell);
    return status != Status::would_block;
  });
  server.join();
  EXPECT_EQ(status, Status::failed) << "an end without a goodbye may be anybody's";
}

TEST(TlsWire, EndsOneDirectionAndReadsOn) {
  Bench bench;
  write(*bench.client.wire, "last words");
  bench.client.wire->shutdown_write();
  EXPECT_EQ(read(bench, bench.server), "last words");
  EXPECT_EQ(read(bench, bench.server), "<end>");
  write(*bench.server.wire, "answer");
  EXPECT_EQ(read(bench, bench.client), "answer");
}

// The bug: OpenSSL writes with write(2), and SIGPIPE ended the process.
TEST(TlsWire, FailsToWriteToAPeerThatIsGoneWithoutASignal) {
  for (const bool in_order : {true, false}) {
    Bench bench;
    in_order ? bench.server.wire->close() : bench.server.wire->abort();
    Status status = Status::done;
    for (int i = 0; i < 100 && status == Status::done; ++i) status = write(*bench.client.wire, "x").status;
    EXPECT_EQ(status, Status::failed);
    bench.client.wire->close();
  }
}

// The bug: OpenSSL keeps the number of the descriptor, so a closed wire wrote to whoever had got it next.
TEST(TlsWire, TouchesNothingOnceClosed) {
  Bench bench;
  bench.client.wire->close();
  auto [left, right] = test::make_socket_pair(bench.worker);
  left.non_blocking(true);
  right.non_blocking(true);
  EXPECT_EQ(write(*bench.client.wire, "to somebody else").status, Status::failed);
  char byte;
  EXPECT_EQ(bench.client.wire->try_read(std::span<char>(&byte, 1)).status, Status::failed);
  EXPECT_EQ(bench.client.wire->handshake().status, Status::failed);
  bench.client.wire->wait_readable(Bell{&bench.client.signal, 4});
  bench.client.wire->shutdown_write();
  bench.client.wire->close();
  test::run_ready(bench.worker);
  EXPECT_EQ(bench.client.signal.raised() & 4, 0u);
  EXPECT_EQ(left.available() + right.available(), 0u);
}

// Sends `text` in pieces of random sizes while it reads what the other end sends, through bells alone.
Task<void> exchange(Worker& worker, End& end, const std::string& text, std::string& got, std::size_t expected,
                    std::uint64_t seed, bool& done) {
  std::mt19937_64 random(seed);
  Connection connection(worker, std::move(end.wire));
  std::size_t sent = 0;
  while (sent < text.size() || connection.has_unflushed() || got.size() < expected) {
    bool progress = false;
    if (!connection.has_unflushed() && sent < text.size()) {
      const std::size_t first = std::min(text.size() - sent, static_cast<std::size_t>(random() % 100));
      const std::size_t second = std::min(text.size() - sent - first, static_cast<std::size_t>(random() % 60'000));
      const std::string_view pieces[] = {std::string_view(text).substr(sent, first),
                                         std::string_view(text).substr(sent + first, second)};
      connection.write(pieces);
      sent += first + second;
      progress = true;
    } else if (connection.has_unflushed()) {
      progress = connection.flush().status == Status::done;
    }
    if (connection.write_failed()) break;
    std::span<char> bytes;
    const IoStep step = connection.read_scratch(bytes);
    if (step.status == Status::done) {
      got.append(bytes.data(), bytes.size());
      continue;
    }
    if (step.status != Status::would_block) break;
    if (progress) continue;
    connection.wire().wait_readable(Bell{&end.signal, 1});
    if (connection.has_unflushed()) connection.wire().wait_writable(Bell{&end.signal, 2});
    co_await end.signal.wait(1 | 2);
  }
  done = true;
}

TEST(TlsWire, CarriesMegabytesInBothDirectionsAtOnce) {
  Bench bench;
  std::mt19937_64 random(7);
  std::string up(3'000'000, '\0'), down(5'000'000, '\0');
  for (auto* text : {&up, &down}) {
    for (char& c : *text) c = static_cast<char>(random());
  }
  std::string got_up, got_down;
  bool client_done = false, server_done = false;
  spawn(exchange(bench.worker, bench.client, up, got_down, down.size(), 1, client_done));
  spawn(exchange(bench.worker, bench.server, down, got_up, up.size(), 2, server_done));
  test::run_until(bench.worker, [&] { return client_done && server_done; }, std::chrono::seconds(60));
  EXPECT_TRUE(got_up == up);
  EXPECT_TRUE(got_down == down);
}

// A record made of hundreds of pieces that did not fit into the socket: what is offered next must hold all of it.
TEST(TlsWire, TakesUpARecordOfManyPiecesAgain) {
  std::mt19937_64 random(3);
  std::string text(16'000'000, '\0');
  for (char& c : text) c = static_cast<char>(random());
  for (const std::size_t size : {61u, 200u}) {
    Bench bench;
    std::vector<std::string_view> pieces;
    for (std::size_t i = 0; i < text.size(); i += size) pieces.push_back(std::string_view(text).substr(i, size));
    Connection connection(bench.worker, std::move(bench.client.wire));
    connection.write(pieces);
    ASSERT_FALSE(connection.write_failed()) << connection.wire().error_text();
    ASSERT_TRUE(connection.has_unflushed()) << "more than a socket holds";
    std::string got;
    while (got.size() < text.size() && !connection.write_failed()) {
      got += read(bench, bench.server);
      connection.flush();
    }
    EXPECT_TRUE(got == text) << "pieces of " << size << ": " << connection.wire().error_text();
  }
}

std::string complaint(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(TlsContext, NamesTheFileItCannotUse) {
  const test::TestCertificate one = authority().issue("one", "DNS:one"), two = authority().issue("two", "DNS:two");
  const std::string missing = (authority().folder() / "missing.pem").string();
  EXPECT_NE(complaint([&] { make_client_tls(missing, true); }).find(missing), std::string::npos);
  EXPECT_NE(complaint([&] { make_server_tls(missing, one.key_file); }).find(missing), std::string::npos);
  EXPECT_NE(complaint([&] { make_server_tls(one.certificate_file, missing); }).find(missing), std::string::npos);
  const std::string mismatch = complaint([&] { make_server_tls(one.certificate_file, two.key_file); });
  EXPECT_NE(mismatch.find(two.key_file), std::string::npos) << mismatch;
}

}  // namespace
}  // namespace weir::net
