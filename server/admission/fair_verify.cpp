// The queue, counted again from those who wait.
#include <map>

#include "admission/fair_queue.hpp"

namespace weir::admission {

std::string FairQueue::verify() const {
  std::string wrong;
  const auto agree = [&](const std::string& what, bool do_they) {
    if (!do_they) wrong += "queue: " + what + "\n";
  };
  Amount all;
  std::size_t lanes_waiting = 0;
  std::map<const Group*, std::uint32_t> of_group;
  for (const auto& key : keys_) {
    if (!key) continue;
    std::map<const Share*, Tokens> of_share;
    std::map<const SubLane*, Amount> of_sub;
    std::map<const SubLane*, std::size_t> lines;
    for (const auto& lane : key->lanes) {
      Amount of_lane;
      for (const auto& [turn, line] : lane->ready.nodes()) {
        of_lane += line->calls.all();
        of_sub[line->sub] += line->calls.all();
        ++lines[line->sub];
        agree("the turn of a line", turn == TurnOfLine()(*line));
      }
      agree("what waits in a lane", of_lane == lane->queued);
      all += of_lane;
      if (!lane->empty()) {
        ++lanes_waiting;
        agree("the list of lanes that wait",
              lane->waiting_place < waiting_lanes_.size() && waiting_lanes_[lane->waiting_place] == lane.get());
      }
      if (!lane->share) continue;
      of_share[lane->share] += of_lane.requests;
      agree("a lane is more important than it was", lane->share->priority <= lane->priority);
    }
    for (const Share& share : key->shares) {
      agree("who waits for a share", of_share[&share] == share.waiting);
      if (share.group) of_group[share.group] += share.waiting;
    }
    agree("sub-lanes are bounded", key->sub_lanes.size() <= sub_lanes_max + 1);
    std::size_t idle = 0;
    for (const auto& [name, sub] : key->sub_lanes) {
      agree("what waits in a sub-lane", of_sub[sub.get()] == sub->queued && lines[sub.get()] == sub->lines.size());
      agree("who is idle", sub->idle() == (sub->idle_place != not_in_heap));
      idle += sub->idle();
    }
    agree("how many are idle", idle == key->idle.size());
  }
  for (const auto& groups : groups_) {
    for (const auto& group : groups) agree("who waits for a team", of_group[group.get()] == group->waiting);
  }
  for (std::size_t priority = 0; priority < priority_count; ++priority) {
    for (const LaneOrder::Heap& heap : order_.heaps(priority)) {
      for (const auto& [turn, lane] : heap.nodes()) agree("the turn of a lane", turn == TurnOfLane()(*lane));
    }
  }
  agree("what waits", all == queued_ && lanes_waiting == waiting_lanes_.size());
  return wrong;
}

}  // namespace weir::admission
