// Sums over a queue of amounts that grows at its back and shrinks at its front: where in it a sum is reached is found
// in O(log n), each change costs two additions. Three levels of 32; the amounts themselves stay with their owner.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "admission/units.hpp"

namespace weir::admission {

class RunningSums {
 public:
  std::size_t size() const { return size_; }

  // No room for one more: assign() makes some.
  bool full() const { return size_ + span >= capacity(); }
  // REQUIRES: not full.
  void push_back(Tokens amount) {
    assert(!full());
    ++size_;
    add(size_ - 1, amount);
  }
  // REQUIRES: the first amount, as it is now.
  void pop_front(Tokens amount) {
    add(0, -amount);
    ++first_;
    --size_;
  }
  // The amount at this place becomes so much more.
  void add(std::size_t place, Tokens difference) {
    assert(place < size_);
    const std::uint64_t at = first_ + place;
    small_[small_index(at)] += difference;
    large_[large_index(at)] += difference;
  }
  // From the beginning, with these amounts.
  template <typename AmountAt>
  void assign(std::size_t size, AmountAt amount_at) {
    std::size_t wanted = 2 * span;
    while (wanted < size + 2 * span) wanted *= 2;
    small_.assign(wanted / block, 0);
    large_.assign(wanted / span, 0);
    first_ = 0;
    size_ = size;
    for (std::size_t place = 0; place < size; ++place) add(place, amount_at(place));
  }

  // The first place up to which, and with which, the amounts come to `sum` at least; size(): they never do.
  // REQUIRES: no amount is negative, sum > 0.
  template <typename AmountAt>
  std::size_t reach(Tokens sum, AmountAt amount_at) const {
    const std::uint64_t end = first_ + size_;
    for (std::uint64_t at = first_; at < end;) {
      if (at % span == 0 && large_[large_index(at)] < sum) {
        sum -= large_[large_index(at)];
        at += span;
      } else if (at % block == 0 && small_[small_index(at)] < sum) {
        sum -= small_[small_index(at)];
        at += block;
      } else {
        sum -= amount_at(static_cast<std::size_t>(at - first_));
        if (sum <= 0) return static_cast<std::size_t>(at - first_);
        ++at;
      }
    }
    return size_;
  }

 private:
  static constexpr std::size_t block = 32;         // amounts in a small sum
  static constexpr std::size_t span = block * 32;  // and in a large one

  // A ring: one span stays free, so that the first and the last sum are never the same.
  std::size_t capacity() const { return large_.size() * span; }
  std::size_t small_index(std::uint64_t at) const { return (at / block) & (small_.size() - 1); }
  std::size_t large_index(std::uint64_t at) const { return (at / span) & (large_.size() - 1); }

  std::uint64_t first_ = 0;
  std::size_t size_ = 0;
  std::vector<Tokens> small_, large_;  // powers of two
};

}  // namespace weir::admission
