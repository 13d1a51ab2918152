// The limits of the settings as budgets of the admission core: which scopes there are, what they are called, and what
// part of an account's limits is this instance's. Pure.
#pragma once

#include <string>

#include "admission/scheduler.hpp"
#include "proxy/choose_upstream.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

// `now` and `unix_time` are the same moment: days begin by the calendar.
admission::Limits admission_limits(const Settings& settings, admission::Instant now,
                                   std::chrono::system_clock::time_point unix_time);

// The name of the budget of an account's model; empty: the model has no limits of its own there.
std::string model_budget_name(const Destination& destination);

// The name of the account that a caller brings to an upstream; no upstream can be called that, '@' stands in no name.
std::string callers_account(const std::string& upstream, std::string_view caller);
// Whether a budget is that of such an account of this caller, or of one of its models.
bool is_of_callers_account(std::string_view budget, std::string_view caller);

// An instance's part of a limit; at least one, or nothing could ever be sent.
std::uint64_t shared_part(std::uint64_t limit, double share);

}  // namespace weir::proxy
