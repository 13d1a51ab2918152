// Who is next at one upstream account: weighted fair by tokens between keys, equal between the sub-lanes of a key,
// first come first served inside a sub-lane, more important classes before less important ones. The keys of a team that
// has a weight share the turns of their team.
//
// Start-time fair queueing on two levels. A share (one key in one class) has a tag: the virtual time at which its next
// request starts; serving c tokens moves it by c / weight; the smallest tag is next. A share that was idle starts at
// the present virtual time, so it can neither save up nor owe what it did not use. A key has a lane for each model and
// class it waits for, and those of a class have the tag of its share there: a model without room does not hold up the
// others, and asking for two models gains nothing. The sub-lanes of a key have one tag each, whatever they ask for.
//
// A lane whose head has waited long enough takes its key's turns in a more important class, and is charged there: who
// asks for less importance than they may have does not get more by it.
//
// Pure; owns lanes, not requests. Knows no budgets and no time: the scheduler takes lanes that cannot go out of the
// order and puts them back, and says what class a lane has aged to.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "admission/arrivals.hpp"
#include "admission/indexed_heap.hpp"
#include "admission/lane_order.hpp"
#include "admission/units.hpp"

namespace weir::admission {

// What a share that was held up may catch up on: about one large request. A key that waits for its own limit most of
// the time thus goes at once when it has room; a second of the 5M/30K tier, should a model come back after an hour.
constexpr Tag catch_up_max = 65'536 * tag_scale;

// A sub-lane of a key: an engineer, an agent.
struct SubLane {
  std::string name;
  KeyTurns* of = nullptr;
  Tag tag = 0;
  std::vector<std::unique_ptr<Line>> lines;  // of those who wait, one for each lane they wait in
  Amount queued;
  std::uint32_t running = 0;  // served, not yet settled: keeps its tag alive
  std::uint32_t idle_place = not_in_heap;

  bool idle() const { return lines.empty() && running == 0; }
};

struct TurnOfIdle {
  std::pair<Tag, std::string_view> operator()(const SubLane& sub) const { return {sub.tag, sub.name}; }
};

// Keys of a team with a weight, in one class: they take turns with others together, and among themselves.
struct Group {
  std::size_t number = 0;  // from 1, in its class
  std::int64_t weight = 1;
  Tag tag = 0;
  Tag time = 0;  // virtual time among its shares
  std::uint32_t waiting = 0;

  // Beside others of its class, when it has come to that tag: behind others of the same, whoever of it is next.
  Turn turn_at(Tag its) const { return {its, std::numeric_limits<Tag>::max(), number}; }
};

struct Share {
  KeyTurns* of = nullptr;
  Priority priority = Priority::interactive;
  Group* group = nullptr;  // none: it takes turns on its own
  Tag tag = 0;             // among all shares, or those of its group
  std::uint32_t waiting = 0;
  std::vector<Lane*> lanes;
};

// Finds a name without making a string of it.
struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
};

// One key at this account.
struct KeyTurns {
  BudgetId key = no_budget;
  std::int64_t weight = 1;
  std::array<Share, priority_count> shares;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<Drawn> drawn;    // what it has in the outline
  std::uint64_t drawn_at = 0;  // which outline; of another one they tell nothing
  Tag time = 0;                // virtual time among its sub-lanes
  std::unordered_map<std::string, std::unique_ptr<SubLane>, NameHash, std::equal_to<>> sub_lanes;
  IndexedHeap<SubLane, &SubLane::idle_place, TurnOfIdle> idle;  // have nobody who waits or runs
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
  // Sub-lanes of a key alive at a time; further names share one.
  static constexpr std::size_t sub_lanes_max = 256;

  // Queues a request, behind all of its sub-lane that arrived before it. The lane is returned: if it was empty before,
  // the caller puts it into an order.
  Lane& push(Waiting& request, const LaneAddress& address);
  // Takes it out unserved; a lane that becomes empty leaves its order.
  void remove(Waiting& request);
  // The first of a lane goes, and tags move; a lane that becomes empty leaves its order. Returns the sub-lane, which
  // counts it as running. The lane's share is charged.
  SubLane& serve(Lane& lane);
  // Nobody waits in it any more, and nobody else knows of it. REQUIRES: it is empty.
  void drop(Lane& lane);
  // The lane takes its key's turns in the class its head has aged to, and may catch up there. True: as below.
  bool stand(Lane& lane, Priority aged);
  // A budget that is not the account's held up this lane, or another one of its key: its share and its sub-lanes may
  // catch up on some of the turns they missed, not on all of them, or they would keep everybody else waiting. Asked
  // when a call joins the lane, and when the lane stands in the order again. True: that moved some of them, and the
  // lanes of the key may have other heads.
  bool catch_up(Lane& lane);
  // A served request came to so many tokens more (or less) than it was counted for, and is over.
  void settle(SubLane& sub, Share& charged, Tokens difference);

  LaneOrder& order() { return order_; }
  const LaneOrder& order() const { return order_; }
  const Amount& queued() const { return queued_; }
  static Amount queued_of(const KeyTurns& key);

  // What is served before a request, by the tags of now, of all that counts against its key, its team, its model and
  // its account. Each is told as if nothing else held anybody up: which of them takes longest is for others to say.
  struct Ahead {
    Amount key, team, model, account;
  };
  // REQUIRES: it waits here. By an outline of what the other keys have waiting: beside few lanes it is as of now,
  // beside many it has missed a change of every fourth, at most.
  Ahead ahead_of(const Waiting& request);
  // A lane was parked, or let out.
  void parked() { ++changes_; }
  // Lanes that are not empty.
  const std::vector<Lane*>& waiting_lanes() const { return waiting_lanes_; }

  template <typename Each>
  void each_lane(Each each) const {
    for (const auto& key : keys_) {
      if (!key) continue;
      for (const auto& lane : key->lanes) each(*lane);
    }
  }
  // What does not agree, "" for nothing. For tests.
  std::string verify() const;

 private:
  KeyTurns& key_of(const LaneAddress& address);
  SubLane& sub_lane_of(KeyTurns& key, std::string_view name);
  Group& group_of(const LaneAddress& address, Priority priority);
  Lane& lane_of(KeyTurns& key, const LaneAddress& address);
  Line& line_of(SubLane& sub, Lane& lane);
  void unlink(Waiting& request);
  Section* section_of(BudgetId budget);
  void draw_outline();
  static void draw(const Lane& lane, Section& section);
  const Contour* drawn_of(const Share& share, const Section& section) const;
  Amount ahead_of_others(const Share& share, Section& section, const Amount& own, Turn turn);
  void come(Share& share, std::uint32_t requests);
  void go(Share& share, std::uint32_t requests);
  void take_turns_of(Share& share, Lane& lane);
  void join(Share& share, Group* group);
  bool catch_up_sub_lanes(Lane& lane);
  void move_tag(SubLane& sub, Tag tag);
  void move_tag(Share& share, Tag tag);
  void count_turn(Share& share, Tokens tokens);
  Tag& class_time(const Share& share) { return time_[static_cast<std::size_t>(share.priority)]; }
  // Among those its tag is compared with.
  Tag& time_of(const Share& share) { return share.group ? share.group->time : class_time(share); }

  std::array<Tag, priority_count> time_{};       // virtual time of each class
  std::vector<std::unique_ptr<KeyTurns>> keys_;  // by key
  std::array<std::vector<std::unique_ptr<Group>>, priority_count> groups_;
  std::map<std::pair<BudgetId, Priority>, Group*> group_index_;  // by team and class
  LaneOrder order_;
  Amount queued_;
  std::vector<Lane*> waiting_lanes_;
  // The outline of what waits, for predictions.
  std::unordered_map<BudgetId, Section> sections_;  // by team and by model
  Section standing_;                                // who is not parked
  std::uint64_t changes_ = 0, drawn_ = 0;           // of the queue; when it was drawn
};

}  // namespace weir::admission
