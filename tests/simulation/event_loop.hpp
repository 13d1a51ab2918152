// Virtual time: what is to happen at which instant. Hours pass in the time it takes to compute what happens in them;
// events of one instant happen in the order in which they were planned, so that a run repeats exactly.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "admission/units.hpp"

namespace weir::simulation {

using admission::Duration;
using admission::Instant;
using admission::never;
using admission::Rng;
using admission::Tokens;

class EventLoop {
 public:
  explicit EventLoop(Instant begin) : now_(begin) {}

  Instant now() const { return now_; }

  void at(Instant when, std::function<void()> what) {
    assert(when >= now_);
    events_.push_back({when, ++sequence_, std::move(what)});
    std::push_heap(events_.begin(), events_.end(), Later());
  }
  void after(Duration time, std::function<void()> what) { at(now_ + time, std::move(what)); }

  // The next event; false: there is none until `end`, and it is `end` now.
  bool step(Instant end) {
    if (events_.empty() || events_.front().when > end) {
      now_ = std::max(now_, end);
      return false;
    }
    std::pop_heap(events_.begin(), events_.end(), Later());
    const Event event = std::move(events_.back());
    events_.pop_back();
    now_ = event.when;
    event.what();
    return true;
  }
  void run_until(Instant end) {
    while (step(end)) continue;
  }

 private:
  struct Event {
    Instant when;
    std::uint64_t sequence = 0;
    std::function<void()> what;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
    }
  };

  Instant now_;
  std::vector<Event> events_;  // a heap, the next one first
  std::uint64_t sequence_ = 0;
};

}  // namespace weir::simulation
