// One coroutine waits; any number of sources ring. Each source owns a bit: "client readable", "upstream readable",
// "timer", "stop". Ringing before the wait is not lost; the waiter is resumed once and sees all bits that rang.
// This is the only way a weir coroutine suspends, so a waiting exchange costs one frame whatever it waits for.
// Single-threaded; to ring from another thread, post to the worker first.
#pragma once

#include <cassert>
#include <coroutine>

namespace weir::net {

class Signal {
 public:
  using Bits = unsigned;

  Signal() = default;
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  // May resume the waiter before it returns: whoever rings must expect that anything the waiter owns is gone after.
  void raise(Bits bits) {
    raised_ |= bits;
    if (waiter_ && (raised_ & mask_) != 0) {
      auto waiter = waiter_;
      waiter_ = nullptr;
      waiter.resume();
    }
  }

  void clear(Bits bits) { raised_ &= ~bits; }
  Bits raised() const { return raised_; }

  struct Awaiter {
    Signal& signal;
    Bits mask;
    bool waiting = false;
    explicit Awaiter(Signal& s, Bits m) : signal(s), mask(m) {}
    // A coroutine that is destroyed while it waits takes its place in the signal away with it.
    ~Awaiter() {
      if (waiting) signal.waiter_ = nullptr;
    }
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    bool await_ready() const noexcept { return (signal.raised_ & mask) != 0; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
      assert(!signal.waiter_ && "one coroutine waits at a time");
      waiting = true;
      signal.waiter_ = waiter;
      signal.mask_ = mask;
    }
    Bits await_resume() noexcept {
      waiting = false;
      const Bits bits = signal.raised_ & mask;
      signal.raised_ &= ~bits;
      return bits;
    }
  };

  // Suspends until one of `mask` rings; returns those that did and takes them back.
  Awaiter wait(Bits mask) { return Awaiter(*this, mask); }

 private:
  std::coroutine_handle<> waiter_;
  Bits mask_ = 0;
  Bits raised_ = 0;
};

// A source's end of a signal: where to ring, and which bit.
struct Bell {
  Signal* signal = nullptr;
  Signal::Bits bit = 0;
  void ring() const {
    if (signal) signal->raise(bit);
  }
};

}  // namespace weir::net
