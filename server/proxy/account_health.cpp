#include "proxy/account_health.hpp"

#include <algorithm>
#include <utility>

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
  State& state = found->second;
  state.last = symptom;
  state.last_at = now;
  if (states_.size() > troubled_max) {
    states_.erase(std::min_element(states_.begin(), states_.end(), [&](const auto& a, const auto& b) {
      return std::pair(&a.second == &state, a.second.last_at) < std::pair(&b.second == &state, b.second.last_at);
    }));
    troubled_.store(states_.size(), std::memory_order_relaxed);
  }
  return state;
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

void AccountHealth::note_asked(const std::string& upstream, const Symptom& symptom, Duration asked, Instant until,
                               Instant now) {
  const std::lock_guard lock(mutex_);
  State& state = touch(upstream, symptom, now);
  state.refusals = std::max(state.refusals, 1u);
  state.rests_until = std::max(state.rests_until, until);
  if (until < state.asked_until) return;  // it was on its way before
  state.asked = asked;
  state.asked_until = until;
}

std::optional<Instant> AccountHealth::note_failure(const std::string& upstream, const Symptom& symptom,
                                                   const RetrySettings& retry, Instant now) {
  const std::lock_guard lock(mutex_);
  State& state = touch(upstream, symptom, now);
  if (now < state.rests_until) return std::nullopt;  // it was on its way before
  if (++state.failures < failures_max) return std::nullopt;
  if (state.failures == failures_max) state.failing_since = now;
  const unsigned doublings = std::min(state.failures - failures_max, 10u);
  state.rests_until = now + std::min<Duration>(retry.pause_max, first_rest * (1 << doublings));
  state.failing_until = state.rests_until;
  return state.rests_until;
}

Instant AccountHealth::note_no_money(const std::string& upstream, const Symptom& symptom, Instant now) {
  const std::lock_guard lock(mutex_);
  State& state = touch(upstream, symptom, now);
  state.without_money = true;
  state.no_money_until = now + rest_without_money;
  state.rests_until = std::max(state.rests_until, state.no_money_until);
  return state.rests_until;
}

void AccountHealth::note_key_refused(const std::string& upstream, const Symptom& symptom, Instant now) {
  const std::lock_guard lock(mutex_);
  State refused;
  refused.refuses_key = true;
  refused.last = symptom;
  refused.last_at = now;
  touch(upstream, symptom, now) = std::move(refused);
}

std::optional<AccountHealth::State> AccountHealth::state(std::string_view upstream) const {
  if (troubled_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(upstream);
  if (found == states_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> AccountHealth::troubled_below(std::string_view prefix, std::size_t at_most) const {
  std::vector<std::string> names;
  if (troubled_.load(std::memory_order_relaxed) == 0) return names;
  const std::lock_guard lock(mutex_);
  for (auto each = states_.lower_bound(prefix); each != states_.end() && each->first.starts_with(prefix); ++each) {
    if (names.size() == at_most) break;
    names.push_back(each->first);
  }
  return names;
}

}  // namespace weir::proxy
