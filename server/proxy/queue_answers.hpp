// What operators see of the queue and the budgets: GET /weir/queue, /weir/budgets, and the levels in /metrics.
#pragma once

#include <string>

#include "admission/scheduler.hpp"
#include "observe/metrics.hpp"

namespace weir::proxy {

// The first 1,000 waiting: who, for which limit, at which position, predicted start.
std::string queue_json(admission::Scheduler& scheduler, admission::Instant now);
// Limit, used, reserved and debt of every meter that has a limit, by scope.
std::string budgets_json(admission::Scheduler& scheduler, admission::Instant now);
observe::Levels levels_of(admission::Scheduler& scheduler, admission::Instant now);

}  // namespace weir::proxy
