#include "net/open_connection.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/head.hpp"

namespace weir::net {
namespace {

using Kind = Failure::Kind;
using Addresses = Resolver::Endpoints;

constexpr std::size_t connect_answer_max = 16 * 1024;
constexpr std::string_view no_answer = "no answer";

Failure upstream_failure(Kind kind, std::string detail) {
  Failure failure;
  failure.origin = Failure::Origin::upstream;
  failure.kind = kind;
  failure.detail = std::move(detail);
  return failure;
}

// A wait with a limit inside an attempt to open a connection.
class Attempt {
 public:
  Attempt(Worker& worker, OpenContext context)
      : context_(std::move(context)), timer_(worker.timers(), Bell{&context_.signal, context_.progress}) {}

  Bell bell() const { return {&context_.signal, context_.progress}; }
  void limit(Instant deadline) { timer_.arm(deadline_ = deadline); }
  bool late() const { return Clock::now() >= deadline_; }
  bool given_up() const { return given_up_; }
  // True to go on; false when given up or late.
  Task<bool> wait() {
    for (;;) {
      const Signal::Bits bits = co_await context_.signal.wait(context_.progress | context_.watch);
      if ((bits & context_.watch) != 0 && !context_.still_wanted(bits & context_.watch)) given_up_ = true;
      if (given_up_ || late()) co_return false;
      if ((bits & context_.progress) != 0) co_return true;
    }
  }

 private:
  OpenContext context_;
  Timer timer_;
  Instant deadline_ = Instant::max();
  bool given_up_ = false;
};

// Why there is no connection.
struct Unconnected {
  std::string why;
  bool here = false;  // for want of something on this machine: it says nothing about the other side
};

Unconnected unconnected(int code) {
  const bool here = code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
  return {std::strerror(code), here};
}

// What looks names up hides why it could not.
bool descriptors_are_left() {
  const int fd = ::dup(STDERR_FILENO);
  if (fd >= 0) ::close(fd);
  return fd >= 0 || (errno != EMFILE && errno != ENFILE);
}

int socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

// One TCP connection to one address; the wire, or nothing with the reason in `failed`.
Task<std::unique_ptr<Wire>> connect_tcp(Worker& worker, Attempt& attempt, const boost::asio::ip::tcp::endpoint& address,
                                        Unconnected& failed) {
  Socket socket(worker.io());
  boost::system::error_code error;
  socket.open(address.protocol(), error);
  if (error) {
    failed = unconnected(error.value());
    co_return nullptr;
  }
  socket.native_non_blocking(true, error);
  const int fd = socket.native_handle();
  const int result = ::connect(fd, address.data(), static_cast<socklen_t>(address.size()));
  if (result != 0 && errno != EINPROGRESS) {
    failed = unconnected(errno);
    co_return nullptr;
  }
  std::unique_ptr<Wire> wire = make_socket_wire(std::move(socket));
  if (result != 0) {
    wire->wait_writable(attempt.bell());
    for (;;) {
      const bool go_on = co_await attempt.wait();
      if (!go_on) {
        failed = {std::string(no_answer), false};
        co_return nullptr;
      }
      // The bell may be a stale one: connected means an error-free socket with a peer.
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) break;
      if (const int code = socket_error(fd); code != 0) {
        failed = unconnected(code);
        co_return nullptr;
      }
      wire->wait_writable(attempt.bell());
    }
  }
  co_return wire;
}

std::string connect_request(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  const std::string authority = (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
  std::string request = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!endpoint.proxy->authorization.empty())
    request += "Proxy-Authorization: " + endpoint.proxy->authorization + "\r\n";
  return request + "\r\n";
}

// What the proxy has answered so far; nothing: its answer is not whole. Empty: the tunnel is there.
std::optional<std::string> refusal_of_tunnel(std::string_view answer) {
  const HeadLimits limits{connect_answer_max, 128};
  const auto end = find_head_end(answer, limits);
  const auto* size = std::get_if<std::size_t>(&end);
  if (!size) return "the proxy's answer is not HTTP";
  if (*size == 0) return std::nullopt;
  ResponseHead head;
  std::string bytes(answer.substr(0, *size));
  mend_response_head(bytes);
  if (parse_response_head(bytes, limits, head)) return "the proxy's answer is not HTTP";
  if (head.status < 200 || head.status > 299)
    return "the proxy refused the tunnel with status " + std::to_string(head.status);
  return std::string();
}

// Asks an HTTP proxy for a tunnel; empty: it is there.
Task<std::string> open_tunnel(Worker& worker, Attempt& attempt, std::unique_ptr<Wire>& wire, const Endpoint& endpoint) {
  Connection connection(worker, std::move(wire));
  connection.write(connect_request(endpoint));
  for (;;) {
    const IoStep flushed = connection.flush();
    if (flushed.status == IoStep::Status::would_block) connection.wire().wait_writable(attempt.bell());
    if (auto refusal = refusal_of_tunnel(connection.unread())) {
      if (refusal->empty()) wire = connection.release();
      co_return std::move(*refusal);
    }
    const IoStep step = connection.read_more();
    if (step.status == IoStep::Status::done) continue;
    if (step.status != IoStep::Status::would_block) co_return std::string("the proxy closed the connection");
    connection.wire().wait_readable(attempt.bell());
    const bool go_on = co_await attempt.wait();
    if (!go_on) co_return std::string("the proxy did not answer");
  }
}

std::string handshake_fault(const Wire& wire) {
  std::string reason = wire.error_text();
  if (reason.empty()) return "the connection was closed";
  const bool unknown_issuer =
      reason.find("self-signed") != std::string::npos || reason.find("issuer") != std::string::npos;
  if (unknown_issuer) reason += ", as of an authority of one's own: is ca_file missing?";
  // What OpenSSL makes of words that are no TLS.
  if (reason == "wrong version number") reason += ", as of a port that speaks plain HTTP: is http:// meant?";
  return reason;
}

// The steps on the way to one connection, in order. Each returns its failure, if any.
class Opening {
 public:
  Opening(Worker& worker, Resolver& resolver, const Endpoint& endpoint, OpenContext context)
      : worker_(worker),
        resolver_(resolver),
        endpoint_(endpoint),
        host_(endpoint.proxy ? endpoint.proxy->host : endpoint.host),
        port_(endpoint.proxy ? endpoint.proxy->port : endpoint.port),
        attempt_(worker, std::move(context)),
        deadline_(Clock::now() + endpoint.connect_max) {
    attempt_.limit(deadline_);
  }

  Task<Failure> resolve();
  Task<Failure> connect();
  Task<Failure> tunnel();
  Task<Failure> secure();
  std::unique_ptr<Connection> take() { return std::make_unique<Connection>(worker_, std::move(wire_)); }

 private:
  // `late_kind`: unless it was given up.
  Failure stopped(Kind late_kind, std::string detail) const {
    if (attempt_.given_up()) return upstream_failure(Kind::cancelled, "given up");
    return upstream_failure(late_kind, std::move(detail));
  }
  std::string where() const { return host_ + ":" + std::to_string(port_); }

  Worker& worker_;
  Resolver& resolver_;
  const Endpoint& endpoint_;
  // Of the upstream, or of the proxy on the way to it.
  const std::string& host_;
  const std::uint16_t port_;
  Attempt attempt_;
  const Instant deadline_;  // of name, TCP and tunnel
  Addresses addresses_;
  std::unique_ptr<Wire> wire_;
};

Task<Failure> Opening::resolve() {
  Resolver::Wait resolved(resolver_, host_, port_, attempt_.bell(), endpoint_.connect_max);
  while (!resolved.ready()) {
    const bool go_on = co_await attempt_.wait();
    if (!go_on) co_return stopped(Kind::resolve, "the name " + host_ + " was not resolved in time");
  }
  addresses_ = resolved.endpoints();
  if (!addresses_.empty()) co_return Failure{};
  Failure failure = upstream_failure(Kind::resolve, "the name " + host_ + " cannot be resolved: " + resolved.error());
  if (!descriptors_are_left()) failure.origin = Failure::Origin::internal;
  co_return failure;
}

Task<Failure> Opening::connect() {
  Unconnected error;
  const std::size_t count = addresses_.size();
  for (std::size_t i = 0; i < count && !wire_; ++i) {
    // Each address gets an equal part of what time is left, so that one dead address does not use it all.
    const Instant now = Clock::now();
    attempt_.limit(now + std::max(Clock::duration::zero(), deadline_ - now) / static_cast<int>(count - i));
    wire_ = co_await connect_tcp(worker_, attempt_, addresses_[i], error);
    if (!wire_ && attempt_.given_up()) co_return stopped(Kind::connect, "");
  }
  if (wire_) co_return Failure{};
  const Kind kind = error.why == no_answer ? Kind::connect_timeout : Kind::connect;
  Failure failure = upstream_failure(kind, "cannot connect to " + where() + ": " + error.why);
  if (error.here) failure.origin = Failure::Origin::internal;
  co_return failure;
}

Task<Failure> Opening::tunnel() {
  attempt_.limit(deadline_);
  std::string refused = co_await open_tunnel(worker_, attempt_, wire_, endpoint_);
  if (!refused.empty()) co_return stopped(Kind::proxy, where() + ": " + refused);
  co_return Failure{};
}

Task<Failure> Opening::secure() {
  attempt_.limit(Clock::now() + endpoint_.tls_max);
  auto tls = make_tls_wire(release_socket(std::move(wire_)), endpoint_.tls, TlsWire::Role::client, endpoint_.host);
  for (;;) {
    const IoStep step = tls->handshake();
    if (step.status == IoStep::Status::done) break;
    if (step.status != IoStep::Status::would_block) {
      Failure failure =
          upstream_failure(Kind::tls, "TLS handshake with " + endpoint_.host + " failed: " + handshake_fault(*tls));
      failure.lasting = tls->failed_for_good();
      co_return failure;
    }
    if (tls->wants_write()) {
      tls->wait_writable(attempt_.bell());
    } else {
      tls->wait_readable(attempt_.bell());
    }
    const bool go_on = co_await attempt_.wait();
    if (!go_on) co_return stopped(Kind::tls_timeout, "no TLS handshake with " + endpoint_.host + " in time");
  }
  wire_ = std::move(tls);
  co_return Failure{};
}

}  // namespace

Task<std::variant<std::unique_ptr<Connection>, Failure>> open_connection(Worker& worker, Resolver& resolver,
                                                                         const Endpoint& endpoint,
                                                                         OpenContext context) {
  Opening opening(worker, resolver, endpoint, std::move(context));
  Failure failure = co_await opening.resolve();
  if (!failure) failure = co_await opening.connect();
  if (!failure && endpoint.proxy && endpoint.tls) failure = co_await opening.tunnel();
  if (!failure && endpoint.tls) failure = co_await opening.secure();
  if (failure) co_return failure;
  co_return opening.take();
}

}  // namespace weir::net
