#include "proxy/queue_answers.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/error_body.hpp"
#include "proxy/admission_refusal.hpp"

namespace weir::proxy {
namespace {

using admission::Meter;
using protocol::json_quote;

std::string ms_text(std::chrono::nanoseconds duration) {
  return std::to_string(std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(duration).count()));
}

std::string name_of(const admission::Scheduler& scheduler, admission::BudgetId budget) {
  return budget == admission::no_budget ? "null" : json_quote(scheduler.limits_of(budget).name);
}

// As it was configured: this instance's part of the limits, which `limit` is already.
std::string share_of(const Settings& settings, std::string_view budget) {
  // "ark-1", "ark-1/batch", "ark-1/deepseek-r1", each also of a caller: "ark-1@key-1a2b3c4d". No name of an account
  // has either sign in it.
  const std::string_view account = budget.substr(0, budget.find_first_of("/@"));
  double share = 1;
  for (const Upstream& upstream : settings.upstreams) {
    if (upstream.name == account) share = upstream.share;
  }
  std::array<char, 32> digits;
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), share).ptr};
}

}  // namespace

WhyWaiting why_of(admission::Scheduler& scheduler, const admission::WaitingView& view, admission::Instant now,
                  std::string_view next) {
  WhyWaiting why;
  if (view.blocked_on != admission::no_budget) {
    why.budget = &scheduler.limits_of(view.blocked_on);
    const admission::MeterView meter = scheduler.view(view.blocked_on, view.meter, now);
    why.taken = meter.used + meter.reserved;
    if (view.starts_at <= scheduler.left_alone_until(view.blocked_on)) why.pause.emplace();
  }
  why.meter = view.meter;
  why.by = view.by;
  why.needs = view.needs;
  why.ahead = view.position - 1;
  why.next = next;
  if (view.starts_at != admission::never) {
    why.starts_in = std::chrono::ceil<std::chrono::milliseconds>(view.starts_at - now);
  }
  return why;
}

std::string place_members(admission::Scheduler& scheduler, const admission::WaitingView& view, admission::Instant now,
                          std::string_view next) {
  constexpr std::string_view priorities[] = {"interactive", "normal", "background"};
  std::string out = R"("lane":)" + json_quote(view.sub_lane) + R"(,"priority":")";
  out += priorities[static_cast<std::size_t>(view.priority)];
  out += R"(","upstream":)" + name_of(scheduler, view.account) + R"(,"position":)" + std::to_string(view.position) +
         R"(,"waited_ms":)" + ms_text(now - view.arrived) + R"(,"starts_in_ms":)" + ms_text(view.starts_at - now) +
         R"(,"bytes":)" + std::to_string(view.bytes);
  if (view.blocked_on != admission::no_budget) {
    out += R"(,"waits_for":{"scope":")" + std::string(word_of(scheduler.limits_of(view.blocked_on).scope)) +
           R"(","name":)" + name_of(scheduler, view.blocked_on) + R"(,"meter":")" + std::string(word_of(view.meter)) +
           R"("})";
  }
  return out + R"(,"why":)" + json_quote("It " + why_waiting(why_of(scheduler, view, now, next)) + ".");
}

std::string queue_json(AdmissionGate& gate, admission::Instant now) {
  return gate.with([&](admission::Scheduler& scheduler) {
    std::string out = R"({"schema":1,"waiting":)" + std::to_string(scheduler.queued()) + R"(,"bytes":)" +
                      std::to_string(scheduler.queued_bytes()) + R"(,"running":)" +
                      std::to_string(scheduler.running()) + R"(,"requests":[)";
    std::string_view next;  // whose request is the first in line, for those behind it
    bool first = true;
    for (const admission::WaitingView& view : scheduler.waiting(now, waiting_shown_max)) {
      const Owner owner = gate.owner_of(view.ticket);
      out += (first ? R"({"id":)" : R"(,{"id":)") + json_quote(owner.request_id) + R"(,"key":)" +
             json_quote(owner.shown) + ',' + place_members(scheduler, view, now, next) + '}';
      if (first) next = owner.shown;
      first = false;
    }
    return out + "]}";
  });
}

std::string budget_json(admission::Scheduler& scheduler, admission::BudgetId id, admission::Instant now) {
  const admission::BudgetLimits& limits = scheduler.limits_of(id);
  std::string out = R"({"scope":")" + std::string(word_of(limits.scope)) + R"(","name":)" + json_quote(limits.name) +
                    R"(,"window_ms":)" + ms_text(limits.window) + R"(,"meters":{)";
  bool first = true;
  for (std::size_t i = 0; i < admission::meter_count; ++i) {
    const auto meter = static_cast<Meter>(i);
    const admission::MeterView view = scheduler.view(id, meter, now);
    if (!view.limit) continue;
    out += (first ? "" : ",") + json_quote(word_of(meter)) + R"(:{"limit":)" + std::to_string(*view.limit) +
           R"(,"used":)" + std::to_string(view.used) + R"(,"reserved":)" + std::to_string(view.reserved) +
           R"(,"debt":)" + std::to_string(view.debt) + R"(,"full_in_ms":)" + ms_text(view.full_in) + "}";
    first = false;
  }
  return out + "}}";
}

std::string budgets_json(admission::Scheduler& scheduler, const Settings& settings, admission::Instant now) {
  std::string out = R"({"schema":1,"budgets":[)";
  for (admission::BudgetId id = 0; id < scheduler.budget_count(); ++id) {
    std::string budget = budget_json(scheduler, id, now);
    const admission::BudgetLimits& limits = scheduler.limits_of(id);
    const bool of_upstream = limits.scope == admission::Scope::account || limits.scope == admission::Scope::model;
    const bool of_caller = limits.name.find('@') != std::string::npos;
    if (settings.clients.mode == ClientMode::pass_through && of_upstream && !of_caller)
      budget.insert(1, R"("of_each_caller":true,)");
    if (of_upstream) budget.insert(1, R"("share":)" + share_of(settings, limits.name) + ',');
    out += (id == 0 ? "" : ",") + budget;
  }
  return out + "]}";
}

observe::Levels levels_of(admission::Scheduler& scheduler, admission::Instant now) {
  observe::Levels levels;
  levels.queue_requests = scheduler.queued();
  levels.queue_bytes = scheduler.queued_bytes();
  levels.running = scheduler.running();
  for (admission::BudgetId id = 0; id < scheduler.budget_count(); ++id) {
    const admission::BudgetLimits& limits = scheduler.limits_of(id);
    for (std::size_t i = 0; i < admission::meter_count; ++i) {
      const auto meter = static_cast<Meter>(i);
      const admission::MeterView view = scheduler.view(id, meter, now);
      if (!view.limit) continue;
      levels.budgets.push_back({std::string(word_of(limits.scope)), limits.name, std::string(word_of(meter)),
                                *view.limit, view.used, view.reserved, view.debt});
    }
  }
  return levels;
}

}  // namespace weir::proxy
