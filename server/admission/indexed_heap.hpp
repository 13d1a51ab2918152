// A binary heap of pointers whose items know their place: the first in O(1), any item moved or removed in O(log n).
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace weir::admission {

constexpr std::uint32_t not_in_heap = 0xffffffff;

// `Place` is a member of T that only the heap writes, not_in_heap outside of it. `Less` compares two T.
template <typename T, std::uint32_t T::* Place, typename Less>
class IndexedHeap {
 public:
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  T* top() const { return items_.empty() ? nullptr : items_.front(); }
  const std::vector<T*>& items() const { return items_; }
  static bool contains(const T& item) { return item.*Place != not_in_heap; }

  void push(T& item) {
    assert(!contains(item));
    item.*Place = static_cast<std::uint32_t>(items_.size());
    items_.push_back(&item);
    rise(item.*Place);
  }

  void remove(T& item) {
    const std::uint32_t place = item.*Place;
    assert(place < items_.size() && items_[place] == &item);
    item.*Place = not_in_heap;
    T* last = items_.back();
    items_.pop_back();
    if (last == &item) return;
    put(place, last);
    update(*last);
  }

  // The item's order has changed.
  void update(T& item) {
    rise(item.*Place);
    sink(item.*Place);
  }

 private:
  void put(std::size_t place, T* item) {
    items_[place] = item;
    item->*Place = static_cast<std::uint32_t>(place);
  }
  void rise(std::size_t place) {
    T* item = items_[place];
    for (; place > 0; place = (place - 1) / 2) {
      T* parent = items_[(place - 1) / 2];
      if (!less_(*item, *parent)) break;
      put(place, parent);
    }
    put(place, item);
  }
  void sink(std::size_t place) {
    T* item = items_[place];
    for (;;) {
      std::size_t child = 2 * place + 1;
      if (child >= items_.size()) break;
      if (child + 1 < items_.size() && less_(*items_[child + 1], *items_[child])) ++child;
      if (!less_(*items_[child], *item)) break;
      put(place, items_[child]);
      place = child;
    }
    put(place, item);
  }

  std::vector<T*> items_;
  Less less_;
};

}  // namespace weir::admission
