// Lanes in the order of their turns. What stands in a lane, and what its turns are, is told in fair_queue.hpp.
#pragma once

#include <array>
#include <compare>
#include <vector>

#include "admission/arrivals.hpp"
#include "admission/indexed_heap.hpp"
#include "admission/service_curve.hpp"

namespace weir::admission {

struct KeyTurns;
struct Lane;
struct Line;
struct Share;
struct SubLane;
class LaneOrder;

struct TurnOfLine {
  Turn operator()(const Line& line) const;
};
struct TurnOfLane {
  Turn operator()(const Lane& lane) const;
};

// Those of a sub-lane that wait in one lane: first come, first served.
struct Line {
  SubLane* sub = nullptr;
  Lane* lane = nullptr;
  Arrivals calls;
  std::uint32_t place = not_in_heap;
};

// What waits of a team or a model, or of all who stand in the account's order: by class and group, as lanes stand.
struct Section {
  std::array<std::vector<ServiceCurve>, priority_count> curves;
};

// How the lanes of a share stand in a section of the outline that predictions are made by.
struct Drawn {
  Section* section = nullptr;
  const Share* share = nullptr;
  Contour contour;
};

// Requests of one key, one class, one model: they stand or wait together. There is one as long as somebody waits in it.
struct Lane {
  KeyTurns* of = nullptr;
  Priority priority = Priority::interactive;  // that was asked for
  Share* share = nullptr;                     // whose turns it takes: that of the class its head has aged to
  BudgetId team = no_budget, account = no_budget, model = no_budget;
  IndexedHeap<Line, &Line::place, TurnOfLine> ready;
  Amount queued;
  LaneOrder* in = nullptr;  // in one at most
  std::uint32_t place = not_in_heap;
  BudgetId parked_on = no_budget;      // waits for room there instead of standing in its account's order
  BudgetId released_from = no_budget;  // was let go from there: the others there wait for what comes of it
  Instant ages_at = never;             // when its head has aged to the next class
  std::uint32_t age_place = not_in_heap;
  std::uint32_t waiting_place = 0;  // in the queue's list of lanes that are not empty
  Section *of_team = nullptr, *of_model = nullptr;

  bool empty() const { return queued.requests == 0; }
  const Waiting& head() const { return ready.top()->calls.first(); }
};

struct AgeOfLane {
  Instant operator()(const Lane& lane) const { return lane.ages_at; }
};

// What decides between lanes of different accounts, whose tags cannot be compared: the class its head has aged to, then
// who came first.
struct Standing {
  Priority aged = Priority::interactive;
  Instant arrived{};
  Priority priority = Priority::interactive;
  friend auto operator<=>(const Standing&, const Standing&) = default;
};
Standing standing_of(const Lane& lane);

// Lanes in fair order, by the class they have aged to and by group.
class LaneOrder {
 public:
  bool empty() const { return !first(); }
  void push(Lane& lane);
  void remove(Lane& lane);
  void update(Lane& lane) { of(lane).update(lane); }
  // The next: of the most important class, by its tag there; nullptr: none.
  Lane* first() const;
  // Whether one lane of an account comes before another.
  static bool before(const Lane& a, const Lane& b);
  // Whether a lane that is not in here would be the next.
  bool would_be_first(const Lane& lane) const;

  using Heap = IndexedHeap<Lane, &Lane::place, TurnOfLane>;
  // Of a class: the shares without a group, then each group's. There are few groups: they are looked through.
  const std::vector<Heap>& heaps(std::size_t priority) const { return heaps_[priority]; }

 private:
  static Turn turn_beside_other_groups(const Lane& lane);
  static Lane* first_of(const std::vector<Heap>& groups);
  Heap& of(const Lane& lane);

  std::array<std::vector<Heap>, priority_count> heaps_;
};

}  // namespace weir::admission
