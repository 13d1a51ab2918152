// An in-memory net::Wire for tests: what is written on one end is read on the other, at once and without a kernel.
//
// Two ways to use it:
//
//   MemoryPeer peer(worker);                 // the usual one: code under test on one end, the test itself on the other
//   net::Connection connection(worker, peer.take_wire());
//   peer.send("GET / HTTP/1.1\r\n…");        // never blocks
//   run_until(worker, [&] { return peer.received().ends_with("\r\n\r\n"); });   // support/run_worker.hpp
//
//   auto [left, right] = make_memory_wires(worker);                             // code under test on both ends
//
// Knobs, all of which may be turned while the test runs (`peer.wire()` is the end that the code under test has):
//   peer.wire().read_max = 1;        one byte a read: every split of the input
//   peer.wire().write_max = 7;       every write is a partial one
//   peer.wire().capacity = 100;      bytes under way before a write would block; 0: every write blocks
//   peer.wire().block_every = 3;     every third operation would block although it need not (its bell rings soon after)
//   peer.wire().fail = fail_count;   see FailCount: the fail-at-every-step sweep
//   peer.stop_reading();             what is written stays under way, so that `capacity` fills up
//
// Bells are rung by a post to the worker, never from within the call that makes them due, as with a real socket; so the
// test has to run the worker. A closed or destroyed wire rings nothing more.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/wire.hpp"
#include "net/worker.hpp"

namespace weir::test {

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

// Breaks a connection at its n-th operation (read or write, the first is 1). Give the same one to several wires and
// they count together, so that a sweep covers every step of an exchange with its client and its upstream:
//
//   for (std::size_t n = 1;; ++n) {
//     auto fail = std::make_shared<FailCount>(n);
//     … run the exchange over wires with .fail = fail, check that nothing leaks and everything ends …
//     if (!fail->reached()) break;   // it ran through
//   }
class FailCount {
 public:
  explicit FailCount(std::size_t at) : at_(at) {}
  bool next_fails() { return ++count_ == at_; }
  bool reached() const { return count_ >= at_; }
  std::size_t operations() const { return count_; }

 private:
  std::size_t at_;
  std::size_t count_ = 0;
};

// What both ends share; lives as long as any of them or a posted ring. Tests touch the knobs and the record of an End.
class MemoryLink : public std::enable_shared_from_this<MemoryLink> {
 public:
  struct End {
    // Knobs.
    std::size_t read_max = no_limit;
    std::size_t write_max = no_limit;
    std::size_t capacity = 64 * 1024;
    std::size_t block_every = 0;
    std::shared_ptr<FailCount> fail;
    std::string address = "127.0.0.1";

    // Record.
    std::size_t operations = 0;
    std::string written;                   // everything ever written here
    std::vector<std::size_t> write_sizes;  // of each write that took something
    bool write_ended = false;              // close() or shutdown_write()
    bool closed = false;                   // close(), abort() or destroyed
    bool aborted = false;
    bool broken = false;  // reset by the other end, or by FailCount
    std::string error;

   private:
    friend class MemoryLink;
    std::string incoming;  // under way to this end
    bool incoming_ended = false;
    net::Bell readable, writable, hangup;
    bool ring_posted = false;
  };

  explicit MemoryLink(net::Worker& worker) : worker_(worker) {}

  End& end(int i) { return ends_[static_cast<std::size_t>(i)]; }
  net::Worker& worker() { return worker_; }
  bool swallow = false;  // end 1 is the test: what end 0 writes has arrived at once

  net::IoStep read(int i, std::span<char> into) {
    End& self = end(i);
    if (const auto step = before(self); step.status != net::IoStep::Status::done) return step;
    if (self.incoming.empty()) {
      return {self.incoming_ended ? net::IoStep::Status::end : net::IoStep::Status::would_block, 0};
    }
    const std::size_t size = std::min({into.size(), self.incoming.size(), self.read_max});
    std::copy_n(self.incoming.begin(), size, into.begin());
    self.incoming.erase(0, size);
    wake(1 - i);
    return {net::IoStep::Status::done, size};
  }

  net::IoStep write(int i, std::span<const std::string_view> pieces, std::size_t from) {
    End& self = end(i);
    End& other = end(1 - i);
    if (const auto step = before(self); step.status != net::IoStep::Status::done) return step;
    if (self.write_ended || other.closed) return break_end(self, "Broken pipe");
    const std::size_t under_way = other.incoming.size();
    std::size_t room = std::min(self.capacity > under_way ? self.capacity - under_way : 0, self.write_max);
    std::size_t taken = 0;
    for (const std::string_view piece : pieces) {
      const std::string_view part = piece.substr(from, room);
      from = 0;
      self.written += part;
      other.incoming += part;
      room -= part.size();
      taken += part.size();
    }
    if (taken == 0) return {net::IoStep::Status::would_block, 0};
    self.write_sizes.push_back(taken);
    if (swallow && i == 0) other.incoming.clear();
    wake(1 - i);
    return {net::IoStep::Status::done, taken};
  }

  void wait_readable(int i, net::Bell bell) {
    if (end(i).closed) return;
    end(i).readable = bell;
    wake(i);
  }
  void wait_writable(int i, net::Bell bell) {
    if (end(i).closed) return;
    end(i).writable = bell;
    wake(i);
  }
  void wait_hangup(int i, net::Bell bell) {
    if (end(i).closed) return;
    end(i).hangup = bell;
    wake(i);
  }
  bool hung_up(int i) const {
    const End& self = ends_[static_cast<std::size_t>(i)];
    return self.broken || self.incoming_ended;
  }
  void drop_bells(int i) { end(i).readable = end(i).writable = end(i).hangup = net::Bell{}; }

  void end_writing(int i) {
    end(i).write_ended = true;
    end(1 - i).incoming_ended = true;
    wake(1 - i);
  }
  void close(int i) {
    if (end(i).closed) return;
    end(i).closed = true;
    drop_bells(i);
    end_writing(i);
  }
  void abort(int i) {
    if (end(i).closed) return;
    end(i).closed = end(i).aborted = true;
    drop_bells(i);
    break_end(end(1 - i), "Connection reset by peer");
    wake(1 - i);
  }

  // For the test's end: bytes arrive at end 0 whatever the capacity.
  void deliver(std::string_view bytes) {
    end(0).incoming += bytes;
    wake(0);
  }
  std::string& under_way_to(int i) { return end(i).incoming; }
  // After a knob was turned: something may be possible now.
  void wake(int i) {
    End& self = end(i);
    if (self.ring_posted || !(due_read(self) || due_write(i) || due_hangup(i))) return;
    self.ring_posted = true;
    worker_.post([link = shared_from_this(), i] { link->ring(i); });
  }

 private:
  bool due_read(const End& self) const {
    return self.readable.signal && (self.broken || !self.incoming.empty() || self.incoming_ended);
  }
  bool due_write(int i) {
    const End& self = end(i);
    const End& other = end(1 - i);
    return self.writable.signal && (self.broken || other.closed || other.incoming.size() < self.capacity);
  }
  bool due_hangup(int i) { return end(i).hangup.signal && hung_up(i); }
  void ring(int i) {
    End& self = end(i);
    self.ring_posted = false;
    if (due_hangup(i)) std::exchange(self.hangup, net::Bell{}).ring();
    if (due_read(self)) std::exchange(self.readable, net::Bell{}).ring();
    if (due_write(i)) std::exchange(self.writable, net::Bell{}).ring();
  }
  net::IoStep before(End& self) {
    ++self.operations;
    if (self.fail && self.fail->next_fails()) {
      End& other = &self == &ends_[0] ? ends_[1] : ends_[0];
      break_end(other, "Connection reset by peer");
      wake(&other == &ends_[0] ? 0 : 1);
      return break_end(self, "injected failure");
    }
    if (self.closed) return {net::IoStep::Status::failed, 0};
    if (self.broken) return {net::IoStep::Status::failed, 0};
    if (self.block_every > 0 && self.operations % self.block_every == 0) return {net::IoStep::Status::would_block, 0};
    return {net::IoStep::Status::done, 0};
  }
  static net::IoStep break_end(End& self, std::string why) {
    self.broken = true;
    self.incoming.clear();
    if (self.error.empty()) self.error = std::move(why);
    return {net::IoStep::Status::failed, 0};
  }

  net::Worker& worker_;
  std::array<End, 2> ends_;
};

class MemoryWire final : public net::Wire {
 public:
  MemoryWire(std::shared_ptr<MemoryLink> link, int end) : link_(std::move(link)), end_(end) {}
  ~MemoryWire() override { link_->close(end_); }

  MemoryLink::End& end() { return link_->end(end_); }

  net::IoStep try_read(std::span<char> into) override { return link_->read(end_, into); }
  using net::Wire::try_write;
  net::IoStep try_write(std::span<const std::string_view> pieces, std::size_t from) override {
    return link_->write(end_, pieces, from);
  }
  void wait_readable(net::Bell bell) override { link_->wait_readable(end_, bell); }
  void wait_writable(net::Bell bell) override { link_->wait_writable(end_, bell); }
  void wait_hangup(net::Bell bell) override { link_->wait_hangup(end_, bell); }
  bool hung_up() const override { return link_->hung_up(end_); }
  void drop_bells() override { link_->drop_bells(end_); }
  void close() override { link_->close(end_); }
  void abort() override { link_->abort(end_); }
  void shutdown_write() override { link_->end_writing(end_); }
  std::string peer_address() const override { return link_->end(end_).address; }
  std::string error_text() const override { return link_->end(end_).error; }

 private:
  std::shared_ptr<MemoryLink> link_;
  int end_;
};

// Two ends, both for code under test.
inline std::pair<std::unique_ptr<MemoryWire>, std::unique_ptr<MemoryWire>> make_memory_wires(net::Worker& worker) {
  auto link = std::make_shared<MemoryLink>(worker);
  return {std::make_unique<MemoryWire>(link, 0), std::make_unique<MemoryWire>(link, 1)};
}

// The test's end of a wire. Stays usable after the wire is gone.
class MemoryPeer {
 public:
  explicit MemoryPeer(net::Worker& worker) : link_(std::make_shared<MemoryLink>(worker)) { link_->swallow = true; }
  ~MemoryPeer() { link_->close(1); }
  MemoryPeer(const MemoryPeer&) = delete;
  MemoryPeer& operator=(const MemoryPeer&) = delete;

  // The other end, once.
  std::unique_ptr<MemoryWire> take_wire() { return std::make_unique<MemoryWire>(link_, 0); }
  MemoryLink::End& wire() { return link_->end(0); }

  void send(std::string_view bytes) { link_->deliver(bytes); }
  void end() { link_->end_writing(1); }  // the code under test reads what is under way, then the end
  void close() { link_->close(1); }      // and its writes fail from now on
  void reset() { link_->abort(1); }      // what is under way is lost

  // Everything that has arrived here, and where one write ended and the next began.
  const std::string& received() const { return link_->end(0).written; }
  const std::vector<std::size_t>& write_sizes() const { return link_->end(0).write_sizes; }
  // The same, from the end of what was taken last.
  std::string take_received() {
    std::string fresh = received().substr(taken_);
    taken_ = received().size();
    return fresh;
  }
  bool saw_end() const { return link_->end(0).write_ended && !saw_reset(); }
  bool saw_reset() const { return link_->end(0).aborted; }
  bool wire_gone() const { return link_->end(0).closed; }

  // From now on `capacity` counts: what is written stays under way. (received() shows it all the same.)
  void stop_reading() { link_->swallow = false; }
  // Takes up to `bytes` of what is under way, so that the other end may write again.
  void read(std::size_t bytes) {
    link_->under_way_to(1).erase(0, bytes);
    link_->wake(0);
  }
  void resume_reading() {
    link_->swallow = true;
    read(no_limit);
  }
  // After turning a knob that lets the other end go on.
  void wake() { link_->wake(0); }

 private:
  std::shared_ptr<MemoryLink> link_;
  std::size_t taken_ = 0;
};

}  // namespace weir::test
