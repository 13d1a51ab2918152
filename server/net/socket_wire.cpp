#include "net/socket_wire.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <array>

#include "net/socket_base.hpp"

namespace weir::net {
namespace {

class PlainWire final : public Wire, private SocketBase {
 public:
  explicit PlainWire(Socket socket) : SocketBase(std::move(socket)) {}

  IoStep try_read(std::span<char> into) override {
    for (;;) {
      const ssize_t got = ::recv(fd(), into.data(), into.size(), 0);
      if (got > 0) return {IoStep::Status::done, static_cast<std::size_t>(got)};
      if (got == 0) return {IoStep::Status::end, 0};
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStep::Status::would_block, 0};
      return fail(errno);
    }
  }

  IoStep try_write(std::span<const std::string_view> pieces, std::size_t from) override {
    std::array<iovec, 64> vectors;
    const std::size_t count = std::min(pieces.size(), vectors.size());
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i].iov_base = const_cast<char*>(pieces[i].data());
      vectors[i].iov_len = pieces[i].size();
    }
    vectors[0].iov_base = static_cast<char*>(vectors[0].iov_base) + from;
    vectors[0].iov_len -= from;
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    for (;;) {
      const ssize_t sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
      if (sent > 0) return {IoStep::Status::done, static_cast<std::size_t>(sent)};
      if (sent < 0 && errno == EINTR) continue;
      if (sent == 0 || errno == EAGAIN || errno == EWOULDBLOCK) return {IoStep::Status::would_block, 0};
      return fail(errno);
    }
  }

  void wait_readable(Bell bell) override { arm_readable(bell); }
  void wait_writable(Bell bell) override { arm_writable(bell); }
  void wait_hangup(Bell bell) override { watch_hangup(bell); }
  bool hung_up() const override { return peer_hung_up(); }
  void drop_bells() override { disarm(); }
  void close() override { close_socket(); }
  void abort() override { abort_socket(); }
  void shutdown_write() override { ::shutdown(fd(), SHUT_WR); }
  std::string peer_address() const override { return address(); }
  std::string error_text() const override { return failure(); }
  Socket release() { return take_socket(); }
};

}  // namespace

std::unique_ptr<Wire> make_socket_wire(Socket socket) {
  return std::make_unique<PlainWire>(std::move(socket));
}

Socket release_socket(std::unique_ptr<Wire> wire) {
  return static_cast<PlainWire&>(*wire).release();
}

}  // namespace weir::net
