// What must hold in every world, looked at from outside while it runs: nobody waits while everything has room, nobody
// is overtaken in their own lane, no key, team or model goes beyond its own limits of windows and days, who is larger
// than a limit goes alone and pays for it, nobody knocks while the provider wants to be left alone, the books balance.
// Notes the first thing that is wrong.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "simulation/gateway.hpp"
#include "simulator/window_log.hpp"

namespace weir::simulation {

class Invariants {
 public:
  // `limits_stay`: no reload changes them, and no call is refused: what was sent in a window can be told from outside.
  Invariants(EventLoop& loop, Gateway& gateway, bool limits_stay);

  const std::string& wrong() const { return wrong_; }  // "": nothing
  // Nothing runs and nothing waits any more: nothing may be held.
  void check_at_rest();
  std::uint64_t checks() const { return checks_; }
  // Calls that were larger than a limit of their key, team or model.
  std::uint64_t oversize() const { return oversize_; }

 private:
  void after_dispatch();
  void check_work_is_conserved();
  using EachBudget = std::function<void(admission::Scope, const std::string& name, std::uint32_t Call::* owner)>;
  using EachLimits = std::function<void(const admission::BudgetLimits&, const admission::Cost&)>;
  void each_own_limits(const Gateway::Exchange& exchange, const EachLimits& each);
  void each_own_budget(const Call& call, const EachBudget& each);
  void check_admission(const Gateway::Exchange& admitted);
  void check_own_lane(const Gateway::Exchange& admitted);
  void check_slots(const Gateway::Exchange& admitted);
  void check_own_limits(const Gateway::Exchange& admitted);
  void check_size(const admission::BudgetLimits& limits, const admission::Cost& cost);
  void check_days(const admission::BudgetLimits& limits, const admission::Cost& cost);
  void check_debt(const admission::BudgetLimits& limits, const admission::Cost& cost);
  admission::MeterView view_of(const admission::BudgetLimits& limits, admission::Meter meter);
  void note_sending(const Gateway::Exchange& sent);
  void count_in_window(const admission::BudgetLimits& limits);
  void count_in_day(const admission::BudgetLimits& limits);
  void note_debt(const admission::BudgetLimits& limits, const admission::Cost& cost);
  bool has_room(admission::BudgetId budget, const admission::Cost& largest);
  void note(const std::string& what);

  EventLoop& loop_;
  Gateway& gateway_;
  bool limits_stay_;
  std::map<std::string, simulator::WindowLog> sent_;           // requests, by budget
  std::map<std::pair<std::string, int>, Tokens> sent_in_day_;  // requests, by budget and day
  std::map<std::string, Instant> owes_until_;                  // by budget: who was larger than its limit
  std::string wrong_;
  std::uint64_t dispatches_ = 0, admissions_ = 0, checks_ = 0, oversize_ = 0;
  std::optional<Instant> idle_since_;
};

}  // namespace weir::simulation
