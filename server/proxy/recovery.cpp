#include "proxy/recovery.hpp"

#include <algorithm>
#include <utility>

#include "proxy/duration_in_words.hpp"
#include "proxy/upstream_answers.hpp"

namespace weir::proxy {
namespace {

using admission::Trouble;
using net::Clock;
using net::Instant;

// After a refusal without another try and without a hint.
constexpr Duration pause_unless_said{1000};

// By default no call waits for longer. Providers whose minutes are used up ask for minutes at most; a longer hint is
// often a proxy's or one that was meant for somebody else, and what it is about may be over sooner: one call finds out.
constexpr std::chrono::minutes asked_pause_max{10};

AccountHealth& health_of(Session& session) {
  return session.context().shared.health;
}

}  // namespace

void Recovery::begin(bool repeatable, bool side_effects, std::function<bool(By)> elsewhere) {
  repeatable_ = repeatable;
  side_effects_ = side_effects;
  elsewhere_ = std::move(elsewhere);
}

void Recovery::go_to(const std::string& upstream, const BudgetNames& names) {
  upstream_ = upstream;
  account_ = names.account;
  model_ = names.model;
  not_before_ = Instant::min();
}

bool Recovery::is_useless(const BudgetNames& names) const {
  return is_useless(names.account) || (!names.model.empty() && is_useless(names.model));
}

bool Recovery::is_useless(const std::string& name) const {
  if (std::find(useless_.begin(), useless_.end(), name) != useless_.end()) return true;
  if (!settings_.breaker_enabled) return false;
  const auto state = health_of(session_).state(name);
  return state && Clock::now() < state->no_money_until;
}

std::optional<Refusal> Recovery::no_use() const {
  const bool of_account = is_useless(account_);
  if (!of_account && (model_.empty() || !is_useless(model_))) return std::nullopt;
  const auto state = health_of(session_).state(of_account ? account_ : model_);
  if (!state) return std::nullopt;
  protocol::UpstreamError error;
  error.type = state->last.type;
  error.code = state->last.code;
  error.message = state_in_words(of_account ? account_ : model_, state, Clock::now());
  Refusal refusal = upstream_error(state->last.status, error);
  say_pointless(refusal);
  return refusal;
}

bool Recovery::asks_for_long(const std::string& name, Instant now) const {
  const auto state = health_of(session_).state(name);
  return state && now < state->asked_until && state->asked > asked_pause_max;
}

Instant Recovery::patience_ends(Instant now) const {
  const auto state = health_of(session_).state(account_);
  const bool has_failed = state && state->failing_until > Instant::min();
  if (has_failed && state->last.lasting && settings_.breaker_enabled && !elsewhere_(By::sometime)) return now;
  const bool failing = has_failed && now < state->failing_until;
  // A call that was told so itself waits as long as it was told, if it may.
  const bool long_pause = refusals_ == 0 && (asks_for_long(account_, now) || asks_for_long(model_, now));
  return failing || long_pause ? now + settings_.breaker_wait_max : Instant::max();
}

std::optional<Refusal> Recovery::why_not() const {
  const auto state = health_of(session_).state(account_);
  const auto now = Clock::now();
  if (!state || state->failing_until == Instant::min() || state->failing_until < state->rests_until)
    return std::nullopt;
  const auto rest = std::max(Duration(1000), std::chrono::ceil<Duration>(state->rests_until - now));
  Refusal refusal = no_upstream("Upstream '" + account_ + "' failed " + std::to_string(state->failures) +
                                " times in a row, last with: " + in_words(state->last) + ". It is tried again in " +
                                duration_in_words(std::chrono::ceil<std::chrono::seconds>(rest)) + ".");
  if (state->last.lasting) {
    say_pointless(refusal);
  } else {
    say_when(refusal, rest);
  }
  return refusal;
}

void Recovery::taken_in() {
  turn_.taken_in();
  turn_.note_content();
}

Recovery::Verdict Recovery::refused(const Diagnosis& diagnosis, const Symptom& symptom) {
  AccountHealth& health = health_of(session_);
  const auto now = Clock::now();
  if (diagnosis.cause == Cause::quota) {
    const bool of_model = diagnosis.of_model && !model_.empty();
    const std::string& name = of_model ? model_ : account_;
    const Instant until = health.note_no_money(name, symptom, now);
    if (settings_.breaker_enabled) turn_.pause(until, of_model);
    return only_elsewhere(name);
  }
  if (diagnosis.cause == Cause::caller) {
    taken_in();
    return Verdict::not_ours;
  }
  if (diagnosis.cause == Cause::fault) return failed(Trouble::failed, symptom);
  const unsigned in_a_row = health.note_refusal(account_, symptom, now);
  const Verdict verdict = next(Trouble::refused, diagnosis.hint, in_a_row);
  // It holds for all who want to go there, not for this call alone, which may be going elsewhere.
  const bool hinted_too_late = diagnosis.hint && now + *diagnosis.hint > not_before_;
  const Instant wanted =
      verdict == Verdict::again && !hinted_too_late ? not_before_ : now + diagnosis.hint.value_or(pause_unless_said);
  const Instant until = std::min(wanted, now + asked_pause_max);
  // Too many at once: the cap has come down, so that nobody knocks in vain afterwards. Unless nothing at all is served.
  const bool capped = diagnosis.cause == Cause::concurrency && settings_.learn.enabled;
  const bool pauses = settings_.retry.enabled || settings_.breaker_enabled;
  if (pauses)
    turn_.pause(until, diagnosis.of_model, capped ? Turn::Afterwards::all_if_it_serves : Turn::Afterwards::one_first);
  health.note_rest(account_, until);
  if (pauses && diagnosis.hint) {
    const bool of_model = diagnosis.of_model && !model_.empty();
    health.note_asked(of_model ? model_ : account_, symptom, *diagnosis.hint, until, now);
  }
  return verdict;
}

Recovery::Verdict Recovery::refused_our_key(const Symptom& symptom) {
  turn_.taken_in();
  health_of(session_).note_key_refused(account_, symptom, Clock::now());
  return only_elsewhere(account_);
}

Recovery::Verdict Recovery::failed(Trouble trouble, const Symptom& symptom) {
  rest_if_failing(symptom);
  return next(trouble, std::nullopt, 0);
}

Recovery::Verdict Recovery::failed_for_good(Symptom symptom) {
  symptom.lasting = true;
  rest_if_failing(symptom);
  return only_elsewhere(account_);
}

Recovery::Verdict Recovery::failed_here() {
  return next(Trouble::unsent, std::nullopt, 0);
}

bool Recovery::spend_another_try() {
  if (in_vain_ + 1 >= settings_.retry.tries_max) return false;
  if (!session_.context().shared.retries.take(upstream_)) return false;
  ++in_vain_;
  return true;
}

Recovery::Verdict Recovery::timed_out(const Symptom& symptom) {
  rest_if_failing(symptom);
  return repeatable_ && settings_.retry.enabled ? Verdict::pointless : Verdict::not_ours;
}

// What will not be otherwise for this call at this account, or at its share for the model.
Recovery::Verdict Recovery::only_elsewhere(const std::string& name) {
  useless_.push_back(name);
  return settings_.retry.enabled && repeatable_ && elsewhere_(By::sometime) ? Verdict::again : Verdict::pointless;
}

void Recovery::rest_if_failing(const Symptom& symptom) {
  const auto until = health_of(session_).note_failure(account_, symptom, settings_.retry, Clock::now());
  if (until && settings_.breaker_enabled) turn_.pause(*until, false);
}

Recovery::Verdict Recovery::next(Trouble trouble, std::optional<Duration> hint, unsigned refusals_of_account) {
  if (!repeatable_) return Verdict::not_ours;
  ++(trouble == Trouble::refused ? refusals_ : in_vain_);
  admission::Attempted attempted;
  attempted.trouble = trouble;
  attempted.refusals = refusals_;
  attempted.refusals_of_account = refusals_of_account;
  attempted.in_vain = in_vain_;
  attempted.hint = hint;
  attempted.side_effects = side_effects_;
  attempted.deadline = turn_.deadline();
  attempted.elsewhere = elsewhere_(By::now);
  admission::RetryRules rules;
  rules.enabled = settings_.retry.enabled;
  rules.after_send = settings_.retry.after_send;
  rules.tries_max = settings_.retry.tries_max;
  rules.refusals_max = settings_.retry.refusals_max;
  rules.pause_min = settings_.retry.pause_min;
  rules.pause_max = settings_.retry.pause_max;
  const admission::NextTry next = session_.context().shared.retries.next_try(upstream_, attempted, rules, Clock::now());
  if (next.verdict == Verdict::again) not_before_ = next.not_before;
  return next.verdict;
}

}  // namespace weir::proxy
