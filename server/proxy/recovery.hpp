// After a try that came to nothing: what the account is told (it is left alone, or given a rest), and whether and when
// the call is tried again. One per exchange; decides, sends nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admission/retry_policy.hpp"
#include "proxy/account_health.hpp"
#include "proxy/cause.hpp"
#include "proxy/turn.hpp"

namespace weir::proxy {

class Recovery {
 public:
  using Verdict = admission::NextTry::Verdict;

  Recovery(Session& session, Turn& turn, const Settings& settings)
      : session_(session), turn_(turn), settings_(settings) {}

  // What may be done with the call; `repeatable`: its body is here; `side_effects`: doing it twice could matter.
  // `elsewhere`: whether another account that has money could take it by then.
  enum class By { now, sometime };
  void begin(bool repeatable, bool side_effects, std::function<bool(By)> elsewhere);
  // Its body is not here any more.
  void forget_body() { repeatable_ = false; }
  // The upstream that the next tries go to, and the account there with its model: where callers bring their own,
  // theirs.
  void go_to(const std::string& upstream, const BudgetNames& names);

  // An account that need not be asked: it has no money (for the model), as it told this call or, lately, another one,
  // or has failed this call in a way that lasts.
  bool is_useless(const BudgetNames& names) const;
  // Why there is no use in asking the account at all, or nothing.
  std::optional<Refusal> no_use() const;
  // An account that fails call after call, or has asked for a long pause, is not waited for as long as one that is
  // merely busy; one that fails in a way that lasts, not at all, if there is no other.
  net::Instant patience_ends(net::Instant now) const;
  // The queue gave the call up: what to say if the account itself is the reason.
  std::optional<Refusal> why_not() const;

  // The upstream has begun to answer, and not by turning the call away.
  void taken_in();
  // It turned the call away.
  Verdict refused(const Diagnosis& diagnosis, const Symptom& symptom);
  // It does not take the key that weir has for it: another account may.
  Verdict refused_our_key(const Symptom& symptom);
  // It broke or failed.
  Verdict failed(admission::Trouble trouble, const Symptom& symptom);
  // In a way that the next try would meet too.
  Verdict failed_for_good(Symptom symptom);
  // It was not even asked, for want of something on this machine: that says nothing about the account.
  Verdict failed_here();
  // It was sent, and broke so that it may go again at once: whether there is a try for that. Takes it.
  bool spend_another_try();
  // A clock ran out: what took so long once is not repeated, neither here nor by the caller's library.
  Verdict timed_out(const Symptom& symptom);

  // When this account may be tried (again).
  net::Instant not_before(std::string_view upstream) const {
    return upstream == upstream_ ? not_before_ : net::Instant::min();
  }

 private:
  bool is_useless(const std::string& name) const;
  Verdict only_elsewhere(const std::string& name);
  bool asks_for_long(const std::string& name, net::Instant now) const;
  Verdict next(admission::Trouble trouble, std::optional<Duration> hint, unsigned refusals_of_account);
  void rest_if_failing(const Symptom& symptom);

  Session& session_;
  Turn& turn_;
  const Settings& settings_;
  std::string upstream_, account_;
  std::string model_;  // the account's budget for it; empty: there is none
  bool repeatable_ = false, side_effects_ = false;
  std::function<bool(By)> elsewhere_;
  std::vector<std::string> useless_;  // to this call: asked once, or without breakers this would never end
  unsigned refusals_ = 0, in_vain_ = 0;
  net::Instant not_before_ = net::Instant::min();
};

}  // namespace weir::proxy
