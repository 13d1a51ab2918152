#include "admission/fair_queue.hpp"

#include <algorithm>
#include <cassert>

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

void LaneOrder::push(Lane& lane) {
  of(lane).push(lane);
  ++lanes_;
  lane.in = this;
}

void LaneOrder::remove(Lane& lane) {
  of(lane).remove(lane);
  --lanes_;
  lane.in = nullptr;
}

Standing standing_of(const Lane& lane, Instant now, Duration age_step) {
  const Instant arrived = lane.head().arrived;
  const std::int64_t aged = std::max<Duration>(Duration::zero(), now - arrived) / age_step;
  const Priority priority = lane.share->priority;
  return {std::max<std::int64_t>(0, static_cast<std::int64_t>(priority) - aged), arrived, priority};
}

Lane* LaneOrder::first(Instant now, Duration age_step) const {
  Lane* best = nullptr;
  Standing standing;
  for (const Heap& heap : heaps_) {
    Lane* lane = heap.top();
    if (!lane) continue;
    if (heap.size() == lanes_) return lane;  // of the only class there is
    const Standing its = standing_of(*lane, now, age_step);
    if (best && standing < its) continue;
    best = lane;
    standing = its;
  }
  return best;
}

bool LaneOrder::before(const Lane& a, const Lane& b, Instant now, Duration age_step) {
  if (a.share->priority == b.share->priority) return TurnOfLane()(a) < TurnOfLane()(b);
  return standing_of(a, now, age_step) < standing_of(b, now, age_step);
}

bool LaneOrder::would_be_first(const Lane& lane, Instant now, Duration age_step) const {
  return std::none_of(heaps_.begin(), heaps_.end(),
                      [&](const Heap& heap) { return heap.top() && before(*heap.top(), lane, now, age_step); });
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
  return *share;
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
  lane.sub_time = std::max(lane.sub_time, sub.tag);
  unlink(*sub.first);
  sub.tag += size * tag_scale;
  if (sub.waiting > 0) lane.ready.update(sub);
  ++sub.running;
  move_tag(share, share.tag + size * tag_scale / share.weight);
  return sub;
}

bool FairQueue::rejoin(Lane& lane) {
  Share& share = *lane.share;
  const Tag least = time_of(share) - catch_up_max;
  if (share.tag >= least) return false;
  move_tag(share, least);
  return true;
}

void FairQueue::settle(SubLane& sub, Tokens difference) {
  Lane& lane = *sub.lane;
  assert(sub.running > 0);
  --sub.running;
  if (difference == 0) return;
  sub.tag += difference * tag_scale;
  if (sub.waiting > 0) lane.ready.update(sub);
  move_tag(*lane.share, lane.share->tag + difference * tag_scale / lane.share->weight);
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
  const Tag start = lane.share->tag + ahead.tokens_of_key * tag_scale / lane.share->weight;
  const auto own_class = static_cast<std::size_t>(lane.share->priority);
  for (std::size_t i = 0; i <= own_class; ++i) {
    for (const auto& [turn, other] : order_.heap(i).nodes()) {
      if (other == &lane) continue;
      const Share& share = *other->share;
      const Tokens served =
          i < own_class ? other->queued : served_within(start - share.tag, share.weight, other->queued);
      ahead.tokens += served;
      ahead.requests += part_of(other->waiting, served, other->queued);
    }
  }
  return ahead;
}

}  // namespace weir::admission
