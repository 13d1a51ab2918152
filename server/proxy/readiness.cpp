#include "proxy/readiness.hpp"

#include "proxy/upstream_answers.hpp"

namespace weir::proxy {
namespace {

bool is_usable(const std::optional<AccountHealth::State>& state, const Settings& settings, net::Instant now) {
  if (!state || !settings.breaker_enabled || state->rests_until <= now) return true;
  if (now < state->no_money_until) return false;
  return state->failing_since == net::Instant::max() || now - state->failing_since < settings.breaker_wait_max;
}

}  // namespace

Readiness readiness_of(const Settings& settings, const AccountHealth& health, net::Instant now) {
  if (settings.upstreams.empty()) return {false, "no upstream is configured"};
  Readiness readiness{false, {}};
  std::string troubles;
  for (const Upstream& upstream : settings.upstreams) {
    const auto state = health.state(upstream.name);
    if (is_usable(state, settings, now)) readiness.ready = true;
    if (state) troubles += (troubles.empty() ? "" : " ") + state_in_words(upstream.name, state, now);
  }
  readiness.reason = readiness.ready ? "ready: " + std::to_string(settings.upstreams.size()) + " upstream(s) configured"
                                     : std::string("no upstream is usable");
  if (!troubles.empty()) readiness.reason += "; " + troubles;
  return readiness;
}

}  // namespace weir::proxy
