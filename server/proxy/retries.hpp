// When a failed call may be tried again: the policy of the core with what it needs from here, a budget per upstream and
// chance. One for the process, thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "admission/retry_policy.hpp"

namespace weir::proxy {

class Retries {
 public:
  Retries();
  void note_first_try(const std::string& upstream);
  admission::NextTry next_try(const std::string& upstream, const admission::Attempted& attempted,
                              const admission::RetryRules& rules, admission::Instant now);
  // One of the budget, whatever else the policy says; false: used up.
  bool take(const std::string& upstream);
  // Failed calls of this upstream that may be repeated now.
  double left(std::string_view upstream) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, admission::RetryBudget, std::less<>> budgets_;
  admission::Rng rng_;
};

}  // namespace weir::proxy
