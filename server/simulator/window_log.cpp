#include "simulator/window_log.hpp"

#include <algorithm>

namespace weir::simulator {

void WindowLog::add(std::uint64_t amount, Instant now) {
  latest_ = std::max(latest_, now);
  while (!log_.empty() && log_.front().at <= latest_ - window_) {
    sum_ -= log_.front().amount;
    log_.pop_front();
  }
  if (!log_.empty() && latest_ - log_.back().at < slot_) {
    log_.back().amount += amount;
  } else {
    log_.push_back({latest_, amount});
  }
  sum_ += amount;
  total_ += amount;
  largest_ = std::max(largest_, sum_);
}

}  // namespace weir::simulator
