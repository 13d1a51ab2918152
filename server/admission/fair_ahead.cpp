// How much goes before a request that waits: a prediction by the tags of now, as if tokens were served one by one. What
// its own key has waiting is looked at closely; of the others there is an outline, which is drawn again when enough has
// changed, so that it costs each call about the same however many lanes there are. Beside few lanes it is as of now.
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "admission/fair_queue.hpp"

namespace weir::admission {
namespace {

// Below so many lanes an outline is drawn for every look.
constexpr std::size_t few_lanes = 64;
// Else when it has missed one change for so many lanes. A call that comes, goes and is settled makes four.
constexpr std::uint64_t lanes_a_change = 4;

// Of those that count: before a request among the calls of its own key, in its class and in more important ones.
struct OfKey {
  Amount same, more_important;
  Tag sub_lane = 0;  // of its own, when its turn comes
};

template <typename Counts>
OfKey ahead_in_key(const Waiting& request, Counts counts) {
  const Line& own = *request.line;
  const Priority aged = own.lane->share->priority;
  OfKey ahead;
  for (const auto& line : own.sub->lines) {
    if (counts(*line->lane) && line->lane->share->priority == aged) ahead.same += line->calls.before(request);
  }
  ahead.sub_lane = own.sub->tag + ahead.same.tokens * tag_scale;
  for (const auto& lane : own.lane->of->lanes) {
    if (lane->empty() || !counts(*lane) || lane->share->priority > aged) continue;
    if (lane->share->priority < aged) {
      ahead.more_important += lane->queued;
      continue;
    }
    for (const auto& [turn, line] : lane->ready.nodes()) {
      if (line->sub == own.sub) continue;
      ahead.same += line->calls.begun((ahead.sub_lane - line->sub->tag) / tag_scale, request.sequence);
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
  if (waiting_lanes_.size() > few_lanes && (changes_ - drawn_) * lanes_a_change < waiting_lanes_.size()) return;
  drawn_ = changes_;
  for (auto& [budget, section] : sections_) {
    for (auto& curves : section.curves) {
      for (ServiceCurve& curve : curves) curve.clear();
    }
  }
  for (auto& curves : standing_.curves) {
    for (ServiceCurve& curve : curves) curve.clear();
  }
  std::vector<const KeyTurns*> keys;
  for (const Lane* lane : waiting_lanes_) {
    KeyTurns& key = *lane->of;
    if (std::exchange(key.drawn_at, drawn_) != drawn_) {
      key.drawn.clear();
      keys.push_back(&key);
    }
    if (lane->of_team) draw(*lane, *lane->of_team);
    if (lane->of_model) draw(*lane, *lane->of_model);
    if (lane->parked_on == no_budget) draw(*lane, standing_);
  }
  for (const KeyTurns* key : keys) {
    for (const Drawn& drawn : key->drawn) curve_of(*drawn.section, *drawn.share).add(drawn.contour);
  }
}

// The lanes of a share take its turns together.
void FairQueue::draw(const Lane& lane, Section& section) {
  std::vector<Drawn>& drawn = lane.of->drawn;
  const Turn turn = TurnOfLane()(lane);
  const Amount first = lane.head().amount();
  const auto its = std::find_if(drawn.begin(), drawn.end(), [&](const Drawn& each) {
    return each.section == &section && each.share == lane.share;
  });
  if (its == drawn.end()) {
    drawn.push_back({&section, lane.share, {turn, lane.of->weight, first, lane.queued}});
    return;
  }
  Contour& contour = its->contour;
  contour.all += lane.queued;
  if (turn < contour.turn) {
    contour.turn = turn;
    contour.first = first;
  }
}

// What the outline holds of a share in a section; nullptr: nothing.
const Contour* FairQueue::drawn_of(const Share& share, const Section& section) const {
  const KeyTurns& key = *share.of;
  if (key.drawn_at != drawn_) return nullptr;
  const auto its = std::find_if(key.drawn.begin(), key.drawn.end(),
                                [&](const Drawn& drawn) { return drawn.section == &section && drawn.share == &share; });
  return its == key.drawn.end() ? nullptr : &its->contour;
}

// Of other keys, in what a section holds, when the request's own key has had `own` first and it is at its `turn`.
Amount FairQueue::ahead_of_others(const Share& share, Section& section, const Amount& own, Turn turn) {
  const auto own_class = static_cast<std::size_t>(share.priority);
  Amount sum;
  // What the outline holds of its own key does not count.
  for (std::size_t i = 0; i < own_class; ++i) {
    Amount all;
    for (const ServiceCurve& curve : section.curves[i]) all += curve.all();
    const Contour* const own_drawn = drawn_of(share.of->shares[i], section);
    sum += at_least_none(own_drawn ? all - own_drawn->all : all);
  }
  auto& curves = section.curves[own_class];
  const std::size_t own_group = share.group ? share.group->number : 0;
  Amount group = own;
  if (own_group < curves.size()) {
    const Amount served = at_least_none(curves[own_group].before(turn, drawn_of(share, section)));
    sum += served;
    group += served;
  }
  if (share.group) turn = share.group->turn_at(share.group->tag + group.tokens * tag_scale / share.group->weight);
  for (std::size_t number = 0; number < curves.size(); ++number) {
    ServiceCurve& curve = curves[number];
    if (number == own_group || curve.all().requests == 0) continue;
    if (number == 0) {
      sum += curve.before(turn);
      continue;
    }
    const Group& other = *groups_[own_class][number - 1];
    sum += served_before(turn, {other.turn_at(other.tag), other.weight, curve.first(), curve.all()});
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
    const Share& share = *own.share;
    const Turn turn = {share.tag + in_key.same.tokens * tag_scale / share.of->weight, in_key.sub_lane,
                       request.sequence};
    return in_key.same + in_key.more_important + ahead_of_others(share, *section, in_key.same, turn);
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
