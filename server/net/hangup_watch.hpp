// Tells that a peer has ended or reset its side of a connection, whatever stands unread before the end. Readiness for
// reading cannot tell: the unread bytes ring it. Asio's reactor asks the kernel for nothing else, so there is an epoll
// descriptor beside it, one per event loop and made when it is first needed. Private to net/.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "net/signal.hpp"

namespace weir::net {

class HangupWatch final : public boost::asio::execution_context::service {
 public:
  using key_type = HangupWatch;
  static boost::asio::execution_context::id id;

  // A descriptor's place in the watch; stays where it is while it is watched.
  struct Place {
    Bell bell;
    int fd = -1;  // while watched
  };

  explicit HangupWatch(boost::asio::io_context& io);

  // Rings once when FIN or RST has arrived, at once if it has already. Asking again replaces the bell.
  void watch(Place& place, int fd, Bell bell);
  // REQUIRES: called before the descriptor is closed.
  void unwatch(Place& place);

 private:
  void shutdown() override;
  void wait();
  void ring_all();
  void forget(Place& place);

  boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> epoll_;
  std::size_t watched_ = 0;
  bool waiting_ = false;
};

}  // namespace weir::net
