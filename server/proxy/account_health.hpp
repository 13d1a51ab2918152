// How the upstream accounts are doing, and what follows from it: how long one is left alone after a refusal, when one
// that fails call after call is given a rest, and that one without money is not asked at all. The breakers themselves
// stand in the admission core, where calls wait; this decides when they open. One for the process, thread-safe.
//
// An account goes by the name of its budget: that of the upstream, or `upstream@caller` where callers bring their own.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/timer_wheel.hpp"
#include "proxy/error_rules.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

// What became of a call, for everybody to read: of an error of the upstream its type and code if they are words
// (loggable_words.hpp), and no message, which may quote the call; of weir's own all three.
struct Symptom {
  Cause cause = Cause::fault;
  int status = 0;  // 0: no answer
  std::string type, code, message;
  bool lasting = false;  // the next call would meet it too
};

class AccountHealth {
 public:
  struct State {
    unsigned refusals = 0;  // in a row, one per opening of the breaker
    unsigned failures = 0;  // in a row
    bool without_money = false;
    bool refuses_key = false;                          // that weir has for it
    net::Instant failing_since = net::Instant::max();  // when failures first were too many in a row
    net::Instant rests_until = net::Instant::min();
    // Whose end is that of a rest for the reason named: a refusal's rest is waited for as long as any other wait.
    net::Instant failing_until = net::Instant::min();
    net::Instant no_money_until = net::Instant::min();
    // How long a pause it asked for when it turned a call away, and until when that keeps it alone: not as long.
    Duration asked{0};
    net::Instant asked_until = net::Instant::min();
    Symptom last;
    net::Instant last_at = net::Instant::min();
  };

  // A call was taken in: whatever was, is over.
  void note_success(std::string_view upstream) {
    if (troubled_.load(std::memory_order_relaxed) > 0) forget(upstream);
  }
  // Turned away; returns how often in a row, this time included. Those that were on their way together count once.
  unsigned note_refusal(const std::string& upstream, const Symptom& symptom, net::Instant now);
  // The account is left alone until then.
  void note_rest(const std::string& upstream, net::Instant until);
  // And so it is since it asked for a pause, be it of a model's share of an account.
  void note_asked(const std::string& upstream, const Symptom& symptom, Duration asked, net::Instant until,
                  net::Instant now);
  // Failed; returns until when it should rest, if it has failed too often by now.
  std::optional<net::Instant> note_failure(const std::string& upstream, const Symptom& symptom,
                                           const RetrySettings& retry, net::Instant now);
  // No money or no quota left; returns until when nobody needs to ask.
  net::Instant note_no_money(const std::string& upstream, const Symptom& symptom, net::Instant now);

  // It answers, but not to the key that weir has for it: whatever else was, is over. Nobody is kept from asking: a key
  // may be activated there any time.
  void note_key_refused(const std::string& upstream, const Symptom& symptom, net::Instant now);

  std::optional<State> state(std::string_view upstream) const;
  // Those in trouble whose names begin so, as a model's share of an account (`upstream/`) and an account that a caller
  // brought (`upstream@`): the first `at_most` by name.
  std::vector<std::string> troubled_below(std::string_view prefix, std::size_t at_most) const;

  // Callers can bring any number of accounts; of those beyond this many the one whose trouble is oldest is forgotten.
  static constexpr std::size_t troubled_max = 1'000;

 private:
  void forget(std::string_view upstream);
  State& touch(const std::string& upstream, const Symptom& symptom, net::Instant now);

  mutable std::mutex mutex_;
  std::map<std::string, State, std::less<>> states_;  // of those in trouble
  std::atomic<std::size_t> troubled_{0};
};

}  // namespace weir::proxy
