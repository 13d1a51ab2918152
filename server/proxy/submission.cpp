#include "proxy/submission.hpp"

#include <algorithm>
#include <utility>

#include "net/loopback.hpp"
#include "proxy/batch_service.hpp"
#include "proxy/budgets.hpp"

namespace weir::proxy {
namespace {

using admission::LaterCharge;
using admission::Priority;
using admission::Scheduler;
using admission::Scope;
using admission::tokens_of;

constexpr std::string_view priority_words[admission::priority_count] = {"interactive", "normal", "background"};

std::optional<Priority> priority_named(std::string_view name) {
  for (std::size_t i = 0; i < admission::priority_count; ++i) {
    if (name == priority_words[i]) return static_cast<Priority>(i);
  }
  return std::nullopt;
}

std::string_view named_lane(const net::MessageHead& head) {
  for (const char* name : {"x-weir-lane", "x-gateway-inference-fairness-id"}) {
    if (const std::string_view named = head.value_of(name); !named.empty()) return named.substr(0, 128);
  }
  return {};
}

std::uint64_t bounded(std::uint64_t expected, const std::optional<std::uint64_t>& cap) {
  return cap ? std::min(expected, *cap) : expected;
}

}  // namespace

BudgetNames budget_names(const Client& client, const Destination& destination, ClientMode mode,
                         std::string_view model) {
  BudgetNames names;
  // Without keys everybody shares one budget; whoever calls has a lane in it.
  names.key = client.key ? client.key->name : "open";
  if (client.key) names.team = client.key->team;
  names.account = destination.upstream->name;
  if (destination.batch) {
    for (std::string* name : {&names.key, &names.team, &names.account}) {
      if (!name->empty()) *name = batch_budget_name(*name);
    }
  } else {
    names.model = model_budget_name(destination);
    names.model_configured = !names.model.empty();
  }
  if (mode == ClientMode::pass_through)
    names.account_like = std::exchange(names.account, callers_account(names.account, client.name));
  // Clients invent names: what is too long to be one has no budget of its own.
  constexpr std::size_t name_max = 128;
  if (!names.model_configured && !destination.batch && !model.empty() && model.size() <= name_max) {
    names.model = names.account + '/';
    names.model += model;
    return names;
  }
  if (mode != ClientMode::pass_through) return names;
  if (!names.model.empty()) {
    names.model_like = std::exchange(names.model, names.account + names.model.substr(names.account_like.size()));
  }
  return names;
}

bool ramps_up(const Destination& destination) {
  const auto known = [](const Limits& limits) { return limits.any() || limits.concurrency_said; };
  return !destination.batch && !known(destination.upstream->limits) &&
         !(destination.profile && known(destination.profile->limits));
}

BudgetIds budget_ids(const BudgetNames& names, Scheduler& scheduler) {
  const auto named = [&](Scope scope, const std::string& name, const std::string& like) {
    if (name.empty()) return admission::no_budget;
    if (like.empty()) return scheduler.budget(scope, name);
    return scheduler.budget_like(name, scheduler.budget(scope, like));
  };
  BudgetIds ids;
  ids.key = named(Scope::key, names.key, {});
  ids.team = named(Scope::team, names.team, {});
  ids.account = named(Scope::account, names.account, names.account_like);
  const bool learns_only = !names.model.empty() && !names.model_configured;
  ids.model = learns_only ? scheduler.budget_of_model(names.model, ids.account)
                          : named(Scope::model, names.model, names.model_like);
  return ids;
}

admission::Cost own_cost(const ChargePlan& plan, std::uint64_t expected_output) {
  admission::Cost cost;
  cost.tokens = cost.input = tokens_of(plan.input_tokens);
  cost.later = LaterCharge::as_produced;
  cost.later_output = tokens_of(bounded(expected_output, plan.output_cap));
  cost.output_max = plan.output_cap ? tokens_of(*plan.output_cap) : 0;
  cost.corrects = true;
  return cost;
}

admission::Cost upstream_cost(const ChargePlan& plan, std::uint64_t expected_output, bool reserves_cap) {
  admission::Cost cost;
  const std::uint64_t expected = bounded(expected_output, plan.output_cap);
  cost.output_max = plan.output_cap ? tokens_of(*plan.output_cap) : 0;
  cost.cached_input_free = plan.cached_free;
  switch (plan.rule) {
    case ChargeRule::max_or_estimate:
    case ChargeRule::estimate_plus_max:
      cost.tokens = tokens_of(plan.fixed_on_arrival);
      cost.input = tokens_of(plan.input_upper);
      cost.output = tokens_of(plan.output_cap.value_or(expected));
      return cost;
    case ChargeRule::input_then_output:
      cost.tokens = cost.input = tokens_of(plan.input_upper);
      cost.later = LaterCharge::as_produced;
      cost.corrects = true;
      break;
    case ChargeRule::actual:
      cost.later = LaterCharge::at_end;
      cost.later_input = tokens_of(plan.input_upper);
      break;
    case ChargeRule::none:
      return cost;
  }
  cost.later_output = tokens_of(expected);
  if (reserves_cap && plan.output_cap) {
    cost.later_output = tokens_of(*plan.output_cap);
    cost.lump = true;
  }
  return cost;
}

std::string sub_lane_of(const net::MessageHead& head, const protocol::RequestView& view, KeyOf key,
                        const std::string& address) {
  if (key == KeyOf::everybody && !net::is_loopback_address(address)) return "from:" + address;
  if (const std::string_view lane = named_lane(head); !lane.empty()) return "lane:" + std::string(lane);
  if (!view.user.empty()) return "user:" + view.user.substr(0, 128);
  return key == KeyOf::one ? std::string() : "from:" + address;
}

KeyOf key_of(const Client& client, ClientMode mode) {
  if (client.key) return KeyOf::one;
  return mode == ClientMode::pass_through ? KeyOf::each_account : KeyOf::everybody;
}

std::string_view named_lane_of(const net::MessageHead& head, const Client& client) {
  const std::string_view lane = named_lane(head);
  return lane.empty() && client.key ? std::string_view(client.name) : lane;
}

std::string_view word_of(Priority priority) {
  return priority_words[static_cast<std::size_t>(priority)];
}

Priority priority_of(const net::MessageHead& head, const Client& client) {
  const Priority allowed =
      client.key ? priority_named(client.key->priority).value_or(Priority::interactive) : Priority::interactive;
  const auto asked = priority_named(head.value_of("x-weir-priority"));
  return asked ? std::max(allowed, *asked) : allowed;
}

std::uint64_t reserved_tokens(const admission::Cost& cost) {
  return static_cast<std::uint64_t>(std::max(cost.tokens, cost.input + cost.output) + cost.later_input +
                                    cost.later_output);
}

}  // namespace weir::proxy
