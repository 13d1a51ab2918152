#include "admission/fair_queue.hpp"

#include <algorithm>
#include <cassert>

namespace weir::admission {

KeyTurns& FairQueue::key_of(const LaneAddress& address) {
  if (keys_.size() <= address.key) keys_.resize(address.key + 1);
  std::unique_ptr<KeyTurns>& key = keys_[address.key];
  if (!key) {
    key = std::make_unique<KeyTurns>();
    key->key = address.key;
    for (std::size_t i = 0; i < priority_count; ++i) {
      key->shares[i].of = key.get();
      key->shares[i].priority = static_cast<Priority>(i);
    }
  }
  key->weight = std::max<std::int64_t>(1, address.weight);
  const bool grouped = address.team != no_budget && address.team_weight > 0;
  for (Share& share : key->shares) join(share, grouped ? &group_of(address, share.priority) : nullptr);
  return *key;
}

Group& FairQueue::group_of(const LaneAddress& address, Priority priority) {
  Group*& group = group_index_[{address.team, priority}];
  if (!group) {
    auto& groups = groups_[static_cast<std::size_t>(priority)];
    groups.push_back(std::make_unique<Group>());
    group = groups.back().get();
    group->number = groups.size();
  }
  group->weight = address.team_weight;
  return *group;
}

// Lanes stand by their group: those that wait change over with their key, which begins there at the present time.
void FairQueue::join(Share& share, Group* group) {
  if (share.group == group) return;
  const std::uint32_t waiting = share.waiting;
  std::vector<std::pair<LaneOrder*, Lane*>> moving;
  for (Lane* lane : share.lanes) {
    if (lane->in) moving.emplace_back(lane->in, lane);
  }
  for (const auto& [order, lane] : moving) order->remove(*lane);
  go(share, waiting);
  share.group = group;
  share.tag = time_of(share);
  come(share, waiting);
  for (const auto& [order, lane] : moving) order->push(*lane);
}

Lane& FairQueue::lane_of(KeyTurns& key, const LaneAddress& address) {
  for (const auto& lane : key.lanes) {
    if (lane->model == address.model && lane->team == address.team && lane->priority == address.priority) return *lane;
  }
  key.lanes.push_back(std::make_unique<Lane>());
  Lane& lane = *key.lanes.back();
  lane.of = &key;
  lane.priority = address.priority;
  lane.team = address.team;
  lane.account = address.account;
  lane.model = address.model;
  lane.of_team = section_of(lane.team);
  lane.of_model = section_of(lane.model);
  return lane;
}

SubLane& FairQueue::sub_lane_of(KeyTurns& key, std::string_view name) {
  if (const auto found = key.sub_lanes.find(name); found != key.sub_lanes.end()) return *found->second;
  if (key.sub_lanes.size() >= sub_lanes_max) {
    // One that has nothing to remember makes room; if none has, the newcomer joins the shared one.
    if (SubLane* old = key.idle.top(); old && old->tag <= key.time) {
      key.idle.remove(*old);
      key.sub_lanes.erase(key.sub_lanes.find(old->name));
    } else if (!name.empty()) {
      return sub_lane_of(key, {});
    }
  }
  auto made = std::make_unique<SubLane>();
  made->name = name;
  made->of = &key;
  key.idle.push(*made);
  return *(key.sub_lanes[made->name] = std::move(made));
}

Line& FairQueue::line_of(SubLane& sub, Lane& lane) {
  for (const auto& line : sub.lines) {
    if (line->lane == &lane) return *line;
  }
  if (sub.lines.empty()) sub.tag = std::max(sub.tag, sub.of->time);
  if (sub.idle_place != not_in_heap) sub.of->idle.remove(sub);
  sub.lines.push_back(std::make_unique<Line>());
  sub.lines.back()->sub = &sub;
  sub.lines.back()->lane = &lane;
  return *sub.lines.back();
}

// So many more wait there. If they are the first, they begin at the present time.
void FairQueue::come(Share& share, std::uint32_t requests) {
  if (requests == 0) return;
  if (share.waiting == 0) share.tag = std::max(share.tag, time_of(share));
  share.waiting += requests;
  Group* const group = share.group;
  if (!group) return;
  if (group->waiting == 0) group->tag = std::max(group->tag, class_time(share));
  group->waiting += requests;
}

void FairQueue::go(Share& share, std::uint32_t requests) {
  assert(share.waiting >= requests);
  share.waiting -= requests;
  if (share.group) share.group->waiting -= requests;
}

void FairQueue::take_turns_of(Share& share, Lane& lane) {
  if (lane.share == &share) return;
  const auto waiting = static_cast<std::uint32_t>(lane.queued.requests);
  LaneOrder* const order = lane.in;
  if (order) order->remove(lane);
  if (lane.share) {
    go(*lane.share, waiting);
    std::erase(lane.share->lanes, &lane);
  }
  ++changes_;
  lane.share = &share;
  share.lanes.push_back(&lane);
  come(share, waiting);
  if (order) order->push(lane);
}

bool FairQueue::stand(Lane& lane, Priority aged) {
  take_turns_of(lane.of->shares[static_cast<std::size_t>(aged)], lane);
  return catch_up(lane);
}

Lane& FairQueue::push(Waiting& request, const LaneAddress& address) {
  assert(!request.line && request.size > 0);
  KeyTurns& key = key_of(address);
  Lane& lane = lane_of(key, address);
  if (lane.empty()) take_turns_of(key.shares[static_cast<std::size_t>(lane.priority)], lane);
  SubLane& sub = sub_lane_of(key, address.sub_lane);
  come(*lane.share, 1);
  Line& line = line_of(sub, lane);
  request.line = &line;
  line.calls.push(request);
  const Amount amount = request.amount();
  if (lane.empty()) {
    lane.waiting_place = static_cast<std::uint32_t>(waiting_lanes_.size());
    waiting_lanes_.push_back(&lane);
  }
  ++changes_;
  sub.queued += amount;
  lane.queued += amount;
  queued_ += amount;
  if (line.place == not_in_heap) {
    lane.ready.push(line);
  } else if (&line.calls.first() == &request) {
    lane.ready.update(line);
  }
  if (lane.in) lane.in->update(lane);  // it may have another head
  return lane;
}

void FairQueue::unlink(Waiting& request) {
  Line& line = *request.line;
  Lane& lane = *line.lane;
  SubLane& sub = *line.sub;
  const Amount amount = request.amount();
  const bool was_first = &line.calls.first() == &request;
  if (lane.queued.requests == 1 && lane.in) lane.in->remove(lane);
  line.calls.remove(request);
  request.line = nullptr;
  go(*lane.share, 1);
  sub.queued -= amount;
  lane.queued -= amount;
  queued_ -= amount;
  ++changes_;
  if (lane.empty()) {
    waiting_lanes_[lane.waiting_place] = waiting_lanes_.back();
    waiting_lanes_[lane.waiting_place]->waiting_place = lane.waiting_place;
    waiting_lanes_.pop_back();
  }
  if (line.calls.empty()) {
    lane.ready.remove(line);
    std::erase_if(sub.lines, [&](const auto& each) { return each.get() == &line; });
    if (sub.idle()) lane.of->idle.push(sub);
  } else if (was_first) {
    lane.ready.update(line);
  }
  if (lane.in) lane.in->update(lane);
}

void FairQueue::remove(Waiting& request) {
  unlink(request);
}

SubLane& FairQueue::serve(Lane& lane) {
  SubLane& sub = *lane.ready.top()->sub;
  Share& share = *lane.share;
  Waiting& call = lane.ready.top()->calls.first();
  const Tokens size = call.size;
  time_of(share) = std::max(time_of(share), share.tag);
  if (share.group) class_time(share) = std::max(class_time(share), share.group->tag);
  lane.of->time = std::max(lane.of->time, sub.tag);
  ++sub.running;
  unlink(call);
  move_tag(sub, sub.tag + size * tag_scale);
  count_turn(share, size);
  return sub;
}

void FairQueue::drop(Lane& lane) {
  assert(lane.empty() && !lane.in && lane.age_place == not_in_heap);
  std::erase(lane.share->lanes, &lane);
  std::erase_if(lane.of->lanes, [&](const auto& each) { return each.get() == &lane; });
}

Amount FairQueue::queued_of(const KeyTurns& key) {
  Amount sum;
  for (const auto& lane : key.lanes) sum += lane->queued;
  return sum;
}

bool FairQueue::catch_up(Lane& lane) {
  Share& share = *lane.share;
  bool moved = catch_up_sub_lanes(lane);
  if (const Tag least = time_of(share) - catch_up_max; share.tag < least) {
    move_tag(share, least);
    moved = true;
  }
  if (const Tag least = class_time(share) - catch_up_max; share.group && share.group->tag < least) {
    share.group->tag = least;
    moved = true;
  }
  return moved;
}

bool FairQueue::catch_up_sub_lanes(Lane& lane) {
  const Tag least = lane.of->time - catch_up_max;
  bool moved = false;
  for (; !lane.empty() && lane.ready.top()->sub->tag < least; moved = true) move_tag(*lane.ready.top()->sub, least);
  return moved;
}

void FairQueue::settle(SubLane& sub, Share& charged, Tokens difference) {
  assert(sub.running > 0);
  --sub.running;
  if (difference != 0) move_tag(sub, sub.tag + difference * tag_scale);
  if (sub.idle()) sub.of->idle.push(sub);
  if (difference != 0) count_turn(charged, difference);
}

void FairQueue::count_turn(Share& share, Tokens tokens) {
  if (share.group) share.group->tag += tokens * tag_scale / share.group->weight;
  move_tag(share, share.tag + tokens * tag_scale / share.of->weight);
}

void FairQueue::move_tag(Share& share, Tag tag) {
  ++changes_;
  share.tag = tag;
  for (Lane* lane : share.lanes) {
    if (lane->in) lane->in->update(*lane);
  }
}

void FairQueue::move_tag(SubLane& sub, Tag tag) {
  sub.tag = tag;
  for (const auto& line : sub.lines) {
    line->lane->ready.update(*line);
    if (line->lane->in) line->lane->in->update(*line->lane);
  }
}

}  // namespace weir::admission
