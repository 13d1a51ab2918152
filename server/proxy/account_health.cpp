#include "proxy/account_health.hpp"

#include <algorithm>

namespace weir::proxy {
namespace {

using net::Instant;

// Fewer may be the fault of one caller's requests.
constexpr unsigned failures_max = 5;
constexpr std::chrono::seconds first_rest{1};
// A balance is topped up by people.
constexpr std::chrono::seconds rest_without_money{60};

}  // namespace

AccountHealth::State& AccountHealth::touch(const std::string& upstream, const Symptom& symptom, Instant now) {
  const auto [found, added] = states_.try_emplace(upstream);
  if (added) troubled_.store(states_.size(), std::memory_order_relaxed);
  found->second.last = symptom;
  found->second.last_at = now;
  return found->second;
}

void AccountHealth::forget(std::string_view upstream) {
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(upstream);
  if (found == states_.end()) return;
  states_.erase(found);
  troubled_.store(states_.size(), std::memory_order_relaxed);
}

unsigned AccountHealth::note_refusal(const std::string& upstream, const Symptom& symptom, Instant now) {
  const std::lock_guard lock(mutex_);
  State& state = touch(upstream, symptom, now);
  if (now >= state.rests_until || state.refusals == 0) ++state.refusals;
  return state.refusals;
}

void AccountHealth::note_rest(const std::string& upstream, Instant until) {
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(upstream);
  if (found != states_.end()) found->second.rests_until = std::max(found->second.rests_until, until);
}

std::optional<Instant> AccountHealth::note_failure(const std::string& upstream, const Symptom& symptom,
                                                   const RetrySettings& retry, Instant now) {
  const std::lock_guard lock(mutex_);
  State& state = touch(upstream, symptom, now);
  if (now < state.rests_until) return std::nullopt;  // it was on its way before
  if (++state.failures < failures_max) return std::nullopt;
  const unsigned doublings = std::min(state.failures - failures_max, 10u);
  state.rests_until = now + std::min<Duration>(retry.pause_max, first_rest * (1 << doublings));
  return state.rests_until;
}

Instant AccountHealth::note_no_money(const std::string& upstream, const Symptom& symptom, Instant now) {
  const std::lock_guard lock(mutex_);
  State& state = touch(upstream, symptom, now);
  state.without_money = true;
  state.rests_until = std::max(state.rests_until, now + rest_without_money);
  return state.rests_until;
}

std::optional<AccountHealth::State> AccountHealth::state(std::string_view upstream) const {
  if (troubled_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(upstream);
  if (found == states_.end()) return std::nullopt;
  return found->second;
}

}  // namespace weir::proxy
