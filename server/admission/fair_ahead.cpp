// How much goes before a request that waits: a prediction by the tags of now, as if tokens were served one by one. What
// its own key has waiting is looked at closely; of the others there is an outline, which is drawn again when enough has
// changed: when half as many calls have come and gone as lanes wait, so that it costs each call about the same however
// many lanes there are. Beside few lanes it is always as of now.
#include <algorithm>
#include <utility>

#include "admission/fair_queue.hpp"

namespace weir::admission {
namespace {

// Below so many lanes an outline is drawn for every look.
constexpr std::size_t few_lanes = 16;
// A call that comes, goes and is settled makes four.
constexpr std::uint64_t changes_a_lane = 2;

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

Amount at_least_none(const Amount& amount) {
  return {std::max<Tokens>(0, amount.requests), std::max<Tokens>(0, amount.tokens),
          std::max<Tokens>(0, amount.upstream)};
}

ServiceCurve& curve_of(Section& section, const Share& share) {
  auto& curves = section.curves[static_cast<std::size_t>(share.priority)];
  const std::size_t number = share.group ? share.group->number : 0;
  if (curves.size() <= number) curves.resize(number + 1);
  return curves[number];
}

}  // namespace

Section* FairQueue::section_of(BudgetId budget) {
  return budget == no_budget ? nullptr : &sections_[budget];
}

void FairQueue::draw_outline() {
  if (changes_ == drawn_) return;
  if (waiting_lanes_.size() > few_lanes && changes_ - drawn_ < changes_a_lane * waiting_lanes_.size()) return;
  drawn_ = changes_;
  for (auto& [budget, section] : sections_) {
    for (auto& curves : section.curves) {
      for (ServiceCurve& curve : curves) curve.clear();
    }
  }
  for (auto& curves : standing_.curves) {
    for (ServiceCurve& curve : curves) curve.clear();
  }
  for (Lane* lane : waiting_lanes_) {
    KeyTurns& key = *lane->of;
    if (std::exchange(key.drawn_at, drawn_) != drawn_) key.drawn.clear();
    const bool standing = lane->parked_on == no_budget;
    key.drawn.push_back(
        {lane->share->priority, lane->share->tag, key.weight, lane->queued, lane->of_team, lane->of_model, standing});
    const auto add = [&](Section& section) {
      curve_of(section, *lane->share).add(lane->share->tag, key.weight, lane->queued);
    };
    if (lane->of_team) add(*lane->of_team);
    if (lane->of_model) add(*lane->of_model);
    if (standing) add(standing_);
  }
}

// Of other keys, in what a section holds, when the request's own key has had `own` first.
Amount FairQueue::ahead_of_others(const Lane& lane, Section& section, const Amount& own) {
  const Share& share = *lane.share;
  const auto own_class = static_cast<std::size_t>(share.priority);
  // What the outline holds of its own key does not count.
  const auto own_drawn = [&](std::size_t priority, Tag until) {
    Amount sum;
    if (lane.of->drawn_at != drawn_) return sum;
    for (const Drawn& drawn : lane.of->drawn) {
      const bool counts =
          &section == drawn.team || &section == drawn.model || (&section == &standing_ && drawn.standing);
      if (!counts || static_cast<std::size_t>(drawn.priority) != priority) continue;
      sum += priority < own_class ? drawn.queued : served_within(until - drawn.tag, drawn.weight, drawn.queued);
    }
    return sum;
  };
  Amount sum;
  for (std::size_t i = 0; i < own_class; ++i) {
    Amount all;
    for (const ServiceCurve& curve : section.curves[i]) all += curve.all();
    sum += at_least_none(all - own_drawn(i, 0));
  }
  auto& curves = section.curves[own_class];
  const std::size_t own_group = share.group ? share.group->number : 0;
  const Tag start = share.tag + own.tokens * tag_scale / share.of->weight;
  Amount group = own;
  if (own_group < curves.size()) {
    const Amount served = at_least_none(curves[own_group].at(start) - own_drawn(own_class, start));
    sum += served;
    group += served;
  }
  const Tag among_groups = share.group ? share.group->tag + group.tokens * tag_scale / share.group->weight : start;
  for (std::size_t number = 0; number < curves.size(); ++number) {
    if (number == own_group) continue;
    if (number == 0) {
      sum += curves[0].at(among_groups);
      continue;
    }
    const Group& other = *groups_[own_class][number - 1];
    sum += served_within(among_groups - other.tag, other.weight, curves[number].all());
  }
  return sum;
}

FairQueue::Ahead FairQueue::ahead_of(const Waiting& request) {
  draw_outline();
  const Lane& own = *request.line->lane;
  const OfKey of_key = ahead_in_key(request, [](const Lane&) { return true; });
  const bool alone = own.of->lanes.size() == 1;
  const auto ahead = [&](Section* section, auto counts) -> Amount {
    if (!section) return {};
    const OfKey in_key = alone ? of_key : ahead_in_key(request, counts);
    return in_key.same + in_key.more_important + ahead_of_others(own, *section, in_key.same);
  };
  Ahead sums;
  sums.key = of_key.same + of_key.more_important;
  sums.team = ahead(own.of_team, [&](const Lane& lane) { return lane.team == own.team; });
  sums.model = ahead(own.of_model, [&](const Lane& lane) { return lane.model == own.model; });
  // Who stands aside elsewhere does not hold it up.
  sums.account = ahead(
      &standing_, [&](const Lane& lane) { return lane.parked_on == no_budget || lane.parked_on == own.parked_on; });
  return sums;
}

}  // namespace weir::admission
