// A slow and obvious scheduler beside the real one, under random steps. rapidcheck shortens what fails and prints how
// to repeat it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <ostream>
#include <set>
#include <vector>

#include "admission/admission_support.hpp"
#include "admission/slow_scheduler.hpp"

namespace weir::admission::test {

enum class Act { submit, send, end, leave, wait, pause, limit };

// One step. Not every act needs every number.
struct Step {
  Act act = Act::wait;
  int key = 0, model = 0, lane = 0, priority = 0;
  int tokens = 0, large = 0, corrects = 0;  // large: one of eight
  int back = 0;                             // seconds since its first try; mostly none
  int patience = 0;                         // seconds; 0: endless
  int which = 0;                            // of those it may happen to
  int time = 0;                             // milliseconds
};

std::ostream& operator<<(std::ostream& out, const Step& s) {
  constexpr const char* words[] = {"submit", "send", "end", "leave", "wait", "pause", "limit"};
  return out << '{' << words[static_cast<int>(s.act)] << " key " << s.key << " model " << s.model << " lane " << s.lane
             << " priority " << s.priority << " tokens " << s.tokens << " large " << s.large << " corrects "
             << s.corrects << " back " << s.back << " patience " << s.patience << " which " << s.which << " time "
             << s.time << '}';
}

// What is limited; 0: not limited.
struct Setup {
  std::vector<std::size_t> limited;                       // places that may have limits
  std::vector<int> requests, tokens, in_flight, weights;  // by place in SlowScheduler::budgets
};

std::ostream& operator<<(std::ostream& out, const Setup& s) {
  for (std::size_t i = 0; i < s.requests.size(); ++i) {
    out << "budget " << i << ": requests " << s.requests[i] << " tokens " << s.tokens[i] << " in flight "
        << s.in_flight[i] << " weight " << s.weights[i] << "; ";
  }
  return out;
}

namespace {

// Of any size from the first case on.
rc::Gen<int> below(int end) {
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end));
}

rc::Gen<std::vector<Step>> any_steps() {
  const auto step = rc::gen::build<Step>(
      rc::gen::set(&Step::act, rc::gen::weightedElement<Act>({{6, Act::submit},
                                                              {3, Act::send},
                                                              {3, Act::end},
                                                              {1, Act::leave},
                                                              {4, Act::wait},
                                                              {1, Act::pause},
                                                              {1, Act::limit}})),
      rc::gen::set(&Step::key, below(SlowScheduler::keys)), rc::gen::set(&Step::model, below(SlowScheduler::models)),
      rc::gen::set(&Step::lane, below(3)), rc::gen::set(&Step::priority, below(3)),
      rc::gen::set(&Step::tokens, below(40)), rc::gen::set(&Step::large, below(8)),
      rc::gen::set(&Step::corrects, below(2)), rc::gen::set(&Step::back, below(60)),
      rc::gen::set(&Step::patience, below(500)), rc::gen::set(&Step::which, below(1'000)),
      rc::gen::set(&Step::time, below(30'000)));
  return rc::gen::scale(4.0, rc::gen::container<std::vector<Step>>(step));
}

// `scopes`: which of key (1), team (2), model (4) have limits beside the account.
rc::Gen<Setup> any_setup(unsigned scopes) {
  constexpr std::size_t count = SlowScheduler::account + 1;
  const auto numbers = [](int end) { return rc::gen::container<std::vector<int>>(count, below(end)); };
  return rc::gen::map(
      rc::gen::build<Setup>(rc::gen::set(&Setup::requests, numbers(12)), rc::gen::set(&Setup::tokens, numbers(200)),
                            rc::gen::set(&Setup::in_flight, numbers(8)), rc::gen::set(&Setup::weights, numbers(4))),
      [scopes](Setup setup) {
        for (std::size_t i = 0; i < count; ++i) {
          const unsigned scope = i < SlowScheduler::team ? 1 : i < SlowScheduler::model ? 2 : 4;
          const bool limited = i == SlowScheduler::account || (scopes & scope) != 0;
          if (limited) setup.limited.push_back(i);
          if (!limited || setup.requests[i] > 6) setup.requests[i] = 0;
          if (!limited || setup.tokens[i] < 20) setup.tokens[i] = 0;
          if (!limited || setup.in_flight[i] > 4) setup.in_flight[i] = 0;
          if (scope != 2) ++setup.weights[i];  // that of a team may be unset
        }
        return setup;
      });
}

std::optional<Tokens> if_any(int limit) {
  return limit > 0 ? std::optional<Tokens>(limit) : std::nullopt;
}

Limits limits_of(const SlowScheduler& slow) {
  Limits limits;
  limits.age_step = 1'000h;  // ageing moves the order without news; fair_order_test has its transcripts
  for (std::size_t i = 0; i < slow.budgets.size(); ++i) {
    const SlowBudget& twin = slow.budgets[i];
    const Scope scope = i < SlowScheduler::team      ? Scope::key
                        : i < SlowScheduler::model   ? Scope::team
                        : i < SlowScheduler::account ? Scope::model
                                                     : Scope::account;
    BudgetLimits made = limited(scope, std::to_string(i), {}, twin.weight);
    made.limits[static_cast<std::size_t>(Meter::requests)] = twin.requests.limit;
    made.limits[static_cast<std::size_t>(Meter::tokens)] = twin.tokens.limit;
    made.limits[static_cast<std::size_t>(Meter::in_flight)] = twin.in_flight_max;
    limits.budgets.push_back(made);
  }
  return limits;
}

// Both of them, side by side.
class Pair {
 public:
  explicit Pair(const Setup& setup) : slow_(made(setup)), limited_(setup.limited), real_(limits_of(slow_), now_) {
    for (std::size_t i = 0; i < slow_.budgets.size(); ++i) {
      const Limits limits = limits_of(slow_);
      ids_.push_back(real_.budget(limits.budgets[i].scope, limits.budgets[i].name));
    }
  }
  virtual ~Pair() = default;

  void run(const std::vector<Step>& steps) {
    int count = 0;
    for (const Step& step : steps) {
      take(step);
      if (step.which % 3 > 0) dispatch();
      if (++count % 50 == 0) check_books();
    }
    dispatch();
    check_books();
  }

 protected:
  // Both have dispatched, or the real one has and the slow one judges.
  virtual void compare(const std::vector<int>& admitted) = 0;
  // Nobody could go at this instant.
  virtual void expect_nobody(Instant at) = 0;

  Instant now_ = start;
  SlowScheduler slow_;
  std::vector<std::size_t> limited_;
  Scheduler real_;

 private:
  static SlowScheduler made(const Setup& setup) {
    SlowScheduler slow;
    for (std::size_t i = 0; i < slow.budgets.size(); ++i) {
      SlowBudget& budget = slow.budgets[i];
      budget.requests.limit = if_any(setup.requests[i]);
      budget.tokens.limit = if_any(setup.tokens[i]);
      budget.in_flight_max = if_any(setup.in_flight[i]);
      budget.weight = setup.weights[i];
    }
    return slow;
  }

  void take(const Step& step) {
    switch (step.act) {
      case Act::submit:
        return submit(step);
      case Act::send:
        if (slow_.admitted.empty()) return;
        return send(any_of(slow_.admitted, step));
      case Act::end:
        if (slow_.sent.empty()) return;
        return end(any_of(slow_.sent, step), step);
      case Act::leave:
        return leave(step);
      case Act::wait:
        return wait(std::chrono::milliseconds(step.time));
      case Act::pause:
        return pause(step);
      case Act::limit:
        return limit(step);
    }
  }

  void submit(const Step& step) {
    SlowRequest r;
    r.id = ++last_id_;
    r.key = static_cast<std::size_t>(step.key);
    r.model = static_cast<std::size_t>(step.model);
    r.lane = static_cast<std::size_t>(step.lane);
    r.priority = static_cast<std::size_t>(step.priority);
    r.tokens = step.tokens * (step.large == 7 ? 8 : 1) + 1;
    r.corrects = step.corrects == 1;
    r.arrived = now_ - (step.back < 10 ? std::chrono::seconds(step.back) : 0s);
    if (step.patience > 0 && step.patience < 100) r.deadline = now_ + std::chrono::seconds(step.patience);
    Submission s;
    const auto places = SlowScheduler::waits_at(r);
    s.key = ids_[places[0]];
    s.team = ids_[places[1]];
    s.model = ids_[places[2]];
    s.account = ids_[SlowScheduler::account];
    s.sub_lane = std::to_string(r.lane);
    s.priority = static_cast<Priority>(r.priority);
    s.own.tokens = s.own.input = r.tokens;
    s.own.corrects = r.corrects;
    s.upstream = s.own;
    s.arrived = r.arrived;
    s.deadline = r.deadline;
    if (slow_.owes_too_long(r)) {
      const auto refused = real_.submit(s, now_);
      RC_ASSERT(std::get<Rejection>(refused).reason == Refusal::oversize);
      return;
    }
    slow_.submit(r);
    const auto answer = real_.submit(s, now_);
    if (const auto* rejection = std::get_if<Rejection>(&answer)) {
      RC_ASSERT(rejection->reason == Refusal::deadline);
      RC_ASSERT(rejection->room_at > r.deadline);
      return slow_.withdraw(r.id);
    }
    tickets_[r.id] = std::get<Ticket>(answer);
    names_[std::get<Ticket>(answer).index] = r.id;
  }

  void send(int id) {
    slow_.send(id, now_);
    real_.sent(tickets_.at(id), now_);
  }

  void end(int id, const Step& step) {
    const Tokens expected = slow_.sent.at(id).tokens;
    const auto ending = static_cast<Ending>(step.which % 4);
    const bool known = ending == Ending::cut_off || (ending == Ending::complete && step.large < 6);
    const Tokens came_to = ending == Ending::refused ? 0 : known ? step.tokens : expected;
    slow_.settle(id, came_to, ending, now_);
    real_.settle(tickets_.at(id), known ? used(came_to, 0) : Usage{}, ending, now_);
  }

  void leave(const Step& step) {
    std::map<int, SlowRequest> all = slow_.admitted;
    for (const SlowRequest& r : slow_.waiting) all[r.id] = r;
    if (all.empty()) return;
    const int id = any_of(all, step);
    slow_.withdraw(id);
    real_.withdraw(tickets_.at(id), now_);
  }

  // From wake-up to wake-up. Nobody may have to be woken earlier.
  void wait(Duration time) {
    const Instant end = now_ + time;
    for (dispatch(); real_.next_wakeup() && *real_.next_wakeup() <= end; dispatch()) {
      RC_ASSERT(*real_.next_wakeup() > now_);
      expect_nobody(*real_.next_wakeup() - 1ns);
      now_ = *real_.next_wakeup();
    }
    expect_nobody(end);
    now_ = end;
  }

  void pause(const Step& step) {
    const std::size_t at = limited_[static_cast<std::size_t>(step.which) % limited_.size()];
    UpstreamReport report;
    report.budget = ids_[at];
    report.pause_until = now_ + std::chrono::milliseconds(step.time / 8);
    slow_.budgets[at].paused_until = std::max(slow_.budgets[at].paused_until, *report.pause_until);
    Rng rng(1);
    real_.observe(report, now_, rng);
  }

  // Another figure where there is a limit.
  void limit(const Step& step) {
    SlowBudget& budget = slow_.budgets[static_cast<std::size_t>(step.which) % slow_.budgets.size()];
    if (budget.requests.limit) budget.requests.limit = step.lane + 1;
    if (budget.tokens.limit) budget.tokens.change_limit(step.tokens * 4 + 20, now_);
    if (budget.in_flight_max) budget.in_flight_max = step.priority + 1;
    real_.reconfigure(limits_of(slow_), now_);
  }

  void dispatch() {
    slow_.forget(now_);
    const std::vector<int> gone = slow_.expire(now_);
    std::set<int> expired;
    std::vector<int> admitted;
    for (const Decision& decision : dispatch_all(real_, now_)) {
      const int id = names_.at(decision.ticket.index);
      if (decision.rejection) {
        expired.insert(id);
      } else {
        admitted.push_back(id);
      }
    }
    RC_ASSERT(expired == std::set<int>(gone.begin(), gone.end()));
    compare(admitted);
    RC_ASSERT(real_.dispatch(now_).empty());
  }

  void check_books() {
    RC_ASSERT(real_.queued() == slow_.waiting.size());
    RC_ASSERT(real_.running() == slow_.admitted.size() + slow_.sent.size());
    RC_ASSERT(real_.verify(now_) == "");
    for (std::size_t i = 0; i < slow_.budgets.size(); ++i) {
      const SlowBudget& budget = slow_.budgets[i];
      RC_ASSERT(real_.view(ids_[i], Meter::tokens, now_).used == budget.tokens.used(now_));
      RC_ASSERT(real_.view(ids_[i], Meter::requests, now_).used == budget.requests.used(now_));
      RC_ASSERT(real_.view(ids_[i], Meter::in_flight, now_).used == budget.slots_taken(now_));
    }
  }

  static int any_of(const std::map<int, SlowRequest>& of, const Step& step) {
    return std::next(of.begin(), static_cast<std::ptrdiff_t>(static_cast<std::size_t>(step.which) % of.size()))->first;
  }

  std::vector<BudgetId> ids_;
  std::map<int, Ticket> tickets_;
  std::map<std::uint32_t, int> names_;
  int last_id_ = 0;
};

// Each decides for itself, and they must not differ. Where only one scope beside the account has limits, there is only
// one right order.
class Twins : public Pair {
  using Pair::Pair;
  void compare(const std::vector<int>& admitted) override { RC_ASSERT(admitted == slow_.dispatch(now_)); }
  void expect_nobody(Instant at) override { RC_ASSERT(!slow_.next(at)); }
};

// The slow one judges. A lane that two budgets hold up stands in line at one of them, and the order depends on at
// which; but nobody may pass somebody who could have gone, or who has nowhere else to wait, and whoever can go must.
class Judged : public Pair {
  using Pair::Pair;

  void compare(const std::vector<int>& admitted) override {
    for (const int id : admitted) {
      const std::vector<SlowRequest> heads = slow_.heads();
      const auto one = std::find_if(heads.begin(), heads.end(), [&](const SlowRequest& r) { return r.id == id; });
      RC_ASSERT(one != heads.end());
      RC_ASSERT(slow_.fits(SlowScheduler::account, *one, now_));
      for (const std::size_t at : SlowScheduler::waits_at(*one)) RC_ASSERT(slow_.fits(at, *one, now_));
      for (auto before = heads.begin(); before != one; ++before) {
        const auto held = held_at(heads, *before, now_);
        RC_ASSERT(!held.empty());
        RC_ASSERT((held.size() > 1 || !shares(*one, *held.begin()) || slow_.fits(*held.begin(), *before, now_)));
      }
      slow_.admit(*one);
    }
    expect_nobody(now_);
  }

  void expect_nobody(Instant at) override {
    const std::vector<SlowRequest> heads = slow_.heads();
    for (const SlowRequest& r : heads) {
      const auto places = SlowScheduler::waits_at(r);
      const bool room = std::all_of(places.begin(), places.end(), [&](std::size_t p) { return slow_.fits(p, r, at); });
      if (room && !slow_.fits(SlowScheduler::account, r, at)) return;  // waits for the account, the others behind it
      RC_ASSERT(!held_at(heads, r, at).empty());
    }
  }

  // Where a request may be standing in line: there is no room, or there is none for somebody before it.
  std::set<std::size_t> held_at(const std::vector<SlowRequest>& heads, const SlowRequest& r, Instant at) {
    std::set<std::size_t> held;
    for (const std::size_t place : SlowScheduler::waits_at(r)) {
      for (const SlowRequest& each : heads) {
        if (shares(each, place) && !slow_.fits(place, each, at)) held.insert(place);
        if (each.id == r.id) break;
      }
    }
    return held;
  }
  static bool shares(const SlowRequest& r, std::size_t place) {
    const auto places = SlowScheduler::waits_at(r);
    return std::count(places.begin(), places.end(), place) > 0;
  }
};

RC_GTEST_PROP(SchedulerModel, AgreesWhereKeysHaveLimits, ()) {
  Twins(*any_setup(1)).run(*any_steps());
}
RC_GTEST_PROP(SchedulerModel, AgreesWhereTeamsHaveLimits, ()) {
  Twins(*any_setup(2)).run(*any_steps());
}
RC_GTEST_PROP(SchedulerModel, AgreesWhereModelsHaveLimits, ()) {
  Twins(*any_setup(4)).run(*any_steps());
}
RC_GTEST_PROP(SchedulerModel, IsFairWhereEverythingHasLimits, ()) {
  Judged(*any_setup(7)).run(*any_steps());
}

}  // namespace
}  // namespace weir::admission::test
