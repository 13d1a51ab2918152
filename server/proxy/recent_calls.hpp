// A memory of calls by who asks whom for what, bounded in time and number: what an SDK that comes back with the same
// request should find again. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "net/timer_wheel.hpp"

namespace weir::proxy {

// What makes two calls the same.
struct CallName {
  std::string_view key, path, upstream, body;  // `upstream`: that the caller chose; empty: none
};

// Nobody may ask for another caller's by guessing: this hash cannot be aimed at.
std::uint64_t hash_of_call(const CallName& call);

template <typename Value>
class RecentCalls {
 public:
  RecentCalls(net::Clock::duration kept_for, std::size_t calls_max) : kept_for_(kept_for), calls_max_(calls_max) {}

  // The first value stands until it is forgotten.
  void remember(const CallName& call, Value value, net::Instant now) {
    remember(hash_of_call(call), std::move(value), now);
  }
  // `hash`: of hash_of_call().
  void remember(std::uint64_t hash, Value value, net::Instant now) {
    const std::lock_guard lock(mutex_);
    forget_old(now);
    if (values_.try_emplace(hash, std::move(value)).second) order_.push_back({hash, now});
  }

  std::optional<Value> find(const CallName& call, net::Instant now) {
    // Most of the time there is nothing, and then a body need not be hashed. Nobody waits for a large one's hash.
    if (empty(now)) return std::nullopt;
    const std::uint64_t hash = hash_of_call(call);
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(hash);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  struct Entry {
    std::uint64_t hash;
    net::Instant at;
  };
  bool empty(net::Instant now) {
    const std::lock_guard lock(mutex_);
    forget_old(now);
    return values_.empty();
  }
  void forget_old(net::Instant now) {
    while (!order_.empty() && (order_.front().at + kept_for_ < now || order_.size() >= calls_max_)) {
      values_.erase(order_.front().hash);
      order_.pop_front();
    }
  }

  const net::Clock::duration kept_for_;
  const std::size_t calls_max_;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, Value> values_;
  std::deque<Entry> order_;  // by age
};

}  // namespace weir::proxy
