#include "proxy/own_api.hpp"

#include <algorithm>

#include "net/hex.hpp"
#include "protocol/error_body.hpp"
#include "proxy/batch_service.hpp"
#include "proxy/budgets.hpp"
#include "proxy/queue_answers.hpp"
#include "proxy/route.hpp"
#include "proxy/route_hints.hpp"

namespace weir::proxy {
namespace {

using admission::Scheduler;
using admission::Scope;
using net::Clock;
using protocol::json_quote;

constexpr std::string_view me_path = "/v1/weir/me";
constexpr std::string_view requests_path = "/v1/weir/requests/";

// Of the accounts that the caller brings, and of their models, what has a limit.
std::string budgets_of_own_accounts(Scheduler& scheduler, const Client& client, admission::Instant now) {
  std::string out;
  for (admission::BudgetId id = 0; id < scheduler.budget_count(); ++id) {
    const admission::BudgetLimits& limits = scheduler.limits_of(id);
    if (!is_of_callers_account(limits.name, client.name)) continue;
    const bool limited = std::any_of(limits.limits.begin(), limits.limits.end(), [](const auto& one) { return one; });
    if (limited) out += (out.empty() ? "" : ",") + budget_json(scheduler, id, now);
  }
  return out;
}

std::string own_budgets(Scheduler& scheduler, const Client& client) {
  const auto now = Clock::now();
  if (!client.key) return budgets_of_own_accounts(scheduler, client, now);
  std::string out;
  const auto add = [&](Scope scope, const std::string& name) {
    if (name.empty()) return;
    out += (out.empty() ? "" : ",") + budget_json(scheduler, scheduler.budget(scope, name), now);
    // That of calls which are counted apart, where a provider has such.
    const std::string batch = batch_budget_name(name);
    for (admission::BudgetId id = 0; id < scheduler.budget_count(); ++id) {
      const admission::BudgetLimits& limits = scheduler.limits_of(id);
      if (limits.scope == scope && limits.name == batch) out += ',' + budget_json(scheduler, id, now);
    }
  };
  add(Scope::key, client.key->name);
  add(Scope::team, client.key->team);
  return out;
}

std::string me_json(const Client& client, AdmissionGate& gate, const observe::CallerHistory& history) {
  std::string requests;
  gate.each_waiting(client.identity, waiting_shown_max,
                    [&](Scheduler& scheduler, const std::string& id, const admission::WaitingView& place) {
                      requests += (requests.empty() ? "" : ",") + std::string(R"({"id":)") + json_quote(id) + ',' +
                                  place_members(scheduler, place, Clock::now()) + '}';
                    });
  const std::string budgets = gate.with([&](Scheduler& scheduler) { return own_budgets(scheduler, client); });
  return R"({"schema":1,"client":)" + json_quote(client.name) + R"(,"budgets":[)" + budgets + R"(],"requests":[)" +
         requests + R"(],"recent":)" + history.json(client.identity) + "}";
}

}  // namespace

std::variant<std::string, Refusal> answer_own(std::string_view method, std::string_view path, const Client& client,
                                              AdmissionGate& gate, const observe::CallerHistory& history) {
  if (client.anonymous) return refuse_key(KeyFault::anonymous);
  if (path == me_path && (method == "GET" || method == "HEAD")) return me_json(client, gate, history);
  if (method == "DELETE" && path.size() > requests_path.size() && path.starts_with(requests_path)) {
    const std::string id = net::percent_decoded(path.substr(requests_path.size()));
    if (!gate.give_up({client.identity, id, {}})) return nothing_waits(id);
    return R"({"schema":1,"id":)" + json_quote(id) + R"(,"given_up":true})";
  }
  return unknown_route(method, path, client_route_hint(path));
}

}  // namespace weir::proxy
