// Figures of one worker that others read while it works: each has one writer, so that an addition is a load and a
// store, and no line of the cache is fought over.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::net {

class Count {
 public:
  // On the worker's own thread.
  void add(std::uint64_t more = 1) { set(value() + more); }
  void subtract(std::uint64_t less = 1) { set(value() - less); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  // From any thread.
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Connections to upstreams.
struct PoolCounts {
  Count opened, reused;  // ever
  Count idle;            // now
};

}  // namespace weir::net
