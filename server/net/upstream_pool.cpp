#include "net/upstream_pool.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "net/head.hpp"

namespace weir::net {
namespace {

using Kind = Failure::Kind;

// A connection that has been idle for longer than this is looked at before use: the peer may have closed it.
constexpr std::chrono::milliseconds trusted_idle{20};
// Less than the shortest time for which common servers keep an idle connection open (uvicorn, Node: 5 s).
constexpr std::chrono::seconds lately{3};
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

// Asks an HTTP proxy for a tunnel; empty: it is there.
Task<std::string> open_tunnel(Worker& worker, Attempt& attempt, std::unique_ptr<Wire>& wire, const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  const std::string authority = (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
  std::string request = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!endpoint.proxy->authorization.empty())
    request += "Proxy-Authorization: " + endpoint.proxy->authorization + "\r\n";
  request += "\r\n";
  Connection connection(worker, std::move(wire));
  connection.write(request);
  const HeadLimits limits{connect_answer_max, 128};
  for (;;) {
    const IoStep flushed = connection.flush();
    if (flushed.status == IoStep::Status::would_block) connection.wire().wait_writable(attempt.bell());
    const auto end = find_head_end(connection.unread(), limits);
    if (const auto* size = std::get_if<std::size_t>(&end); !size) {
      co_return std::string("the proxy's answer is not HTTP");
    } else if (*size > 0) {
      ResponseHead head;
      std::string bytes(connection.unread().substr(0, *size));
      mend_response_head(bytes);
      if (parse_response_head(bytes, limits, head)) co_return std::string("the proxy's answer is not HTTP");
      if (head.status < 200 || head.status > 299) {
        co_return "the proxy refused the tunnel with status " + std::to_string(head.status);
      }
      wire = connection.release();
      co_return std::string();
    }
    const IoStep step = connection.read_more();
    if (step.status == IoStep::Status::done) continue;
    if (step.status != IoStep::Status::would_block) co_return std::string("the proxy closed the connection");
    connection.wire().wait_readable(attempt.bell());
    const bool go_on = co_await attempt.wait();
    if (!go_on) co_return std::string("the proxy did not answer");
  }
}

}  // namespace

void Lease::give_back(Trust trust) {
  if (connection_) pool_->keep(*key_, std::move(connection_), trust);
}

UpstreamPool::UpstreamPool(Worker& worker, Clock::duration idle_max, ResolverOptions resolving)
    : worker_(worker), idle_max_(idle_max), resolver_(worker, std::move(resolving)), sweeping_(worker.io()) {}

UpstreamPool::~UpstreamPool() = default;

void UpstreamPool::close_idle() {
  idle_.clear();
  counts_.idle.set(0);
}

std::size_t UpstreamPool::idle_connections() const {
  std::size_t count = 0;
  for (const auto& [key, connections] : idle_) count += connections.size();
  return count;
}

std::unique_ptr<Connection> UpstreamPool::take_idle(const std::string& key, Choice choice) {
  const auto found = idle_.find(key);
  if (found == idle_.end()) return nullptr;
  auto connection = take_idle_of(found->second, choice);
  counts_.idle.set(idle_connections());
  return connection;
}

std::unique_ptr<Connection> UpstreamPool::take_idle_of(std::deque<Idle>& connections, Choice choice) {
  while (!connections.empty()) {
    // The one used last: it is the likeliest to be open, and the others can grow old and go.
    if (choice == Choice::lately_used && Clock::now() - connections.back().since > lately) return nullptr;
    Idle idle = std::move(connections.back());
    connections.pop_back();
    const auto age = Clock::now() - idle.since;
    if (age > idle_max_) {
      connections.clear();
      return nullptr;
    }
    if (age > trusted_idle || idle.trust == Lease::Trust::look_first || choice == Choice::lately_used) {
      char byte;
      if (idle.connection->wire().try_read(std::span<char>(&byte, 1)).status != IoStep::Status::would_block) continue;
    }
    return std::move(idle.connection);
  }
  return nullptr;
}

void UpstreamPool::keep(const std::string& key, std::unique_ptr<Connection> connection, Lease::Trust trust) {
  // What is left over belongs to nobody: the next exchange would take it for its answer.
  if (!connection->unread().empty() || connection->has_unflushed() || connection->write_failed()) return;
  connection->wire().drop_bells();  // they ring an exchange that ends
  auto& connections = idle_[key];
  const Instant now = Clock::now();
  // The oldest are at the front: those past their time go whenever one comes.
  while (!connections.empty() &&
         (connections.size() >= idle_per_endpoint_max || now - connections.front().since > idle_max_)) {
    connections.pop_front();
  }
  connections.push_back({std::move(connection), now, trust});
  counts_.idle.set(idle_connections());
  if (!sweeps_) sweep_at(now + idle_max_);
}

void UpstreamPool::sweep_at(Instant due) {
  sweeps_ = true;
  sweeping_.expires_at(due);
  sweeping_.async_wait([this, alive = std::weak_ptr<UpstreamPool*>(self_)](const boost::system::error_code& error) {
    if (!error && !alive.expired()) sweep();
  });
}

void UpstreamPool::sweep() {
  sweeps_ = false;
  const Instant now = Clock::now();
  Instant oldest = Instant::max();
  for (auto& [key, connections] : idle_) {
    while (!connections.empty() && now - connections.front().since >= idle_max_) connections.pop_front();
    if (!connections.empty()) oldest = std::min(oldest, connections.front().since);
  }
  std::erase_if(idle_, [](const auto& entry) { return entry.second.empty(); });
  counts_.idle.set(idle_connections());
  if (!idle_.empty()) sweep_at(oldest + idle_max_);
}

Task<std::variant<Lease, Failure>> UpstreamPool::acquire(const Endpoint& endpoint, OpenContext context, Choice choice) {
  if (choice != Choice::fresh_only) {
    if (auto connection = take_idle(endpoint.key, choice)) {
      counts_.reused.add();
      co_return Lease(*this, endpoint.key, std::move(connection), true);
    }
  }
  auto opened = co_await open(endpoint, std::move(context));
  if (auto* failure = std::get_if<Failure>(&opened)) co_return std::move(*failure);
  counts_.opened.add();
  co_return Lease(*this, endpoint.key, std::move(std::get<std::unique_ptr<Connection>>(opened)), false);
}

Task<std::variant<std::unique_ptr<Connection>, Failure>> UpstreamPool::open(const Endpoint& endpoint,
                                                                            OpenContext context) {
  Attempt attempt(worker_, std::move(context));
  const Instant deadline = Clock::now() + endpoint.connect_max;
  attempt.limit(deadline);
  const auto stopped = [&](Kind late_kind, std::string detail) {
    if (attempt.given_up()) return upstream_failure(Kind::cancelled, "given up");
    return upstream_failure(late_kind, std::move(detail));
  };

  const std::string& host = endpoint.proxy ? endpoint.proxy->host : endpoint.host;
  const std::uint16_t port = endpoint.proxy ? endpoint.proxy->port : endpoint.port;
  const std::string where = host + ":" + std::to_string(port);
  Resolver::Wait resolved(resolver_, host, port, attempt.bell(), endpoint.connect_max);
  while (!resolved.ready()) {
    const bool go_on = co_await attempt.wait();
    if (!go_on) co_return stopped(Kind::resolve, "the name " + host + " was not resolved in time");
  }
  const Resolver::Endpoints addresses = resolved.endpoints();
  if (addresses.empty()) {
    Failure failure = upstream_failure(Kind::resolve, "the name " + host + " cannot be resolved: " + resolved.error());
    if (!descriptors_are_left()) failure.origin = Failure::Origin::internal;
    co_return failure;
  }

  std::unique_ptr<Wire> wire;
  Unconnected error;
  const std::size_t count = addresses.size();
  for (std::size_t i = 0; i < count && !wire; ++i) {
    // Each address gets an equal part of what time is left, so that one dead address does not use it all.
    const Instant now = Clock::now();
    attempt.limit(now + std::max(Clock::duration::zero(), deadline - now) / static_cast<int>(count - i));
    wire = co_await connect_tcp(worker_, attempt, addresses[i], error);
    if (!wire && attempt.given_up()) co_return stopped(Kind::connect, "");
  }
  if (!wire) {
    const Kind kind = error.why == no_answer ? Kind::connect_timeout : Kind::connect;
    Failure failure = upstream_failure(kind, "cannot connect to " + where + ": " + error.why);
    if (error.here) failure.origin = Failure::Origin::internal;
    co_return failure;
  }

  if (endpoint.proxy && endpoint.tls) {
    attempt.limit(deadline);
    std::string refused = co_await open_tunnel(worker_, attempt, wire, endpoint);
    if (!refused.empty()) co_return stopped(Kind::proxy, where + ": " + refused);
  }

  if (endpoint.tls) {
    attempt.limit(Clock::now() + endpoint.tls_max);
    auto tls = make_tls_wire(release_socket(std::move(wire)), endpoint.tls, TlsWire::Role::client, endpoint.host);
    for (;;) {
      const IoStep step = tls->handshake();
      if (step.status == IoStep::Status::done) break;
      if (step.status != IoStep::Status::would_block) {
        std::string reason = tls->error_text();
        if (reason.empty()) reason = "the connection was closed";
        // What OpenSSL makes of words that are no TLS.
        if (reason == "wrong version number") reason += ", as of a port that speaks plain HTTP: is http:// meant?";
        co_return upstream_failure(Kind::tls, "TLS handshake with " + endpoint.host + " failed: " + reason);
      }
      if (tls->wants_write()) {
        tls->wait_writable(attempt.bell());
      } else {
        tls->wait_readable(attempt.bell());
      }
      const bool go_on = co_await attempt.wait();
      if (!go_on) co_return stopped(Kind::tls_timeout, "no TLS handshake with " + endpoint.host + " in time");
    }
    wire = std::move(tls);
  }
  co_return std::make_unique<Connection>(worker_, std::move(wire));
}

}  // namespace weir::net
