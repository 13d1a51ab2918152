// Who is next at one upstream account: weighted fair by tokens between keys, equal between the sub-lanes of a key,
// first come first served inside a sub-lane, more important classes before less important ones until those have aged.
// The keys of a team that has a weight share the turns of their team.
//
// Start-time fair queueing on two levels. A share (one key in one class) has a tag: the virtual time at which its next
// request starts; serving c tokens moves it by c / weight; the smallest tag is next. A share that was idle starts at
// the present virtual time, so it can neither save up nor owe what it did not use. A share has a lane for each model it
// waits for, all with the share's tag: a model without room does not hold up the others, and asking for two models
// gains nothing.
//
// Pure; owns lanes, not requests. Knows no budgets: the scheduler takes lanes that cannot go out of the order and puts
// them back.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "admission/indexed_heap.hpp"
#include "admission/units.hpp"

namespace weir::admission {

struct Lane;
struct SubLane;
class LaneOrder;

// The part of a request that waits. `size` is what it counts for in fairness: its expected tokens, at least one.
struct Waiting {
  SubLane* sub = nullptr;  // nullptr: not in a queue
  Waiting* before = nullptr;
  Waiting* after = nullptr;
  Instant arrived{};
  std::uint64_t sequence = 0;
  Tokens size = 1;
  Tokens mark = 0;  // tokens that had entered the sub-lane before it
};

using Tag = std::int64_t;
constexpr Tag tag_scale = 1024;  // a token at weight 1; leaves room for weights up to about a thousand
// What a share that was held up may catch up on: about one large request. A key that waits for its own limit most of
// the time thus goes at once when it has room; a second of the 5M/30K tier, should a model come back after an hour.
constexpr Tag catch_up_max = 65'536 * tag_scale;

struct SubLane {
  std::string name;
  Lane* lane = nullptr;
  Tag tag = 0;
  Waiting* first = nullptr;
  Waiting* last = nullptr;
  Tokens queued = 0;
  std::uint32_t waiting = 0;
  std::uint32_t running = 0;     // served, not yet settled: keeps its tag alive
  Tokens entered = 0, left = 0;  // ever, in tokens
  std::uint32_t place = not_in_heap;
};

// Keys of a team with a weight, in one class: they take turns with others together, and among themselves.
struct Group {
  std::size_t number = 0;  // from 1
  std::int64_t weight = 1;
  Tag tag = 0;
  Tag time = 0;  // virtual time among its shares
  std::uint32_t waiting = 0;
};

struct Share {
  BudgetId key = no_budget;
  Priority priority = Priority::interactive;
  std::int64_t weight = 1;
  Group* group = nullptr;  // none: it takes turns on its own
  Tag tag = 0;             // among all shares, or those of its group
  std::uint32_t waiting = 0;
  std::vector<Lane*> lanes;
};

// What an order goes by: the tag, and who came first.
using Turn = std::pair<Tag, std::uint64_t>;

struct TurnOfSubLane {
  Turn operator()(const SubLane& sub) const { return {sub.tag, sub.first->sequence}; }
};

// Finds a name without making a string of it.
struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
};

// Requests of one key, one class, one model: they stand or wait together.
struct Lane {
  Share* share = nullptr;
  BudgetId team = no_budget, account = no_budget, model = no_budget;
  Tag sub_time = 0;  // virtual time among the sub-lanes
  IndexedHeap<SubLane, &SubLane::place, TurnOfSubLane> ready;
  std::unordered_map<std::string, std::unique_ptr<SubLane>, NameHash, std::equal_to<>> sub_lanes;
  Tokens queued = 0;
  std::uint32_t waiting = 0;
  LaneOrder* in = nullptr;  // in one at most
  std::uint32_t place = not_in_heap;
  BudgetId parked_on = no_budget;      // waits for room there instead of standing in its account's order
  BudgetId released_from = no_budget;  // was let go from there: the others there wait for what comes of it

  const Waiting& head() const { return *ready.top()->first; }
};

struct TurnOfLane {
  Turn operator()(const Lane& lane) const { return {lane.share->tag, lane.head().sequence}; }
};

// What decides between lanes whose tags cannot be compared, those of different classes or accounts: the class, where
// waiting for `age_step` counts as one class more; then who came first.
struct Standing {
  std::int64_t rank = 0;
  Instant arrived{};
  Priority priority = Priority::interactive;
  friend auto operator<=>(const Standing&, const Standing&) = default;
};
Standing standing_of(const Lane& lane, Instant now, Duration age_step);

// Lanes in fair order, by class and group.
class LaneOrder {
 public:
  bool empty() const;
  void push(Lane& lane);
  void remove(Lane& lane);
  void update(Lane& lane) { of(lane).update(lane); }
  // The next: by its tag within its class, by its standing beside other classes; nullptr: none.
  Lane* first(Instant now, Duration age_step) const;
  // Whether one lane of an account comes before another.
  static bool before(const Lane& a, const Lane& b, Instant now, Duration age_step);
  // Whether a lane that is not in here would be the next.
  bool would_be_first(const Lane& lane, Instant now, Duration age_step) const;

  using Heap = IndexedHeap<Lane, &Lane::place, TurnOfLane>;
  // Of a class: the shares without a group, then each group's. There are few groups: they are looked through.
  const std::vector<Heap>& heaps(std::size_t priority) const { return heaps_[priority]; }

 private:
  static Turn turn_beside_other_groups(const Lane& lane);
  static Lane* first_of(const std::vector<Heap>& groups);
  Heap& of(const Lane& lane);

  std::array<std::vector<Heap>, priority_count> heaps_;
};

// Where a request goes in the queue.
struct LaneAddress {
  BudgetId key = no_budget, team = no_budget, account = no_budget, model = no_budget;
  Priority priority = Priority::interactive;
  std::int64_t weight = 1;
  std::int64_t team_weight = 0;  // none: the key takes turns on its own
  std::string_view sub_lane;
};

class FairQueue {
 public:
  // Sub-lanes alive at a time in a lane; further names share one.
  static constexpr std::size_t sub_lanes_max = 256;

  // Queues a request, behind all of its sub-lane that arrived before it. The lane is returned: if it was empty before,
  // the caller puts it into an order.
  Lane& push(Waiting& request, const LaneAddress& address);
  // Takes it out unserved; a lane that becomes empty leaves its order.
  void remove(Waiting& request);
  // The first of a lane goes, and tags move; a lane that becomes empty leaves its order. Returns the sub-lane, which
  // counts it as running.
  SubLane& serve(Lane& lane);
  // It was held up by a budget that is not the account's, and stands in the order again: its share may catch up on some
  // of the turns it missed, not on all of them, or it would keep everybody else waiting. True: that moved the share.
  bool rejoin(Lane& lane);
  // A served request came to so many tokens more (or less) than it was counted for, and is over.
  void settle(SubLane& sub, Tokens difference);

  LaneOrder& order() { return order_; }
  const LaneOrder& order() const { return order_; }
  std::uint32_t waiting() const { return waiting_; }
  Tokens queued() const { return queued_; }

  // Tokens and requests that are served before this one, by the tags of now. Linear in lanes.
  struct Ahead {
    Tokens tokens_of_key = 0, requests_of_key = 0;
    Tokens tokens = 0, requests = 0;  // of the account, the key's included
  };
  Ahead ahead_of(const Waiting& request) const;

  template <typename Each>
  void each_lane(Each each) const {
    for (const auto& lane : lanes_) each(*lane);
  }

 private:
  SubLane& sub_lane_of(Lane& lane, std::string_view name);
  Share& share_of(const LaneAddress& address);
  Group& group_of(const LaneAddress& address);
  Lane& lane_of(const LaneAddress& address);
  void unlink(Waiting& request);
  void move_tag(Share& share, Tag tag);
  void count_turn(Share& share, Tokens tokens);
  Tag& class_time(const Share& share) { return time_[static_cast<std::size_t>(share.priority)]; }
  // Among those its tag is compared with.
  Tag& time_of(const Share& share) { return share.group ? share.group->time : class_time(share); }

  std::array<Tag, priority_count> time_{};  // virtual time of each class
  std::vector<std::unique_ptr<Share>> shares_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<Group>> groups_;
  std::map<std::pair<BudgetId, Priority>, Group*> group_index_;  // by team and class
  std::vector<std::array<Share*, priority_count>> share_index_;  // by key and class
  LaneOrder order_;
  std::vector<std::pair<LaneOrder*, Lane*>> moving_;  // of move_tag(), kept for its memory
  std::uint32_t waiting_ = 0;
  Tokens queued_ = 0;
};

}  // namespace weir::admission
