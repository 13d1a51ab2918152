#include "admission/lane_order.hpp"

#include <algorithm>

#include "admission/fair_queue.hpp"

namespace weir::admission {

Turn TurnOfLine::operator()(const Line& line) const {
  return {0, line.sub->tag, line.calls.first().sequence};
}

Turn TurnOfLane::operator()(const Lane& lane) const {
  const Line& line = *lane.ready.top();
  return {lane.share->tag, line.sub->tag, line.calls.first().sequence};
}

Standing standing_of(const Lane& lane) {
  return {lane.share->priority, lane.head().arrived, lane.priority};
}

LaneOrder::Heap& LaneOrder::of(const Lane& lane) {
  std::vector<Heap>& groups = heaps_[static_cast<std::size_t>(lane.share->priority)];
  const std::size_t number = lane.share->group ? lane.share->group->number : 0;
  if (groups.size() <= number) groups.resize(number + 1);
  return groups[number];
}

void LaneOrder::push(Lane& lane) {
  of(lane).push(lane);
  lane.in = this;
}

void LaneOrder::remove(Lane& lane) {
  of(lane).remove(lane);
  lane.in = nullptr;
}

Turn LaneOrder::turn_beside_other_groups(const Lane& lane) {
  const Share& share = *lane.share;
  if (!share.group) return TurnOfLane()(lane);
  return share.group->turn_at(share.group->tag);
}

// Of a class.
Lane* LaneOrder::first_of(const std::vector<Heap>& groups) {
  Lane* best = nullptr;
  for (const Heap& heap : groups) {
    Lane* lane = heap.top();
    if (lane && (!best || turn_beside_other_groups(*lane) < turn_beside_other_groups(*best))) best = lane;
  }
  return best;
}

Lane* LaneOrder::first() const {
  for (const std::vector<Heap>& groups : heaps_) {
    if (Lane* lane = first_of(groups)) return lane;
  }
  return nullptr;
}

bool LaneOrder::before(const Lane& a, const Lane& b) {
  if (a.share->priority != b.share->priority) return a.share->priority < b.share->priority;
  if (a.share->group == b.share->group) return TurnOfLane()(a) < TurnOfLane()(b);
  return turn_beside_other_groups(a) < turn_beside_other_groups(b);
}

bool LaneOrder::would_be_first(const Lane& lane) const {
  const auto own_class = static_cast<std::size_t>(lane.share->priority);
  for (std::size_t i = 0; i < own_class; ++i) {
    if (first_of(heaps_[i])) return false;
  }
  return std::none_of(heaps_[own_class].begin(), heaps_[own_class].end(),
                      [&](const Heap& heap) { return heap.top() && before(*heap.top(), lane); });
}

}  // namespace weir::admission
