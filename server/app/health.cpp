#include "app/health.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <string_view>

namespace weir::app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds patience_default = 3s;    // container runtimes give up after a few seconds themselves
constexpr std::size_t answer_bytes_max = 65536;  // /readyz is short; whatever says more is not weir

class Socket {
 public:
  explicit Socket(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

  // Whether one of `events` came before `end`.
  bool wait(short events, Clock::time_point end) const {
    for (;;) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      if (left.count() <= 0) return false;
      pollfd entry{fd_, events, 0};
      const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
    }
  }

 private:
  int fd_;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// Where to ask a server that listens on `address`: one that listens everywhere is asked by loopback.
SocketAddress address_to_ask(const ListenAddress& address) {
  std::string host = address.host;
  if (host == "localhost" || host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  SocketAddress result;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    result.size = sizeof v4;
    std::memcpy(&result.storage, &v4, sizeof v4);
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    result.size = sizeof v6;
    std::memcpy(&result.storage, &v6, sizeof v6);
  }
  return result;
}

Readiness nobody(const ListenAddress& address, const std::string& why) {
  return {false, "nobody answers on " + to_string(address) + ": " + why};
}

}  // namespace

Readiness ask_readiness(const ListenAddress& address, milliseconds patience) {
  const auto end = Clock::now() + patience;
  const std::string too_slow = "no answer within " + std::to_string(patience.count()) + " ms";
  const SocketAddress to = address_to_ask(address);
  const Socket socket(to.storage.ss_family);
  if (socket.fd() < 0) return nobody(address, std::strerror(errno));
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0) {
    if (errno != EINPROGRESS) return nobody(address, std::strerror(errno));
    if (!socket.wait(POLLOUT, end)) return nobody(address, too_slow);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return nobody(address, std::strerror(error));
  }
  // So short that it fits into the buffer of a new connection, or something is wrong.
  constexpr std::string_view request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::send(socket.fd(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return nobody(address, std::strerror(errno));
  }
  std::string answer;
  std::array<char, 4096> bytes{};
  while (answer.size() < answer_bytes_max) {
    if (!socket.wait(POLLIN, end)) return nobody(address, too_slow);
    const ssize_t got = ::recv(socket.fd(), bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    answer.append(bytes.data(), static_cast<std::size_t>(got));
  }
  if (answer.empty()) return nobody(address, "the connection was closed without an answer");
  if (answer.starts_with("HTTP/1.1 200")) return {true, {}};
  const auto body = answer.find("\r\n\r\n");
  return {false, "not ready: " + (body == std::string::npos ? answer : answer.substr(body + 4))};
}

int run_health(const Overrides& overrides) {
  // Only the address matters, so a configuration that could not be served is still good enough to ask by.
  const Environment environment = process_environment();
  std::vector<ListenAddress> addresses = OperatorConfig{}.listen;
  const auto variable = environment.variable("WEIR_OPERATOR_LISTEN");
  const auto path = overrides.config ? overrides.config : environment.variable("WEIR_CONFIG");
  if (overrides.operator_listen || (variable && !variable->empty())) {
    const std::string& all = overrides.operator_listen ? *overrides.operator_listen : *variable;
    const auto parsed = parse_listen_address(std::string_view(all).substr(0, all.find(',')));
    if (const auto* fault = std::get_if<std::string>(&parsed)) {
      std::cerr << "weir health: " << *fault << '\n';
      return 2;
    }
    addresses = {std::get<ListenAddress>(parsed)};
  } else if (path && !path->empty()) {
    Problems problems;
    const auto text = environment.read_file(*path);
    if (text) addresses = read_config(*text, *path, environment, problems).operators.listen;
    if (addresses.empty()) {  // what was written there is no address
      std::cerr << to_string(problems);
      return 2;
    }
  }
  const Readiness readiness = ask_readiness(addresses.front(), patience_default);
  if (!readiness.ready) std::cerr << "weir health: " << readiness.reason << '\n';
  return readiness.ready ? 0 : 1;
}

}  // namespace weir::app
