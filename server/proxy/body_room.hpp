// How many bytes of request bodies all workers hold that nobody else counts: on their way in, and on their way to the
// upstream. Those that wait in line, and those that were sent and are kept, have bounds of their own. What is counted
// has come: a length that is only announced costs its sender nothing. Thread-safe; a Claim is its exchange's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weir::proxy {

class BodyRoom {
 public:
  // One body's part; given back with it.
  class Claim {
   public:
    explicit Claim(BodyRoom& room) : room_(room) {}
    ~Claim() { release(); }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

    // All that has come of it. False: with it all together have more than `bytes_max`.
    bool grow_to(std::size_t bytes, std::size_t bytes_max) {
      hold(bytes);
      return room_.bytes() <= bytes_max;
    }
    // It is here anyway.
    void hold(std::size_t bytes) {
      room_.bytes_ += bytes - bytes_;
      bytes_ = bytes;
    }
    // It is gone, or others count it.
    void release() { hold(0); }

   private:
    BodyRoom& room_;
    std::size_t bytes_ = 0;
  };

  std::size_t bytes() const { return bytes_; }
  // Whether a body of this length would fit now.
  bool has_room(std::uint64_t length, std::size_t bytes_max) const {
    return length <= bytes_max && bytes() <= bytes_max - length;
  }

 private:
  std::atomic<std::size_t> bytes_{0};
};

}  // namespace weir::proxy
