// What the socket wires share: the descriptor, its options, and readiness by bell over Asio's reactor. Private to net/.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "net/hangup_watch.hpp"
#include "net/socket_wire.hpp"

namespace weir::net {

// The socket and the bells, kept alive by outstanding waits; the wire itself may go before they complete.
struct SocketState : boost::intrusive_ref_counter<SocketState, boost::thread_unsafe_counter> {
  explicit SocketState(Socket s) : socket(std::move(s)) {}
  Socket socket;
  Bell readable, writable;
  Bell read_goes_on;  // rung beside `writable`: a read that has to write first
  bool read_armed = false, write_armed = false;
  bool asks_to_write = false;  // Asio does, of the kernel, since there was a wait to write
  HangupWatch::Place hangup;
};

class SocketBase {
 public:
  explicit SocketBase(Socket socket) : state_(new SocketState(std::move(socket))) {
    boost::system::error_code ignored;
    state_->socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    state_->socket.native_non_blocking(true, ignored);
    fd_ = state_->socket.native_handle();
  }
  ~SocketBase() { close_socket(); }
  SocketBase(const SocketBase&) = delete;
  SocketBase& operator=(const SocketBase&) = delete;

  void arm_readable(Bell bell) { arm<Socket::wait_read>(state_->readable, state_->read_armed, bell); }
  void arm_writable(Bell bell) { arm<Socket::wait_write>(state_->writable, state_->write_armed, bell); }
  // TLS may have to write (a key update) before it can read.
  void arm_readable_by_writing(Bell bell) {
    state_->read_goes_on = bell;
    arm_writable(state_->writable);
  }
  void watch_hangup(Bell bell) {
    if (fd_ >= 0) hangups().watch(state_->hangup, fd_, bell);
  }
  bool peer_hung_up() const {
    pollfd asked{fd_, POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) == 1 && (asked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }
  void disarm() {
    state_->readable = state_->writable = state_->read_goes_on = Bell{};
    if (state_->hangup.fd >= 0) hangups().unwatch(state_->hangup);
  }

  void close_socket() {
    disarm();
    boost::system::error_code ignored;
    if (state_->socket.is_open()) state_->socket.close(ignored);
    fd_ = -1;
  }
  void abort_socket() {
    if (fd_ >= 0) {
      const linger reset{1, 0};
      ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    close_socket();
  }
  Socket take_socket() {
    disarm();
    boost::system::error_code ignored;
    state_->socket.cancel(ignored);
    if (state_->asks_to_write) stop_asking_to_write();
    return std::move(state_->socket);
  }
  // Asked for once: it is wanted at every request of a connection.
  std::string address() const {
    if (address_.empty()) {
      boost::system::error_code error;
      const auto endpoint = state_->socket.remote_endpoint(error);
      if (!error) address_ = endpoint.address().to_string();
    }
    return address_;
  }
  // Rings the readable bell soon, without the socket's doing: bytes are there already, above it.
  void ring_readable_soon(Bell bell) {
    state_->readable = bell;
    boost::intrusive_ptr<SocketState> state = state_;
    boost::asio::post(state_->socket.get_executor(), [state] { std::exchange(state->readable, Bell{}).ring(); });
  }

  int fd() const { return fd_; }
  std::string failure() const { return errno_ ? std::strerror(errno_) : ""; }
  IoStep fail(int error) {
    errno_ = error;
    return {IoStep::Status::failed, 0};
  }

 private:
  HangupWatch& hangups() { return boost::asio::use_service<HangupWatch>(state_->socket.get_executor().context()); }
  template <Socket::wait_type Direction>
  void arm(Bell& slot, bool& armed, Bell bell) {
    slot = bell;
    if (armed || fd_ < 0) return;
    if (Direction == Socket::wait_write) state_->asks_to_write = true;
    if (Direction == Socket::wait_read && state_->asks_to_write && !state_->write_armed) stop_asking_to_write();
    armed = true;
    boost::intrusive_ptr<SocketState> state = state_;
    state_->socket.async_wait(Direction, [state, &slot, &armed](const boost::system::error_code&) {
      armed = false;
      const Bell ready = std::exchange(slot, Bell{});
      ready.ring();
      // Taken after that: whoever was rung may have disarmed it.
      if constexpr (Direction == Socket::wait_write) std::exchange(state->read_goes_on, Bell{}).ring();
    });
  }

  // Asio never takes back that it asked whether a socket can be written to. Nearly always it can, so every later wait
  // to read would be answered by that at once: a vain round of the event loop for each event relayed. Registering anew
  // ends it, and every wait.
  void stop_asking_to_write() {
    Socket& socket = state_->socket;
    boost::system::error_code error;
    const auto protocol = socket.local_endpoint(error).protocol();
    socket.release(error);
    if (error) return;
    state_->asks_to_write = false;
    socket.assign(protocol, fd_, error);
    if (!error) return;
    ::close(fd_);  // out of memory; whoever waits is told of a failure
    fd_ = -1;
  }

  boost::intrusive_ptr<SocketState> state_;
  mutable std::string address_;
  int fd_ = -1;
  int errno_ = 0;
};

}  // namespace weir::net
