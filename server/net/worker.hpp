// One worker thread: an io_context, a timer wheel, and the buffer its connections read into. Connections and exchanges
// live and die on one worker, so nothing here is locked.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "net/timer_wheel.hpp"

namespace weir::net {

class Worker {
 public:
  Worker();
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  boost::asio::io_context& io() { return io_; }
  TimerWheel& timers() { return wheel_; }

  // Shared by all connections of the worker: valid until the next await. 64 KiB, since bulk streams bring many events a
  // read, and one buffer a thread costs nothing per waiting stream.
  std::span<char> scratch() { return {scratch_.get(), scratch_size}; }

  // From any thread: runs `job` on this worker.
  void post(std::function<void()> job);

  void run() { io_.run(); }

 private:
  static constexpr std::size_t scratch_size = 64 * 1024;
  void schedule(Instant at);

  // Its sockets are used by this thread only, so they need no locks; post() from others still has one.
  boost::asio::io_context io_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  boost::asio::steady_timer tick_{io_};
  TimerWheel wheel_;
  std::unique_ptr<char[]> scratch_;
};

}  // namespace weir::net
