#include "support/blocking_socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace weir::test {
namespace {

using Buffer = std::array<char, 64 * 1024>;

std::string tls_error() {
  const unsigned long code = ERR_get_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  return reason ? reason : "the connection broke";
}

ssize_t tls_write(SSL* ssl, std::string_view bytes) {
  ERR_clear_error();
  const int sent = SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()));
  return sent > 0 ? sent : -1;
}

ssize_t tls_read(SSL* ssl, Buffer& buffer) {
  ERR_clear_error();
  errno = 0;
  const int got = SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()));
  if (got > 0) return got;
  const int error = SSL_get_error(ssl, got);
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  if (error == SSL_ERROR_WANT_READ) errno = EAGAIN;
  if (errno == 0) errno = ECONNRESET;  // an end without a goodbye
  return -1;
}

bool poll_for(int fd, short events, std::chrono::milliseconds limit) {
  pollfd poll{fd, events, 0};
  return ::poll(&poll, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace

BlockingSocket::BlockingSocket(int fd) : fd_(fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval limit{std::chrono::duration_cast<std::chrono::seconds>(patience).count(), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

BlockingSocket::BlockingSocket(BlockingSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ssl_(std::exchange(other.ssl_, nullptr)) {}

BlockingSocket& BlockingSocket::operator=(BlockingSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(ssl_, other.ssl_);
  return *this;
}

BlockingSocket::~BlockingSocket() {
  close();
}

BlockingSocket BlockingSocket::connect(std::uint16_t port, const std::string& address, int receive_buffer) {
  const bool v6 = address.find(':') != std::string::npos;
  BlockingSocket socket(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer > 0) {
    ::setsockopt(socket.fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  int result = -1;
  if (v6) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    ::inet_pton(AF_INET6, address.c_str(), &to.sin6_addr);
    result = ::connect(socket.fd_, reinterpret_cast<sockaddr*>(&to), sizeof to);
  } else {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
    result = ::connect(socket.fd_, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  if (result != 0) throw SocketError("connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  return socket;
}

void BlockingSocket::start_tls_client(SSL_CTX* context, const std::string& server_name) {
  ssl_ = SSL_new(context);
  SSL_set_fd(ssl_, fd_);
  if (!server_name.empty()) SSL_set_tlsext_host_name(ssl_, server_name.c_str());
  if (SSL_connect(ssl_) != 1) throw SocketError("TLS connect: " + tls_error());
}

void BlockingSocket::start_tls_server(SSL_CTX* context) {
  ssl_ = SSL_new(context);
  SSL_set_fd(ssl_, fd_);
  if (SSL_accept(ssl_) != 1) throw SocketError("TLS accept: " + tls_error());
}

void BlockingSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ssl_ ? tls_write(ssl_, bytes) : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) throw TimedOut("the peer did not read what was sent");
      throw ConnectionReset(std::string("send: ") + std::strerror(errno));
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string BlockingSocket::receive(std::chrono::milliseconds limit) {
  if (!readable(limit)) throw TimedOut("nothing arrived in time");
  Buffer buffer;
  for (;;) {
    const ssize_t got = ssl_ ? tls_read(ssl_, buffer) : ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) throw TimedOut("nothing arrived in time");
    if (got < 0) throw ConnectionReset(std::string("receive: ") + std::strerror(errno));
    return {buffer.data(), static_cast<std::size_t>(got)};
  }
}

bool BlockingSocket::readable(std::chrono::milliseconds limit) const {
  if (ssl_ && SSL_has_pending(ssl_)) return true;  // read ahead, perhaps not decrypted yet
  return poll_for(fd_, POLLIN, limit);
}

bool BlockingSocket::writable(std::chrono::milliseconds limit) const {
  return poll_for(fd_, POLLOUT, limit);
}

void BlockingSocket::shutdown_write() {
  if (ssl_) SSL_shutdown(ssl_);
  ::shutdown(fd_, SHUT_WR);
}

void BlockingSocket::interrupt() const {
  ::shutdown(fd_, SHUT_RDWR);
}

void BlockingSocket::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close_without_goodbye();
}

void BlockingSocket::close() {
  if (ssl_) {
    SSL_shutdown(ssl_);
    SSL_free(std::exchange(ssl_, nullptr));
  }
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void BlockingSocket::close_without_goodbye() {
  if (ssl_) SSL_set_quiet_shutdown(ssl_, 1);
  close();
}

std::uint16_t BlockingSocket::local_port() const {
  sockaddr_in6 address{};
  socklen_t size = sizeof address;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin6_port);  // at the same place in both families
}

}  // namespace weir::test
