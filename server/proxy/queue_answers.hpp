// What the queue and the budgets look like from outside: to operators GET /weir/queue, /weir/budgets and the levels in
// /metrics, to callers what is theirs of it.
#pragma once

#include <string>

#include "admission/scheduler.hpp"
#include "observe/metrics.hpp"
#include "proxy/admission_gate.hpp"
#include "proxy/settings.hpp"
#include "proxy/why.hpp"

namespace weir::proxy {

// Of those who wait, so many are listed: more than anybody reads, and the lock is held while they are looked at.
constexpr std::size_t waiting_shown_max = 1000;

// The first of the waiting: whose and which request, as in the log, for which limit, at which position, predicted
// start.
std::string queue_json(AdmissionGate& gate, admission::Instant now);
// Limit, used, reserved and debt of every meter that has a limit, by scope. Where callers bring accounts of their own,
// an upstream's are those that each of them has: "of_each_caller". Upstreams' and models' are this instance's "share".
std::string budgets_json(admission::Scheduler& scheduler, const Settings& settings, admission::Instant now);
// One budget as a JSON object of that list.
std::string budget_json(admission::Scheduler& scheduler, admission::BudgetId id, admission::Instant now);
// Why a request in line waits. `next`: whose request is the first, for those behind it.
WhyWaiting why_of(admission::Scheduler& scheduler, const admission::WaitingView& view, admission::Instant now,
                  std::string_view next = {});
// Where a request stands, as members of a JSON object: lane, priority, position, waits, what it waits for and why.
// `next`: whose request is the first in line, for operators; empty: not told.
std::string place_members(admission::Scheduler& scheduler, const admission::WaitingView& view, admission::Instant now,
                          std::string_view next = {});
observe::Levels levels_of(admission::Scheduler& scheduler, admission::Instant now);

}  // namespace weir::proxy
