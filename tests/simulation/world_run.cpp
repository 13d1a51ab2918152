#include "simulation/world_run.hpp"

#include "simulation/invariants.hpp"

namespace weir::simulation {
namespace {

// The demand of a world takes minutes, but some libraries come back on the next day when they are told to, three times
// for each of five calls. Who is not served after a month is starved.
constexpr std::chrono::hours patience{24 * 30};
// From SIGTERM until the next process serves: longer than any cancelled call is on its way.
constexpr std::chrono::milliseconds restart_pause{200};

std::string describe(const simulator::Verdict& verdict, Instant when) {
  constexpr const char* words[] = {"none", "requests", "tokens", "concurrency"};
  const auto since = std::chrono::duration<double>(when - world_begins());
  return "the provider refused by " + std::string(words[static_cast<std::size_t>(verdict.refusal)]) + " after " +
         std::to_string(since.count()) + " s: limit " + std::to_string(verdict.limit) + ", used " +
         std::to_string(verdict.used) + ", requested " + std::to_string(verdict.requested);
}

std::string check_limits(const Provider::Books& books, const simulator::Options& options) {
  if (books.refused > 0) return describe(books.last_refusal, books.last_refused_at);
  const auto over = [](const char* what, std::uint64_t largest, std::uint64_t limit) {
    return std::string(what) + " in one window: " + std::to_string(largest) + " of " + std::to_string(limit);
  };
  if (options.tpm > 0 && books.charged.largest() > options.tpm)
    return over("tokens", books.charged.largest(), options.tpm);
  if (options.rpm > 0 && books.requests.largest() > options.rpm)
    return over("requests", books.requests.largest(), options.rpm);
  return {};
}

// Failures of the upstream's own are repeated within a tenth of what comes in, and a floor.
std::string check_retries(const Gateway::Counts& counts) {
  if (counts.repeated <= counts.received / 10 + 10) return {};
  return "a storm of retries: " + std::to_string(counts.repeated) + " beside " + std::to_string(counts.received) +
         " calls";
}

// While everybody is turned away one call looks now and then whether it is over.
std::string check_knocks(const Provider::Books& books, const std::vector<Outage>& outages) {
  double most = 0;
  for (const Outage& outage : outages)
    most += 3 + 10 * std::chrono::duration<double>(outage.end - outage.begin).count();
  if (static_cast<double>(books.knocks) <= most) return {};
  return std::to_string(books.knocks) + " calls knocked at a closed door";
}

}  // namespace

Result run(const Scenario& scenario, std::uint64_t seed) {
  EventLoop loop(world_begins());
  Provider provider(loop, scenario.provider, seed);
  Gateway gateway(loop, provider, scenario.gateway, seed + 1);
  Agents agents(loop, gateway, seed + 2);
  const bool limits_stay = scenario.reloads.empty() && scenario.provider.outages.empty() && scenario.exact;
  Invariants invariants(loop, gateway, limits_stay && scenario.restarts.empty());
  for (const Agent& agent : scenario.agents) agents.add(agent);
  for (const Scenario::Reload& reload : scenario.reloads) {
    loop.at(reload.when, [&gateway, limits = reload.limits] { gateway.reconfigure(limits); });
  }
  for (const Scenario::Restart& restart : scenario.restarts) {
    loop.at(restart.when, [&gateway, memory = restart.memory] { gateway.restart(memory, restart_pause); });
  }
  while (loop.step(world_begins() + patience) && invariants.wrong().empty()) continue;

  Result result;
  result.callers = agents.counts();
  result.calls = gateway.counts();
  result.refused_by_provider = provider.books().refused;
  result.took = agents.last_answer() - world_begins();
  result.wrong = invariants.wrong();
  if (result.wrong.empty() && agents.busy() > 0)
    result.wrong = std::to_string(agents.busy()) + " callers were never answered";
  if (result.wrong.empty()) invariants.check_at_rest();
  if (result.wrong.empty()) result.wrong = invariants.wrong();
  if (result.wrong.empty() && scenario.exact) result.wrong = check_limits(provider.books(), scenario.provider.options);
  if (result.wrong.empty()) result.wrong = check_retries(result.calls);
  if (result.wrong.empty()) result.wrong = check_knocks(provider.books(), scenario.provider.outages);
  result.checks = invariants.checks();
  result.oversize = invariants.oversize();
  return result;
}

}  // namespace weir::simulation
