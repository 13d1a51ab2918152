#include "net/worker.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "net/connection.hpp"

namespace weir::net {

Worker::Worker() : tick_(io_), wheel_([this](Instant at) { schedule(at); }), scratch_(new char[scratch_size]) {}

Worker::~Worker() = default;

void Worker::run() {
  io_.run();
}

void Worker::post(std::function<void()> job) {
  boost::asio::post(io_, std::move(job));
}

void Worker::take_back_scratch() {
  std::exchange(borrower_, nullptr)->keep_borrowed();
}

void Worker::schedule(Instant at) {
  tick_.expires_at(at);
  tick_.async_wait([this](const boost::system::error_code& error) {
    if (!error) wheel_.advance(Clock::now());
  });
}

}  // namespace weir::net
