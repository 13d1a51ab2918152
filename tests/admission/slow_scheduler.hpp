// A slow and obvious scheduler of one account, to stand beside the real one: charges are a list, and everything is
// looked through again for every decision.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "admission/fair_queue.hpp"

namespace weir::admission::test {

// One window, as a list of what was charged.
struct SlowMeter {
  std::optional<Tokens> limit;
  Tokens reserved = 0;
  std::map<Instant, Tokens> charges;  // by when they leave
  struct Debt {
    Instant sent{};                   // when its call was
    std::map<Instant, Tokens> parts;  // of the charges, by when they fall due
    Tokens unpaid(Instant now) const {
      Tokens sum = 0;
      for (auto part = parts.upper_bound(now); part != parts.end(); ++part) sum += part->second;
      return sum;
    }
  };
  std::vector<Debt> owed;

  static constexpr Duration window = std::chrono::seconds(60);

  Instant leaves_after(Instant at) const {
    const Duration slot = window / (limit ? 8192 : 64);
    return Instant((at.time_since_epoch() / slot + 1) * slot) + window + std::chrono::milliseconds(50);
  }
  Tokens used(Instant now) const {
    Tokens sum = 0;
    for (const auto& [leaves, amount] : charges) sum += leaves > now ? amount : 0;
    return sum;
  }
  bool fits(Tokens amount, Instant now) const {
    return !limit || used(now) + reserved == 0 || used(now) + reserved + amount <= *limit;
  }
  // What is larger than the limit is paid window by window.
  void charge(Tokens amount, Instant now) {
    Debt debt{now, {}};
    pay(amount, now, debt);
    if (!debt.parts.empty()) owed.push_back(debt);
  }
  void pay(Tokens amount, Instant first, Debt& debt) {
    const Tokens part_max = limit ? *limit : amount;
    for (Instant at = first; amount > 0; at += window) {
      const Tokens part = std::min(amount, part_max);
      charges[leaves_after(at)] += part;
      if (at > debt.sent) debt.parts[at] += part;
      amount -= part;
    }
  }
  // What is not due yet is paid by the new limit.
  void change_limit(Tokens now_at_most, Instant now) {
    limit = now_at_most;
    for (Debt& debt : owed) {
      if (debt.unpaid(now) == 0) continue;
      const Instant first = debt.parts.upper_bound(now)->first;
      pay(take(debt, debt.unpaid(now), now), first, debt);
    }
  }
  // Takes back up to `most` of what has yet to be paid, the last first. Returns how much.
  Tokens take(Debt& debt, Tokens most, Instant now) {
    Tokens taken = 0;
    for (auto part = debt.parts.rbegin(); part != debt.parts.rend() && part->first > now; ++part) {
      const Tokens back = std::min(part->second, most - taken);
      part->second -= back;
      charges[leaves_after(part->first)] -= back;
      taken += back;
    }
    return taken;
  }
  // Of the charge made at `at`; of several the first that owes something.
  Tokens take_unpaid(Instant at, Tokens most, Instant now) {
    for (Debt& debt : owed) {
      if (debt.sent == at && debt.unpaid(now) > 0) return take(debt, most, now);
    }
    return 0;
  }
  // Of the charge made at `at`, as long as it counts.
  void correct(Instant at, Tokens difference, Instant now) {
    if (difference < 0) difference += take_unpaid(at, -difference, now);
    const Instant leaves = leaves_after(at);
    if (leaves <= now) return;
    Tokens& there = charges[leaves];
    there = std::max<Tokens>(0, there + difference);
  }
};

struct SlowBudget {
  SlowMeter requests, tokens;
  std::optional<Tokens> in_flight_max;
  Tokens in_flight = 0;
  std::vector<Instant> closing;  // when the slots of calls that were cut off are free
  Instant paused_until = Instant::min();
  std::int64_t weight = 1;  // of a team 0: its keys take turns on their own

  Tokens slots_taken(Instant now) const {
    return in_flight + std::count_if(closing.begin(), closing.end(), [&](Instant free) { return free > now; });
  }
  bool fits(Tokens amount, Instant now) const {
    if (now < paused_until || (in_flight_max && slots_taken(now) >= *in_flight_max)) return false;
    return requests.fits(1, now) && tokens.fits(amount, now);
  }
};

struct SlowRequest {
  int id = 0;  // in order of submission
  std::size_t key = 0, model = 0, lane = 0, priority = 0;
  Tokens tokens = 0;
  bool corrects = false;
  Instant arrived{}, deadline = never, sent_at{};
};

struct SlowScheduler {
  static constexpr std::size_t keys = 4, teams = 2, models = 3;

  // Places of budgets in `budgets`.
  static constexpr std::size_t team = keys, model = keys + teams, account = keys + teams + models;
  std::array<SlowBudget, account + 1> budgets;
  static std::size_t team_of(std::size_t key) { return key % teams; }
  // What a request may wait at while others pass.
  static std::array<std::size_t, 3> waits_at(const SlowRequest& r) {
    return {r.key, team + team_of(r.key), model + r.model};
  }

  using LaneName = std::tuple<std::size_t, std::size_t, std::size_t>;  // key, class, model
  static LaneName lane_of(const SlowRequest& r) { return {r.key, r.priority, r.model}; }

  std::vector<SlowRequest> waiting;
  std::map<int, SlowRequest> admitted, sent;
  std::map<std::pair<std::size_t, std::size_t>, Tag> share_tags;  // key and class
  std::map<std::pair<std::size_t, std::size_t>, Tag> team_tags;   // team and class
  std::map<std::size_t, int> team_numbers;                        // in the order they came
  std::map<std::pair<std::size_t, std::size_t>, Tag> team_times;  // among the keys of a team
  std::map<std::size_t, Tag> times;                               // class
  std::map<std::size_t, Tag> key_times;                           // among the sub-lanes of a key
  std::map<std::pair<std::size_t, std::size_t>, Tag> sub_tags;    // key and sub-lane

  bool in_team(const SlowRequest& r) const { return budgets[team + team_of(r.key)].weight > 0; }
  Tag& share_tag(const SlowRequest& r) { return share_tags[{r.key, r.priority}]; }
  Tag& team_tag(const SlowRequest& r) { return team_tags[{team_of(r.key), r.priority}]; }
  Tag& share_time(const SlowRequest& r) {
    return in_team(r) ? team_times[{team_of(r.key), r.priority}] : times[r.priority];
  }
  Tag& sub_tag(const SlowRequest& r) { return sub_tags[{r.key, r.lane}]; }

  template <typename Each>
  void each_budget(const SlowRequest& r, Each each) {
    for (const std::size_t at : waits_at(r)) each(budgets[at]);
    each(budgets[account]);
  }

  // In more than ten windows, the first of which is that of the call.
  bool owes_too_long(const SlowRequest& r) {
    bool too_long = false;
    each_budget(
        r, [&](const SlowBudget& budget) { too_long |= budget.tokens.limit && r.tokens > 10 * *budget.tokens.limit; });
    return too_long;
  }

  void submit(const SlowRequest& request) {
    const auto same_share = [&](const SlowRequest& r) {
      return r.key == request.key && r.priority == request.priority;
    };
    const auto same_team = [&](const SlowRequest& r) {
      return team_of(r.key) == team_of(request.key) && r.priority == request.priority;
    };
    const auto same_sub = [&](const SlowRequest& r) { return r.key == request.key && r.lane == request.lane; };
    if (std::none_of(waiting.begin(), waiting.end(), same_share))
      share_tag(request) = std::max(share_tag(request), share_time(request));
    if (in_team(request)) team_numbers.try_emplace(team_of(request.key), static_cast<int>(team_numbers.size()));
    if (std::none_of(waiting.begin(), waiting.end(), same_team))
      team_tag(request) = std::max(team_tag(request), times[request.priority]);
    if (std::none_of(waiting.begin(), waiting.end(), same_sub))
      sub_tag(request) = std::max(sub_tag(request), key_times[request.key]);
    waiting.push_back(request);
  }

  // The first request of each lane, in the order of turns.
  std::vector<SlowRequest> heads() {
    std::map<std::pair<LaneName, std::size_t>, const SlowRequest*> of_sub;
    for (const SlowRequest& r : waiting) {
      const SlowRequest*& first = of_sub[{lane_of(r), r.lane}];
      if (!first || std::tie(r.arrived, r.id) < std::tie(first->arrived, first->id)) first = &r;
    }
    std::map<LaneName, const SlowRequest*> of_lane;
    for (const auto& [name, r] : of_sub) {
      const SlowRequest*& first = of_lane[name.first];
      if (!first || std::tuple(sub_tag(*r), r->id) < std::tuple(sub_tag(*first), first->id)) first = r;
    }
    std::vector<SlowRequest> firsts;
    for (const auto& [name, r] : of_lane) firsts.push_back(*r);
    std::sort(firsts.begin(), firsts.end(), [&](const SlowRequest& a, const SlowRequest& b) {
      return std::tuple(a.priority, share_tag(a), sub_tag(a), a.id) <
             std::tuple(b.priority, share_tag(b), sub_tag(b), b.id);
    });
    return in_turns_of_teams(firsts);
  }

  // Keys of a team with a weight have the turns of their team, in the order they have among themselves.
  std::vector<SlowRequest> in_turns_of_teams(std::vector<SlowRequest> left) {
    std::vector<SlowRequest> ordered;
    while (!left.empty()) {
      auto best = left.end();
      std::set<std::pair<std::size_t, std::size_t>> seen;  // only the first of a team takes part
      for (auto each = left.begin(); each != left.end(); ++each) {
        if (in_team(*each) && !seen.insert({team_of(each->key), each->priority}).second) continue;
        const auto turn = [&](const SlowRequest& r) {
          return std::tuple(r.priority, in_team(r) ? team_tag(r) : share_tag(r), in_team(r),
                            in_team(r) ? 0 : sub_tag(r), in_team(r) ? team_numbers[team_of(r.key)] : r.id);
        };
        if (best == left.end() || turn(*each) < turn(*best)) best = each;
      }
      ordered.push_back(*best);
      left.erase(best);
    }
    return ordered;
  }

  bool fits(std::size_t budget, const SlowRequest& r, Instant now) const { return budgets[budget].fits(r.tokens, now); }

  // Who would be let through next.
  std::optional<SlowRequest> next(Instant now) {
    std::vector<std::size_t> held;  // somebody earlier in order waits there
    for (const SlowRequest& r : heads()) {
      const auto places = waits_at(r);
      const auto stop = std::find_if(places.begin(), places.end(), [&](std::size_t at) {
        return std::count(held.begin(), held.end(), at) > 0 || !fits(at, r, now);
      });
      if (stop != places.end()) {
        held.push_back(*stop);
      } else {
        if (!fits(account, r, now)) return std::nullopt;
        return r;
      }
    }
    return std::nullopt;
  }

  // Lets go of charges that have left.
  void forget(Instant now) {
    for (SlowBudget& budget : budgets) {
      for (auto* charges : {&budget.requests.charges, &budget.tokens.charges})
        charges->erase(charges->begin(), charges->upper_bound(now));
    }
  }

  std::vector<int> expire(Instant now) {
    std::vector<int> gone;
    for (const SlowRequest& r : waiting)
      if (r.deadline <= now) gone.push_back(r.id);
    std::erase_if(waiting, [&](const SlowRequest& r) { return r.deadline <= now; });
    return gone;
  }

  void admit(const SlowRequest& r) {
    std::erase_if(waiting, [&](const SlowRequest& each) { return each.id == r.id; });
    share_time(r) = std::max(share_time(r), share_tag(r));
    if (in_team(r)) times[r.priority] = std::max(times[r.priority], team_tag(r));
    key_times[r.key] = std::max(key_times[r.key], sub_tag(r));
    move_tags(r, r.tokens);
    each_budget(r, [&](SlowBudget& budget) {
      ++budget.in_flight;
      budget.requests.reserved += 1;
      budget.tokens.reserved += r.tokens;
    });
    admitted[r.id] = r;
  }

  std::vector<int> dispatch(Instant now) {
    std::vector<int> ids;
    while (const auto r = next(now)) {
      ids.push_back(r->id);
      admit(*r);
    }
    return ids;
  }

  void send(int id, Instant now) {
    SlowRequest r = admitted.at(id);
    r.sent_at = now;
    each_budget(r, [&](SlowBudget& budget) {
      budget.requests.reserved -= 1;
      budget.tokens.reserved -= r.tokens;
      budget.requests.charge(1, now);
      budget.tokens.charge(r.tokens, now);
    });
    sent[id] = r;
    admitted.erase(id);
  }

  // Ends with so many tokens used. A refused one counts no request for the key and the team; the upstream learns a
  // guard later of one that is cut off.
  void settle(int id, Tokens used, Ending ending, Instant now) {
    const SlowRequest r = sent.at(id);
    each_budget(r, [&](SlowBudget& budget) {
      --budget.in_flight;
      if (r.corrects) budget.tokens.correct(r.sent_at, used - r.tokens, now);
      if (ending == Ending::refused && !r.corrects) budget.tokens.take_unpaid(r.sent_at, r.tokens, now);
    });
    if (ending == Ending::refused) {
      for (const std::size_t own : {r.key, team + team_of(r.key)}) budgets[own].requests.correct(r.sent_at, -1, now);
    }
    if (ending == Ending::cut_off || ending == Ending::lost) {
      for (const std::size_t at : {model + r.model, account}) {
        if (budgets[at].in_flight_max) budgets[at].closing.push_back(now + std::chrono::milliseconds(50));
      }
    }
    move_tags(r, used - r.tokens);
    sent.erase(id);
  }

  void withdraw(int id) {
    if (!admitted.contains(id)) {
      std::erase_if(waiting, [&](const SlowRequest& r) { return r.id == id; });
      return;
    }
    const SlowRequest r = admitted.at(id);
    each_budget(r, [&](SlowBudget& budget) {
      --budget.in_flight;
      budget.requests.reserved -= 1;
      budget.tokens.reserved -= r.tokens;
    });
    move_tags(r, -r.tokens);
    admitted.erase(id);
  }

 private:
  void move_tags(const SlowRequest& r, Tokens tokens) {
    share_tag(r) += tokens * tag_scale / budgets[r.key].weight;
    if (in_team(r)) team_tag(r) += tokens * tag_scale / budgets[team + team_of(r.key)].weight;
    sub_tag(r) += tokens * tag_scale;
  }
};

}  // namespace weir::admission::test
