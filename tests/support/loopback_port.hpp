// Ports of this machine for tests: one that listens, one that refuses, one that gives no answer.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "support/blocking_socket.hpp"

namespace weir::test {

// A listening socket on a loopback port chosen by the system.
class LoopbackPort {
 public:
  explicit LoopbackPort(int backlog = 1024, bool v6 = false)
      : fd_(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 any6{};
    any6.sin6_family = AF_INET6;
    any6.sin6_addr = in6addr_loopback;
    const int result = v6 ? ::bind(fd_, reinterpret_cast<sockaddr*>(&any6), sizeof any6)
                          : ::bind(fd_, reinterpret_cast<sockaddr*>(&any), sizeof any);
    if (result != 0 || ::listen(fd_, backlog) != 0) throw SocketError(std::string("listen: ") + std::strerror(errno));
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin6_port);
  }
  ~LoopbackPort() { ::close(fd_); }
  LoopbackPort(const LoopbackPort&) = delete;
  LoopbackPort& operator=(const LoopbackPort&) = delete;
  std::uint16_t port() const { return port_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

// Whether this machine has the loopback address ::1.
inline bool has_ipv6() {
  try {
    LoopbackPort(1, true);
    return true;
  } catch (const SocketError&) {
    return false;
  }
}

// A port that nobody listens on: connecting is refused.
inline std::uint16_t refusing_port() {
  return LoopbackPort().port();
}

// A port whose backlog is full: connecting to it gets no answer at all.
class SilentPort {
 public:
  SilentPort() : listener_(0) {
    for (int i = 0; i < 4; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(listener_.port());
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
      filling_.emplace_back(fd);
    }
  }
  std::uint16_t port() const { return listener_.port(); }

 private:
  LoopbackPort listener_;
  std::vector<BlockingSocket> filling_;
};

}  // namespace weir::test
