// How much goes before a request that waits: a prediction by the tags of now, as if tokens were served one by one.
#include <algorithm>

#include "admission/fair_queue.hpp"

namespace weir::admission {
namespace {

// What is served of `all` while another one moves on by `distance` of virtual time.
Amount served_within(Tag distance, std::int64_t weight, const Amount& all) {
  if (distance <= 0) return {};
  const Tokens tokens = distance / tag_scale;
  if (tokens >= all.tokens) return all;  // before multiplying: the product could not be told from a large queue
  const Tokens served = tokens * weight;
  if (served >= all.tokens) return all;
  constexpr Tokens one = 1 << 16;
  return {(all.requests * served + all.tokens - 1) / all.tokens, served,
          all.upstream * (served * one / all.tokens) / one};
}

// Of those that count: before a request among the calls of its own key, in its class and in more important ones.
struct OfKey {
  Amount same, more_important;
};

template <typename Counts>
OfKey ahead_in_key(const Waiting& request, Counts counts) {
  const Line& own = *request.line;
  const Priority aged = own.lane->share->priority;
  OfKey ahead;
  for (const auto& line : own.sub->lines) {
    if (counts(*line->lane) && line->lane->share->priority == aged) ahead.same += line->calls.before(request);
  }
  const Tag start = own.sub->tag + ahead.same.tokens * tag_scale;
  for (const auto& lane : own.lane->of->lanes) {
    if (lane->empty() || !counts(*lane) || lane->share->priority > aged) continue;
    if (lane->share->priority < aged) {
      ahead.more_important += lane->queued;
      continue;
    }
    for (const auto& [turn, line] : lane->ready.nodes()) {
      if (line->sub != own.sub) ahead.same += served_within(start - line->sub->tag, 1, line->calls.all());
    }
  }
  return ahead;
}

}  // namespace

FairQueue::Ahead FairQueue::ahead_of(const Waiting& request) const {
  const Lane& own = *request.line->lane;
  const Share& share = *own.share;
  // Of all keys, those that count.
  const auto ahead = [&](auto counts) {
    const OfKey in_key = ahead_in_key(request, counts);
    Amount sum = in_key.same + in_key.more_important;
    Amount group = in_key.same;
    const Tag start = share.tag + in_key.same.tokens * tag_scale / share.of->weight;
    const auto each_other = [&](auto each) {
      each_lane([&](const Lane& lane) {
        if (lane.of != own.of && !lane.empty() && counts(lane)) each(lane);
      });
    };
    each_other([&](const Lane& lane) {
      if (lane.share->priority < share.priority) {
        sum += lane.queued;
      } else if (lane.share->priority == share.priority && lane.share->group == share.group) {
        const Amount served = served_within(start - lane.share->tag, lane.of->weight, lane.queued);
        sum += served;
        group += served;
      }
    });
    const Tag among_groups = share.group ? share.group->tag + group.tokens * tag_scale / share.group->weight : start;
    std::map<const Group*, Amount> others;
    each_other([&](const Lane& lane) {
      if (lane.share->priority != share.priority || lane.share->group == share.group) return;
      if (lane.share->group) {
        others[lane.share->group] += lane.queued;
      } else {
        sum += served_within(among_groups - lane.share->tag, lane.of->weight, lane.queued);
      }
    });
    for (const auto& [other, queued] : others) sum += served_within(among_groups - other->tag, other->weight, queued);
    return sum;
  };
  const auto none = [](const Lane&) { return false; };
  Ahead sums;
  const OfKey in_key = ahead_in_key(request, [](const Lane&) { return true; });
  sums.key = in_key.same + in_key.more_important;
  sums.team = own.team == no_budget ? ahead(none) : ahead([&](const Lane& lane) { return lane.team == own.team; });
  sums.model = own.model == no_budget ? ahead(none) : ahead([&](const Lane& lane) { return lane.model == own.model; });
  // Who stands aside elsewhere does not hold it up.
  sums.account =
      ahead([&](const Lane& lane) { return lane.parked_on == no_budget || lane.parked_on == own.parked_on; });
  return sums;
}

}  // namespace weir::admission
