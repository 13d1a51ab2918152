#include "admission/fair_queue.hpp"

#include <algorithm>
#include <cassert>
#include <optional>

namespace weir::admission {
namespace {

// What a lane is served while another one moves on by `distance` of virtual time.
Tokens served_within(Tag distance, std::int64_t weight, Tokens queued) {
  if (distance <= 0) return 0;
  const Tag tokens = distance / tag_scale;
  if (tokens >= queued) return queued;  // before multiplying: the product could not be told from a large queue
  return std::min(queued, tokens * weight);
}

Tokens part_of(Tokens count, Tokens part, Tokens whole) {
  return whole == 0 ? 0 : (count * part + whole - 1) / whole;
}

}  // namespace

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

Standing standing_of(const Lane& lane, Instant now, Duration age_step) {
  const Instant arrived = lane.head().arrived;
  const std::int64_t aged = std::max<Duration>(Duration::zero(), now - arrived) / age_step;
  const Priority priority = lane.share->priority;
  return {std::max<std::int64_t>(0, static_cast<std::int64_t>(priority) - aged), arrived, priority};
}

bool LaneOrder::empty() const {
  return std::all_of(heaps_.begin(), heaps_.end(), [](const auto& groups) { return !first_of(groups); });
}

Turn LaneOrder::turn_beside_other_groups(const Lane& lane) {
  const Share& share = *lane.share;
  if (!share.group) return {share.tag, lane.head().sequence};
  // Behind others of the same tag, whoever of the group it is that waits here.
  return {share.group->tag, (std::uint64_t{1} << 63) + share.group->number};
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

Lane* LaneOrder::first(Instant now, Duration age_step) const {
  Lane* best = nullptr;
  std::optional<Standing> standing;  // of the best, once there is another to compare it with
  for (const std::vector<Heap>& groups : heaps_) {
    Lane* lane = first_of(groups);
    if (!lane) continue;
    if (!best) {
      best = lane;
      continue;
    }
    if (!standing) standing = standing_of(*best, now, age_step);
    const Standing its = standing_of(*lane, now, age_step);
    if (*standing < its) continue;
    best = lane;
    standing = its;
  }
  return best;
}

bool LaneOrder::before(const Lane& a, const Lane& b, Instant now, Duration age_step) {
  if (a.share->priority != b.share->priority) return standing_of(a, now, age_step) < standing_of(b, now, age_step);
  if (a.share->group == b.share->group) return TurnOfLane()(a) < TurnOfLane()(b);
  return turn_beside_other_groups(a) < turn_beside_other_groups(b);
}

bool LaneOrder::would_be_first(const Lane& lane, Instant now, Duration age_step) const {
  const auto goes_before = [&](const Lane* other) { return other && before(*other, lane, now, age_step); };
  for (std::size_t i = 0; i < priority_count; ++i) {
    if (i != static_cast<std::size_t>(lane.share->priority)) {
      if (goes_before(first_of(heaps_[i]))) return false;
    } else if (std::any_of(heaps_[i].begin(), heaps_[i].end(),
                           [&](const Heap& heap) { return goes_before(heap.top()); })) {
      return false;
    }
  }
  return true;
}

Share& FairQueue::share_of(const LaneAddress& address) {
  if (share_index_.size() <= address.key) share_index_.resize(address.key + 1);
  Share*& share = share_index_[address.key][static_cast<std::size_t>(address.priority)];
  if (!share) {
    shares_.push_back(std::make_unique<Share>());
    share = shares_.back().get();
    share->key = address.key;
    share->priority = address.priority;
  }
  share->weight = std::max<std::int64_t>(1, address.weight);
  Group* const group = address.team != no_budget && address.team_weight > 0 ? &group_of(address) : nullptr;
  // Lanes stand by their group: a key that waits changes over when it has no more to wait for.
  if (share->waiting == 0 && share->group != group) {
    share->group = group;
    share->tag = time_of(*share);
  }
  return *share;
}

Group& FairQueue::group_of(const LaneAddress& address) {
  Group*& group = group_index_[{address.team, address.priority}];
  if (!group) {
    groups_.push_back(std::make_unique<Group>());
    group = groups_.back().get();
    group->number = groups_.size();
  }
  group->weight = address.team_weight;
  return *group;
}

Lane& FairQueue::lane_of(const LaneAddress& address) {
  Share& share = share_of(address);
  for (Lane* lane : share.lanes) {
    if (lane->model == address.model && lane->team == address.team) return *lane;
  }
  lanes_.push_back(std::make_unique<Lane>());
  Lane& lane = *lanes_.back();
  lane.share = &share;
  lane.team = address.team;
  lane.account = address.account;
  lane.model = address.model;
  share.lanes.push_back(&lane);
  return lane;
}

SubLane& FairQueue::sub_lane_of(Lane& lane, std::string_view name) {
  if (const auto found = lane.sub_lanes.find(name); found != lane.sub_lanes.end()) return *found->second;
  if (lane.sub_lanes.size() >= sub_lanes_max) {
    // One that has nothing to remember makes room; if none has, the newcomer joins the shared one.
    for (auto each = lane.sub_lanes.begin(); each != lane.sub_lanes.end(); ++each) {
      const SubLane& old = *each->second;
      if (old.waiting > 0 || old.running > 0 || old.tag > lane.sub_time) continue;
      lane.sub_lanes.erase(each);
      break;
    }
    if (lane.sub_lanes.size() >= sub_lanes_max) {
      if (!name.empty()) return sub_lane_of(lane, {});
    }
  }
  auto made = std::make_unique<SubLane>();
  made->name = name;
  made->lane = &lane;
  return *(lane.sub_lanes[made->name] = std::move(made));
}

Lane& FairQueue::push(Waiting& request, const LaneAddress& address) {
  assert(!request.sub && request.size > 0);
  Lane& lane = lane_of(address);
  SubLane& sub = sub_lane_of(lane, address.sub_lane);
  Share& share = *lane.share;
  if (share.waiting == 0 && share.tag < time_of(share)) move_tag(share, time_of(share));
  if (Group* group = share.group; group && group->waiting++ == 0) group->tag = std::max(group->tag, class_time(share));
  request.sub = &sub;
  request.mark = sub.entered;
  Waiting* place = sub.last;  // behind this one
  while (place && place->arrived > request.arrived) place = place->before;
  request.before = place;
  request.after = place ? place->after : sub.first;
  (request.after ? request.after->before : sub.last) = &request;
  (place ? place->after : sub.first) = &request;

  sub.entered += request.size;
  sub.queued += request.size;
  lane.queued += request.size;
  queued_ += request.size;
  ++lane.waiting;
  ++share.waiting;
  ++waiting_;
  if (sub.waiting++ == 0) {
    sub.tag = std::max(sub.tag, lane.sub_time);
    lane.ready.push(sub);
  } else if (sub.first == &request) {
    lane.ready.update(sub);
  }
  if (lane.in) lane.in->update(lane);  // it may have another head
  return lane;
}

void FairQueue::unlink(Waiting& request) {
  SubLane& sub = *request.sub;
  Lane& lane = *sub.lane;
  const bool was_first = sub.first == &request;
  if (lane.waiting == 1 && lane.in) lane.in->remove(lane);
  if (sub.waiting == 1) lane.ready.remove(sub);
  (request.before ? request.before->after : sub.first) = request.after;
  (request.after ? request.after->before : sub.last) = request.before;
  request.before = request.after = nullptr;
  request.sub = nullptr;
  --sub.waiting;
  --lane.waiting;
  --lane.share->waiting;
  if (lane.share->group) --lane.share->group->waiting;
  --waiting_;
  sub.left += request.size;
  sub.queued -= request.size;
  lane.queued -= request.size;
  queued_ -= request.size;
  if (was_first && sub.waiting > 0) lane.ready.update(sub);
}

void FairQueue::remove(Waiting& request) {
  Lane& lane = *request.sub->lane;
  unlink(request);
  if (lane.in) lane.in->update(lane);
}

SubLane& FairQueue::serve(Lane& lane) {
  SubLane& sub = *lane.ready.top();
  Share& share = *lane.share;
  const Tokens size = sub.first->size;
  time_of(share) = std::max(time_of(share), share.tag);
  if (share.group) class_time(share) = std::max(class_time(share), share.group->tag);
  lane.sub_time = std::max(lane.sub_time, sub.tag);
  unlink(*sub.first);
  sub.tag += size * tag_scale;
  if (sub.waiting > 0) lane.ready.update(sub);
  ++sub.running;
  count_turn(share, size);
  return sub;
}

bool FairQueue::rejoin(Lane& lane) {
  Share& share = *lane.share;
  bool moved = false;
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

void FairQueue::settle(SubLane& sub, Tokens difference) {
  Lane& lane = *sub.lane;
  assert(sub.running > 0);
  --sub.running;
  if (difference == 0) return;
  sub.tag += difference * tag_scale;
  if (sub.waiting > 0) lane.ready.update(sub);
  count_turn(*lane.share, difference);
}

void FairQueue::count_turn(Share& share, Tokens tokens) {
  if (share.group) share.group->tag += tokens * tag_scale / share.group->weight;
  move_tag(share, share.tag + tokens * tag_scale / share.weight);
}

void FairQueue::move_tag(Share& share, Tag tag) {
  // All lanes of the share move at once, and a heap can take one change at a time: they leave with the old tag and come
  // back with the new one.
  moving_.clear();
  for (Lane* lane : share.lanes) {
    if (lane->in) moving_.emplace_back(lane->in, lane);
  }
  if (moving_.size() == 1) {
    share.tag = tag;
    return moving_.front().first->update(*moving_.front().second);
  }
  for (const auto& [order, lane] : moving_) order->remove(*lane);
  share.tag = tag;
  for (const auto& [order, lane] : moving_) order->push(*lane);
}

FairQueue::Ahead FairQueue::ahead_of(const Waiting& request) const {
  const SubLane& own = *request.sub;
  const Lane& lane = *own.lane;
  Ahead ahead;
  const Tokens before = std::clamp<Tokens>(request.mark - own.left, 0, own.queued - request.size);
  ahead.tokens_of_key = before;
  ahead.requests_of_key = part_of(own.waiting - 1, before, own.queued - request.size);
  for (const auto& [turn, other] : lane.ready.nodes()) {
    if (other == &own) continue;
    const Tokens served = served_within(own.tag + before * tag_scale - other->tag, 1, other->queued);
    ahead.tokens_of_key += served;
    ahead.requests_of_key += part_of(other->waiting, served, other->queued);
  }
  ahead.tokens = ahead.tokens_of_key;
  ahead.requests = ahead.requests_of_key;
  const Share& share = *lane.share;
  const auto add = [&ahead](const Lane& other, Tokens served) {
    ahead.tokens += served;
    ahead.requests += part_of(other.waiting, served, other.queued);
  };
  const auto own_class = static_cast<std::size_t>(share.priority);
  const std::vector<LaneOrder::Heap>& groups = order_.heaps(own_class);
  const std::size_t own_group = share.group ? share.group->number : 0;
  Tag start = share.tag + ahead.tokens_of_key * tag_scale / share.weight;
  // Those it takes turns with come first: a group starts when they have had theirs.
  if (own_group < groups.size()) {
    for (const auto& [turn, other] : groups[own_group].nodes()) {
      if (other != &lane) add(*other, served_within(start - other->share->tag, other->share->weight, other->queued));
    }
  }
  if (share.group) start = share.group->tag + ahead.tokens * tag_scale / share.group->weight;
  for (std::size_t number = 0; number < groups.size(); ++number) {
    if (number == own_group || groups[number].empty()) continue;
    const Group* group = groups[number].top()->share->group;
    Tokens left = 0;
    if (group) {
      for (const auto& [turn, other] : groups[number].nodes()) left += other->queued;
      left = served_within(start - group->tag, group->weight, left);
    }
    for (const auto& [turn, other] : groups[number].nodes()) {
      const Tokens served = group ? std::min(left, other->queued)
                                  : served_within(start - other->share->tag, other->share->weight, other->queued);
      if (group) left -= served;
      add(*other, served);
    }
  }
  for (std::size_t i = 0; i < own_class; ++i) {
    for (const LaneOrder::Heap& heap : order_.heaps(i)) {
      for (const auto& [turn, other] : heap.nodes()) add(*other, other->queued);
    }
  }
  return ahead;
}

}  // namespace weir::admission
