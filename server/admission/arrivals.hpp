// Calls that wait, in order of their arrival, with running sums: the first in O(1), any one added, taken out or looked
// up in O(log n), wherever it stands. A call that comes back with its old time of arrival thus takes its old place, and
// knows what is before it. A treap whose nodes are the calls; what balances it follows from their numbers, so that the
// same calls make the same tree everywhere.
#pragma once

#include "admission/units.hpp"

namespace weir::admission {

struct Line;

// Some calls together: how many, what they count for in fairness, and what the upstream is expected to count for them.
struct Amount {
  Tokens requests = 0, tokens = 0, upstream = 0;
  Amount& operator+=(const Amount& more) {
    requests += more.requests;
    tokens += more.tokens;
    upstream += more.upstream;
    return *this;
  }
  Amount& operator-=(const Amount& less) {
    requests -= less.requests;
    tokens -= less.tokens;
    upstream -= less.upstream;
    return *this;
  }
  friend Amount operator+(Amount a, const Amount& b) { return a += b; }
  friend Amount operator-(Amount a, const Amount& b) { return a -= b; }
  friend bool operator==(const Amount&, const Amount&) = default;
};

// The part of a request that waits. `size` is what it counts for in fairness: its expected tokens, at least one.
struct Waiting {
  Line* line = nullptr;                                         // nullptr: not in a queue
  Waiting *above = nullptr, *left = nullptr, *right = nullptr;  // in the tree
  Amount below;                                                 // of this one and all below it
  Instant arrived{};
  std::uint64_t sequence = 0;  // in order of submission
  Tokens size = 1;
  Tokens upstream_size = 0;
  Amount amount() const { return {1, size, upstream_size}; }
};

class Arrivals {
 public:
  bool empty() const { return !root_; }
  // REQUIRES: not empty.
  Waiting& first() const { return *first_; }
  Amount all() const { return root_ ? root_->below : Amount{}; }
  // The one behind; nullptr: it is the last.
  static Waiting* next(const Waiting& call);
  // Of those that arrived before a call, which need not be one of these.
  Amount before(const Waiting& call) const;
  // Of those whose turn has come when so many tokens have gone: less stands before them, or as much and they were
  // submitted before this one.
  Amount begun(Tokens gone, std::uint64_t sequence) const;

  void push(Waiting& call);
  void remove(Waiting& call);

 private:
  void lift(Waiting& call);  // above the one above it
  Waiting*& link_to(Waiting& call);

  Waiting* root_ = nullptr;
  Waiting* first_ = nullptr;
};

}  // namespace weir::admission
