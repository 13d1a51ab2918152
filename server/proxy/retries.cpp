#include "proxy/retries.hpp"

#include <random>

namespace weir::proxy {

Retries::Retries() : rng_(std::random_device{}()) {}

void Retries::note_first_try(const std::string& upstream) {
  const std::lock_guard lock(mutex_);
  budgets_[upstream].note_first_try();
}

admission::NextTry Retries::next_try(const std::string& upstream, const admission::Attempted& attempted,
                                     const admission::RetryRules& rules, admission::Instant now) {
  const std::lock_guard lock(mutex_);
  return admission::next_try(attempted, rules, budgets_[upstream], now, rng_);
}

bool Retries::take(const std::string& upstream) {
  const std::lock_guard lock(mutex_);
  return budgets_[upstream].take();
}

double Retries::left(std::string_view upstream) const {
  const std::lock_guard lock(mutex_);
  const auto found = budgets_.find(upstream);
  return found == budgets_.end() ? admission::RetryBudget().left() : found->second.left();
}

}  // namespace weir::proxy
