// A heap of pointers whose items know their place: the first in O(1), any item moved or removed in O(log n). What items
// are ordered by stands beside the pointers, and a node has four children, which share a cache line: among 50,000 who
// wait, following the pointers would cost more than everything else.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace weir::admission {

constexpr std::uint32_t not_in_heap = 0xffffffff;

// `Place` is a member of T that only the heap writes, not_in_heap outside of it. `KeyOf` gives what a T is ordered by,
// the smallest first.
template <typename T, std::uint32_t T::* Place, typename KeyOf>
class IndexedHeap {
 public:
  using Key = decltype(KeyOf()(std::declval<const T&>()));
  struct Node {
    Key key;
    T* item;
  };

  bool empty() const { return nodes_.empty(); }
  std::size_t size() const { return nodes_.size(); }
  T* top() const { return nodes_.empty() ? nullptr : nodes_.front().item; }
  const Key& top_key() const { return nodes_.front().key; }
  const std::vector<Node>& nodes() const { return nodes_; }
  static bool contains(const T& item) { return item.*Place != not_in_heap; }

  void push(T& item) {
    assert(!contains(item));
    nodes_.push_back({KeyOf()(item), &item});
    rise(nodes_.size() - 1, nodes_.back());
  }

  void remove(T& item) {
    const std::uint32_t place = item.*Place;
    assert(place < nodes_.size() && nodes_[place].item == &item);
    item.*Place = not_in_heap;
    const Node last = nodes_.back();
    nodes_.pop_back();
    if (last.item != &item) put(place, last);
  }

  // The item's key has changed.
  void update(T& item) {
    const std::uint32_t place = item.*Place;
    assert(place < nodes_.size() && nodes_[place].item == &item);
    put(place, {KeyOf()(item), &item});
  }

 private:
  static constexpr std::size_t arity = 4;

  // Finds the place for a node, from here up or down.
  void put(std::size_t place, Node node) {
    if (place > 0 && node.key < nodes_[(place - 1) / arity].key) {
      rise(place, node);
    } else {
      sink(place, node);
    }
  }
  void set(std::size_t place, const Node& node) {
    nodes_[place] = node;
    node.item->*Place = static_cast<std::uint32_t>(place);
  }
  void rise(std::size_t place, Node node) {
    for (; place > 0; place = (place - 1) / arity) {
      const Node& parent = nodes_[(place - 1) / arity];
      if (!(node.key < parent.key)) break;
      set(place, parent);
    }
    set(place, node);
  }
  void sink(std::size_t place, Node node) {
    for (;;) {
      const std::size_t first = arity * place + 1;
      if (first >= nodes_.size()) break;
      std::size_t least = first;
      for (std::size_t child = first + 1; child < std::min(first + arity, nodes_.size()); ++child) {
        if (nodes_[child].key < nodes_[least].key) least = child;
      }
      if (!(nodes_[least].key < node.key)) break;
      set(place, nodes_[least]);
      place = least;
    }
    set(place, node);
  }

  std::vector<Node> nodes_;
};

}  // namespace weir::admission
