#include "support/loopback_port.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace weir::test {

LoopbackPort::LoopbackPort(int backlog, bool v6)
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

LoopbackPort::~LoopbackPort() {
  ::close(fd_);
}

bool has_ipv6() {
  try {
    LoopbackPort(1, true);
    return true;
  } catch (const SocketError&) {
    return false;
  }
}

std::uint16_t refusing_port() {
  return LoopbackPort().port();
}

SilentPort::SilentPort() : listener_(0) {
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

}  // namespace weir::test
