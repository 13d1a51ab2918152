#include "simulator/meter.hpp"

#include <algorithm>
#include <deque>

namespace weir::simulator {
namespace {

// The whole state of a bucket is the instant at which it will be full: a charge moves it on by the time that refilling
// the charge takes. No level has to be brought up to date, and `reset` is a subtraction.
class Bucket final : public Meter {
 public:
  Bucket(std::uint64_t limit, Duration window, double burst)
      : limit_(static_cast<double>(limit)),
        window_(static_cast<double>(window.count())),
        capacity_(static_cast<Duration::rep>(window_ * burst)) {}

  bool fits(std::uint64_t amount, Instant now) override { return until_full(now) + refill(amount) <= capacity_; }

  void charge(std::uint64_t amount, Instant now) override {
    full_at_ = at(now) + std::min(until_full(now) + refill(amount), longest_debt);
  }

  std::uint64_t remaining(Instant now) override {
    const Duration left = capacity_ - until_full(now);
    // A whole number may come out a hair below itself.
    return left <= Duration(0)
               ? 0
               : static_cast<std::uint64_t>(static_cast<double>(left.count()) * limit_ / window_ + 1e-6);
  }

  Duration until_full(Instant now) override { return std::max(full_at_ - at(now), Instant::duration(0)); }

  std::optional<Duration> until_fits(std::uint64_t amount, Instant now) override {
    if (refill(amount) > capacity_) return std::nullopt;
    return std::max(until_full(now) + refill(amount) - capacity_, Duration(0));
  }

 private:
  // Rounded down: n charges of 1 must fit into a limit of n.
  Duration refill(std::uint64_t amount) const {
    const double time = static_cast<double>(amount) * window_ / limit_;
    return Duration(static_cast<Duration::rep>(std::min(time, static_cast<double>(longest_debt.count()))));
  }
  Instant at(Instant now) { return latest_ = std::max(latest_, now); }

  // Thirty years: somebody may claim more tokens than there is time for, and instants must not overflow.
  static constexpr Duration longest_debt = std::chrono::hours(24 * 365 * 30);

  double limit_;
  double window_;
  Duration capacity_;
  Instant latest_{};
  Instant full_at_{};
};

class FixedWindow final : public Meter {
 public:
  FixedWindow(std::uint64_t limit, Duration window) : limit_(limit), window_(window) {}

  bool fits(std::uint64_t amount, Instant now) override {
    turn(now);
    return amount <= limit_ && used_ <= limit_ - amount;
  }
  void charge(std::uint64_t amount, Instant now) override {
    turn(now);
    used_ += amount;
  }
  std::uint64_t remaining(Instant now) override {
    turn(now);
    return limit_ - std::min(limit_, used_);
  }
  Duration until_full(Instant now) override {
    turn(now);
    return used_ == 0 ? Duration(0) : until_next(now);
  }
  std::optional<Duration> until_fits(std::uint64_t amount, Instant now) override {
    if (amount > limit_) return std::nullopt;
    return fits(amount, now) ? Duration(0) : until_next(now);
  }

 private:
  void turn(Instant now) {
    const Duration::rep index = now.time_since_epoch() / window_;
    if (index <= index_) return;
    index_ = index;
    used_ = 0;
  }
  Duration until_next(Instant now) const { return (index_ + 1) * window_ - now.time_since_epoch(); }

  std::uint64_t limit_;
  Duration window_;
  Duration::rep index_ = -1;
  std::uint64_t used_ = 0;
};

class SlidingWindow final : public Meter {
 public:
  SlidingWindow(std::uint64_t limit, Duration window) : limit_(limit), window_(window), slot_(window / 60'000) {}

  bool fits(std::uint64_t amount, Instant now) override {
    forget(now);
    return amount <= limit_ && used_ <= limit_ - amount;
  }
  void charge(std::uint64_t amount, Instant now) override {
    forget(now);
    used_ += amount;
    if (!log_.empty() && latest_ - log_.back().first < slot_) {
      log_.back().last = latest_;
      log_.back().amount += amount;
    } else {
      log_.push_back({latest_, latest_, amount});
    }
  }
  std::uint64_t remaining(Instant now) override {
    forget(now);
    return limit_ - std::min(limit_, used_);
  }
  Duration until_full(Instant now) override {
    forget(now);
    return log_.empty() ? Duration(0) : log_.back().last + window_ - latest_;
  }
  std::optional<Duration> until_fits(std::uint64_t amount, Instant now) override {
    if (amount > limit_) return std::nullopt;
    forget(now);
    std::uint64_t used = used_;
    for (auto entry = log_.begin(); used > limit_ - amount; ++entry) {
      used -= entry->amount;
      if (used <= limit_ - amount) return entry->last + window_ - latest_;
    }
    return Duration(0);
  }

 private:
  struct Entry {
    Instant first, last;
    std::uint64_t amount;
  };
  void forget(Instant now) {
    latest_ = std::max(latest_, now);
    while (!log_.empty() && log_.front().last <= latest_ - window_) {
      used_ -= log_.front().amount;
      log_.pop_front();
    }
  }

  std::uint64_t limit_;
  Duration window_;
  Duration slot_;
  Instant latest_{};
  std::uint64_t used_ = 0;  // the sum of the log
  std::deque<Entry> log_;
};

}  // namespace

std::unique_ptr<Meter> make_bucket(std::uint64_t limit, Duration window, double burst) {
  return std::make_unique<Bucket>(limit, window, burst);
}

std::unique_ptr<Meter> make_fixed_window(std::uint64_t limit, Duration window) {
  return std::make_unique<FixedWindow>(limit, window);
}

std::unique_ptr<Meter> make_sliding_window(std::uint64_t limit, Duration window) {
  return std::make_unique<SlidingWindow>(limit, window);
}

std::unique_ptr<Meter> make_meter(Limiter limiter, std::uint64_t limit, Duration window, double burst) {
  switch (limiter) {
    case Limiter::bucket:
      return make_bucket(limit, window, burst);
    case Limiter::fixed:
      return make_fixed_window(limit, window);
    case Limiter::sliding:
      return make_sliding_window(limit, window);
  }
  return nullptr;
}

}  // namespace weir::simulator
