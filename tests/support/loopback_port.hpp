// Ports of this machine for tests: one that listens, one that refuses, one that gives no answer.
#pragma once

#include <cstdint>
#include <vector>

#include "support/blocking_socket.hpp"

namespace weir::test {

// A listening socket on a loopback port chosen by the system.
class LoopbackPort {
 public:
  explicit LoopbackPort(int backlog = 1024, bool v6 = false);
  ~LoopbackPort();
  LoopbackPort(const LoopbackPort&) = delete;
  LoopbackPort& operator=(const LoopbackPort&) = delete;
  std::uint16_t port() const { return port_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

// Whether this machine has the loopback address ::1.
bool has_ipv6();

// A port that nobody listens on: connecting is refused.
std::uint16_t refusing_port();

// A port whose backlog is full: connecting to it gets no answer at all.
class SilentPort {
 public:
  SilentPort();
  std::uint16_t port() const { return listener_.port(); }

 private:
  LoopbackPort listener_;
  std::vector<BlockingSocket> filling_;
};

}  // namespace weir::test
