// A request as the admission core sees it: which budgets it counts against, what it will cost each side, where it
// stands in line and how long it may wait. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "admission/scheduler.hpp"
#include "net/head.hpp"
#include "protocol/request_view.hpp"
#include "proxy/authenticate.hpp"
#include "proxy/charge.hpp"
#include "proxy/choose_upstream.hpp"

namespace weir::proxy {

// The names of what a request counts against; a team or model without a name has no budget.
struct BudgetNames {
  std::string key, team, account, model;
  // Whose limits account and model have, where every caller brings an account of their own; else empty.
  std::string account_like, model_like;
  bool model_configured = false;  // else it has no limits but those that are learned
};
// `model`: the id that is sent, where limits are to be learned for it; else empty.
BudgetNames budget_names(const Client& client, const Destination& destination, ClientMode mode,
                         std::string_view model = {});
// The budgets of these names; no_budget: there is none, or clients name too many models.
struct BudgetIds {
  admission::BudgetId key = admission::no_budget, team = admission::no_budget;
  admission::BudgetId account = admission::no_budget, model = admission::no_budget;
};
BudgetIds budget_ids(const BudgetNames& names, admission::Scheduler& scheduler);
// Whether nothing is known of what this destination takes, so that calls at once are ramped up.
bool ramps_up(const Destination& destination);

// What the caller's own budgets count: what was really used, reserved by the estimate.
admission::Cost own_cost(const ChargePlan& plan, std::uint64_t expected_output);
// What the upstream's budgets count, by its charge rule. `reserves_cap`: hold the most the call can produce.
admission::Cost upstream_cost(const ChargePlan& plan, std::uint64_t expected_output, bool reserves_cap);

// Who has the key that a call counts against: one caller, all who bring the same account, or everybody.
enum class KeyOf : std::uint8_t { one, each_account, everybody };
KeyOf key_of(const Client& client, ClientMode mode);
// The lane inside the key: named by the caller, else by the end user in the body, else (where several share the key) by
// the address. Where everybody shares it only callers on this machine may name lanes: another one would have as many
// shares as it invents names.
std::string sub_lane_of(const net::MessageHead& head, const protocol::RequestView& view, KeyOf key,
                        const std::string& address);

// What another weir should take for the caller's lane: the one it named, else its key, which only this weir knows.
std::string_view named_lane_of(const net::MessageHead& head, const Client& client);

// "interactive", "normal", "background".
std::string_view word_of(admission::Priority priority);

// x-weir-priority can only lower what the key allows.
admission::Priority priority_of(const net::MessageHead& head, const Client& client);

// Tokens a call holds at the moment it is sent: x-weir-reserved-tokens.
std::uint64_t reserved_tokens(const admission::Cost& cost);

}  // namespace weir::proxy
