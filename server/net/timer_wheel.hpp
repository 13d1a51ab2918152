// The timers of one worker. A timer is a deadline with a bell; arming, moving and disarming one is a few stores, since
// nearly every deadline of a proxy is moved or cancelled before it is due. One Asio timer drives the wheel, and only
// while a timer is armed. Granularity: 5 ms (a deadline is met up to one tick late, never early).
// Single-threaded.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>

#include "net/signal.hpp"

namespace weir::net {

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;

class TimerWheel;

// Rings its bell once, at or after its deadline. Disarmed by destruction.
class Timer {
 public:
  Timer(TimerWheel& wheel, Bell bell) : wheel_(wheel), bell_(bell) {}
  ~Timer() { disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void arm(Instant deadline);
  void disarm() {
    deadline_ = Instant::max();
    unlink();
  }
  Instant deadline() const { return deadline_; }  // Instant::max(): not armed

 private:
  friend class TimerWheel;
  void unlink();

  TimerWheel& wheel_;
  Bell bell_;
  Instant deadline_ = Instant::max();
  std::int64_t tick_ = -1;  // of the slot it stands in; may be earlier than the deadline (it is moved on when visited)
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // what points to this timer; nullptr: in no slot
};

class TimerWheel {
 public:
  static constexpr std::chrono::milliseconds tick_length{5};
  static constexpr std::int64_t slot_count = 1024;  // 5.12 s; later deadlines are looked at once a turn

  // `schedule(instant)` asks the owner to call advance() at that instant; a later call replaces an earlier one.
  explicit TimerWheel(std::function<void(Instant)> schedule) : schedule_(std::move(schedule)) {}

  // Rings every timer that is due. Call it when the instant asked for has come (or at any time).
  void advance(Instant now);

 private:
  friend class Timer;
  std::int64_t tick_of(Instant instant) const;
  void place(Timer& timer);
  void schedule_next();

  std::function<void(Instant)> schedule_;
  Instant origin_ = Clock::now();
  std::int64_t current_ = 0;     // every slot up to here has been visited
  std::int64_t scheduled_ = -1;  // tick advance() was asked for; -1: none
  std::uint64_t armed_ = 0;
  bool advancing_ = false;
  std::array<Timer*, slot_count> slots_{};
};

}  // namespace weir::net
