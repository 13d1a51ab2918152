#include "admission/horizon.hpp"

#include <algorithm>

namespace weir::admission {

void Horizon::advance(Instant now) {
  const std::int64_t bin = bin_of(now);
  if (bin - current_ > static_cast<std::int64_t>(ring)) {
    // Longer asleep than the ring is: everything planned is overdue, everything leaving has left.
    for (Tokens& net : net_) {
      overdue_ += net;
      net = 0;
    }
    current_ = bin;
  }
  for (; current_ < bin; ++current_) {
    overdue_ += at(current_);
    at(current_) = 0;
  }
}

// Calls each(bin, tokens) for the bins of the outlook that were in view when it was planned.
template <typename Each>
void Horizon::spread(const Outlook& outlook, Each each) const {
  const std::int64_t first = bin_of(outlook.planned_at);
  const std::int64_t last = first + bins - 1;
  if (outlook.lump) return each(first, outlook.amount);
  // What falls due after the view would let any number of lumps meet there: they count at its end.
  if (outlook.end <= outlook.begin) return each(std::clamp(bin_of(outlook.end), first, last), outlook.amount);
  using Microseconds = std::chrono::microseconds;
  const auto whole =
      std::max<std::int64_t>(1, std::chrono::duration_cast<Microseconds>(outlook.end - outlook.begin).count());
  Tokens before = 0;
  for (std::int64_t bin = std::max(first, bin_of(outlook.begin)); bin <= last; ++bin) {
    const Duration since = Duration((bin + 1) * width_.count()) - outlook.begin.time_since_epoch();
    const auto part = std::min(whole, std::chrono::duration_cast<Microseconds>(since).count());
    const Tokens until = outlook.amount * part / whole;
    each(bin, until - before);
    before = until;
    if (part == whole) break;
  }
}

void Horizon::apply(const Outlook& outlook, int sign) {
  planned_ += sign * outlook.amount;
  spread(outlook, [&](std::int64_t bin, Tokens tokens) {
    if (bin < current_ || outlook.lump) {
      overdue_ += sign * tokens;
    } else {
      at(bin) += sign * tokens;
    }
  });
}

Tokens Horizon::peak(const Outlook* more) const {
  std::array<Tokens, bins> extra{};
  Tokens level = overdue_;
  if (more && more->lump) {
    level += more->amount;
  } else if (more) {
    spread(*more, [&](std::int64_t bin, Tokens tokens) {
      if (bin >= current_ && bin < current_ + bins) extra[static_cast<std::size_t>(bin - current_)] += tokens;
    });
  }
  Tokens highest = level;
  for (std::int64_t i = 0; i < bins; ++i) {
    level += net_[static_cast<std::size_t>(current_ + i) % ring] + extra[static_cast<std::size_t>(i)];
    highest = std::max(highest, level);
  }
  return highest;
}

Tokens Horizon::level_after(Instant instant) const {
  Tokens level = overdue_;
  for (std::int64_t bin = current_; bin <= bin_of(instant); ++bin) level += net_[static_cast<std::size_t>(bin) % ring];
  return level;
}

}  // namespace weir::admission
