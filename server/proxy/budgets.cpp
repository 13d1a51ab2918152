#include "proxy/budgets.hpp"

#include <algorithm>
#include <cmath>

#include "proxy/batch_service.hpp"

namespace weir::proxy {
namespace {

using admission::BudgetLimits;
using admission::Instant;
using admission::Meter;
using admission::Scope;
using SystemTime = std::chrono::system_clock::time_point;

Instant next_day(Instant now, SystemTime unix_time, Duration day_reset) {
  using namespace std::chrono;
  const auto since_midnight = unix_time - floor<days>(unix_time);
  auto until = duration_cast<milliseconds>(day_reset) - duration_cast<milliseconds>(since_midnight);
  if (until <= milliseconds::zero()) until += hours(24);
  return now + until;
}

BudgetLimits budget(Scope scope, std::string name, const Limits& limits, double share, Instant now,
                    SystemTime unix_time) {
  BudgetLimits budget;
  budget.scope = scope;
  budget.name = std::move(name);
  const auto set = [&](Meter meter, const std::optional<std::uint64_t>& limit) {
    if (limit)
      budget.limits[static_cast<std::size_t>(meter)] = static_cast<admission::Tokens>(shared_part(*limit, share));
  };
  set(Meter::requests, limits.rpm);
  set(Meter::tokens, limits.tpm);
  set(Meter::input, limits.input_tpm);
  set(Meter::output, limits.output_tpm);
  set(Meter::requests_day, limits.rpd);
  set(Meter::tokens_day, limits.tpd);
  set(Meter::in_flight, limits.concurrency);
  budget.window = limits.window;
  budget.guard = limits.guard;
  budget.pacing = limits.pacing;
  if (limits.burst) budget.burst = static_cast<admission::Tokens>(shared_part(*limits.burst, share));
  budget.day_resets = next_day(now, unix_time, limits.day_reset);
  return budget;
}

std::string model_budget_name(const std::string& upstream, const std::string& model) {
  return upstream + '/' + model;
}

}  // namespace

std::uint64_t shared_part(std::uint64_t limit, double share) {
  if (share >= 1) return limit;
  // The small addition undoes what binary fractions lose: a tenth of ten is one.
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::floor(static_cast<double>(limit) * share + 1e-6)));
}

std::string model_budget_name(const Destination& destination) {
  if (!destination.profile || !destination.profile->limits.any()) return {};
  return model_budget_name(destination.upstream->name, destination.profile->name);
}

std::string callers_account(const std::string& upstream, std::string_view caller) {
  return upstream + '@' + std::string(caller);
}

bool is_of_callers_account(std::string_view budget, std::string_view caller) {
  const std::size_t at = budget.find('@');
  if (at == std::string_view::npos || !budget.substr(at + 1).starts_with(caller)) return false;
  const std::string_view rest = budget.substr(at + 1 + caller.size());
  return rest.empty() || rest.front() == '/';
}

admission::Limits admission_limits(const Settings& settings, Instant now, SystemTime unix_time) {
  admission::Limits limits;
  limits.requests_max = settings.queue.requests_max;
  limits.bytes_max = settings.queue.bytes_max;
  limits.oversize = settings.queue.refuse_oversize ? admission::Oversize::refuse : admission::Oversize::alone;
  limits.learn = {settings.learn.enabled, static_cast<admission::Tokens>(settings.learn.start), settings.learn.keep};
  const bool some_batch = std::any_of(settings.upstreams.begin(), settings.upstreams.end(),
                                      [](const Upstream& upstream) { return upstream.batch.has_value(); });
  const auto add = [&](Scope scope, const std::string& name, const Limits& of, double share) -> BudgetLimits& {
    return limits.budgets.emplace_back(budget(scope, name, of, share, now, unix_time));
  };
  const auto add_caller = [&](Scope scope, const std::string& name, const Limits& of, unsigned weight) {
    add(scope, name, of, 1).weight = weight;
    if (some_batch) add(scope, batch_budget_name(name), batch_part(of), 1).weight = weight;
  };
  for (const ClientKey& key : settings.clients.keys) add_caller(Scope::key, key.name, key.limits, key.weight);
  for (const Team& team : settings.clients.teams) add_caller(Scope::team, team.name, team.limits, team.weight);
  for (const Upstream& upstream : settings.upstreams) {
    add(Scope::account, upstream.name, upstream.limits, upstream.share);
    if (upstream.batch) add(Scope::account, batch_budget_name(upstream.name), upstream.batch->limits, upstream.share);
    for (const ModelProfile& model : upstream.models) {
      if (model.limits.any())
        add(Scope::model, model_budget_name(upstream.name, model.name), model.limits, upstream.share);
    }
  }
  return limits;
}

}  // namespace weir::proxy
