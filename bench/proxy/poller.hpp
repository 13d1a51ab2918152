// The little that the bench's upstream and its clients share: epoll, non-blocking sockets, the clock.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

namespace weir::bench {

inline std::int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

inline int open_socket() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) fail("socket");
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return socket;
}

// Level-triggered reading, and nothing else: what is sent here always fits into the socket's buffer.
class Poller {
 public:
  Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  ~Poller() { ::close(epoll_); }
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  void add(int socket, std::uint32_t events = EPOLLIN) {
    epoll_event event{};
    event.events = events;
    event.data.fd = socket;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) != 0) fail("epoll_ctl");
  }
  void change(int socket, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = socket;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket, &event);
  }

  // Calls on_ready(socket, events) for those that are ready, waiting until `deadline` at most.
  template <class OnReady>
  void wait(std::int64_t deadline, OnReady on_ready) {
    const std::int64_t left = deadline - now_ns();
    const timespec limit{left > 0 ? left / 1'000'000'000 : 0, left > 0 ? left % 1'000'000'000 : 0};
    std::array<epoll_event, 256> ready{};
    const int count = ::epoll_pwait2(epoll_, ready.data(), static_cast<int>(ready.size()), &limit, nullptr);
    for (int i = 0; i < count; ++i)
      on_ready(ready[static_cast<std::size_t>(i)].data.fd, ready[static_cast<std::size_t>(i)].events);
  }

 private:
  int epoll_;
};

// Sends all of it or says so: a bench must not measure its own back-pressure. Returns false when the peer has gone.
inline bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      return false;
    }
  }
  return true;
}

// The value of a header in a head, as a number; `otherwise` where it is not there.
inline std::size_t header_number(std::string_view head, std::string_view lower_name, std::size_t otherwise) {
  std::size_t line = head.find("\r\n");
  while (line != std::string_view::npos && line + 2 < head.size()) {
    const std::string_view rest = head.substr(line + 2);
    if (rest.size() > lower_name.size() && rest[lower_name.size()] == ':' &&
        ::strncasecmp(rest.data(), lower_name.data(), lower_name.size()) == 0)
      return std::strtoull(rest.data() + lower_name.size() + 1, nullptr, 10);
    line = head.find("\r\n", line + 2);
  }
  return otherwise;
}

}  // namespace weir::bench
