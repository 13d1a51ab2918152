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

class Connection;

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
  static constexpr std::size_t scratch_size = 64 * 1024;
  std::span<char> scratch() {
    if (borrower_) take_back_scratch();
    return {scratch_.get(), scratch_size};
  }
  // What a connection has read and not used may stand in the scratch buffer until somebody else wants that: then the
  // connection is told to keep its own copy. So a message that is used up at once is never copied.
  void lend_scratch(Connection& to) { borrower_ = &to; }
  void end_loan(const Connection& of) {
    if (borrower_ == &of) borrower_ = nullptr;
  }

  // From any thread: runs `job` on this worker.
  void post(std::function<void()> job);

  void run();

 private:
  void schedule(Instant at);
  void take_back_scratch();

  // Its sockets are used by this thread only, so they need no locks; post() from others still has one.
  boost::asio::io_context io_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  boost::asio::steady_timer tick_;
  TimerWheel wheel_;
  std::unique_ptr<char[]> scratch_;
  Connection* borrower_ = nullptr;  // of the scratch buffer
};

}  // namespace weir::net
