#include "admission/horizon.hpp"

#include <algorithm>
#include <utility>

namespace weir::admission {

namespace {

std::int64_t bin_at(Instant instant, Duration width) {
  return instant.time_since_epoch().count() / width.count();
}

}  // namespace

void Spread::lay(const Outlook& outlook, Duration width) {
  if (width == width_ && outlook == outlook_) return;
  outlook_ = outlook;
  width_ = width;
  const std::int64_t now = bin_at(outlook.planned_at, width), last = now + Horizon::bins - 1;
  if (outlook.end > outlook.begin) {
    first_ = std::max(now, bin_at(outlook.begin, width));
    lay_evenly(last);
  } else {
    // What falls due after the view would let any number of lumps meet there: they count at its end.
    first_ = std::clamp(bin_at(outlook.end, width), now, last);
    count_ = 1;
    parts_[0] = outlook.amount;
  }
}

void Spread::lay_evenly(std::int64_t last) {
  using Microseconds = std::chrono::microseconds;
  const auto whole =
      std::max<std::int64_t>(1, std::chrono::duration_cast<Microseconds>(outlook_.end - outlook_.begin).count());
  const Tokens amount = outlook_.amount;
  const Duration width = width_;
  Duration since = Duration((first_ + 1) * width.count()) - outlook_.begin.time_since_epoch();  // at the bin's end
  Tokens before = 0;
  std::int64_t count = 0;
  for (; first_ + count <= last; since += width) {
    const auto part = std::min(whole, std::chrono::duration_cast<Microseconds>(since).count());
    const Tokens until = amount * part / whole;
    parts_[static_cast<std::size_t>(count++)] = until - before;
    before = until;
    if (part == whole) break;
  }
  count_ = count;
}

void Horizon::advance(Instant now) {
  const std::int64_t bin = bin_of(now);
  if (bin - current_ > static_cast<std::int64_t>(ring)) {
    // Longer asleep than the ring is: everything planned is overdue, everything leaving has left.
    for (Bin& each : bins_) overdue_ += std::exchange(each, Bin()).net();
    current_ = bin;
  }
  for (; current_ < bin; ++current_) {
    overdue_ += std::exchange(at(current_), Bin()).net();
  }
}

void Horizon::apply(const Outlook& outlook, Spread& spread, int sign) {
  planned_ += sign * outlook.amount;
  if (outlook.lump) {
    overdue_ += sign * outlook.amount;
    return;
  }
  spread.lay(outlook, width_);
  std::int64_t bin = spread.first();
  for (const std::int64_t end = std::min(spread.end(), current_); bin < end; ++bin) overdue_ += sign * spread.in(bin);
  for (const std::int64_t end = spread.end(); bin < end; ++bin) at(bin).planned += sign * spread.in(bin);
}

Tokens Horizon::peak(const Outlook* more, Spread& spread) const {
  Tokens level = overdue_;
  if (more && more->lump) level += more->amount;
  Tokens highest = level;
  const auto climb = [&](std::int64_t from, std::int64_t to, auto extra) {
    for (std::int64_t bin = from; bin < to; ++bin) {
      level += at(bin).net() + extra(bin);
      highest = std::max(highest, level);
    }
  };
  const auto nothing = [](std::int64_t) { return Tokens{0}; };
  const std::int64_t end = current_ + bins;
  if (!more || more->lump) {
    climb(current_, end, nothing);
    return highest;
  }
  spread.lay(*more, width_);
  const std::int64_t first = std::clamp(spread.first(), current_, end), last = std::clamp(spread.end(), first, end);
  climb(current_, first, nothing);
  climb(first, last, [&](std::int64_t bin) { return spread.in(bin); });
  climb(last, end, nothing);
  return highest;
}

Tokens Horizon::planned_until(Instant instant) const {
  Tokens sum = overdue_;
  for (std::int64_t bin = current_, last = bin_of(instant); bin <= last; ++bin) sum += at(bin).planned;
  return sum;
}

}  // namespace weir::admission
