// An exchange's place in line and, once it is its turn, its permit: waits for room in all budgets, tells them when the
// call was sent, what comes and what was used. Every way upstream goes through here, retries with their old place.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>

#include "net/task.hpp"
#include "proxy/error_response.hpp"
#include "proxy/session.hpp"
#include "proxy/submission.hpp"

namespace weir::proxy {

class Heartbeat;

class Turn {
 public:
  explicit Turn(Session& session) : session_(session) {}

  // What will be asked for at every attempt.
  struct Request {
    Owner owner;  // of strings that outlive the turn
    BudgetNames names;
    admission::Cost own, upstream;
    admission::OutputPace pace;
    std::string output_model;  // what the output is forecast by, beside the owner
    bool ramps = false;        // nothing is known of what the upstream takes
    std::string sub_lane;
    admission::Priority priority = admission::Priority::interactive;
    std::size_t bytes = 0;
    net::Instant arrived{};  // of the first try: decides the place in line
    net::Instant since{};    // of this one: the wait is bounded from here
    Duration wait_bound{0};
    std::string_view bounded_by;  // whose word that is, for people; empty: nobody's
  };
  void prepare(Request request) {
    request_ = std::move(request);
    ids_.reset();
  }
  // Whose call it will be: known before anything else of it is.
  void introduce(const std::string& key, const std::string& team) {
    request_.names.key = key;
    request_.names.team = team;
  }
  // When a call could start, were this asked for.
  net::Instant predicted_start(const Request& request);

  // Nothing: the call may be sent now, or the session is gone, or it still waits at `look_up` (waiting(); ask again to
  // wait on). A refusal: it may not. `beat` keeps the caller alive.
  net::Task<MaybeRefusal> take(net::Instant not_before, net::Instant look_up, Heartbeat& beat);
  bool waiting() const { return admission_.state() == Admission::State::waiting; }
  // Waiting: when it starts, as far as can be said.
  net::Instant starts_at() const;

  void sent() {
    told_ = 0;
    measured_ = false;
    sent_at_ = net::Clock::now();
    admission_.mark_sent();
  }
  // It did not get there after all; sent() again, or withdraw().
  void unsent() { admission_.mark_unsent(); }
  // The upstream has begun to answer, and not by turning the call away.
  void taken_in() { admission_.taken_in(); }
  // And there is content in the answer: all is well with the account, and its model.
  void note_content() {
    AccountHealth& health = session_.context().shared.health;
    health.note_success(request_.names.account);
    if (!request_.names.model.empty()) health.note_success(request_.names.model);
  }
  void progress(std::uint64_t output_tokens);
  // The upstream has said how much input it counts.
  void measured(std::uint64_t input_tokens, std::uint64_t cached_tokens);
  std::uint64_t told() const { return told_; }  // of this try's output, by progress()
  void settle(const admission::Usage& usage, admission::Ending ending) { admission_.settle(usage, ending); }
  // We leave before a word of its answer has come: its input is charged, and what is expected to have been produced.
  void leave_unanswered();
  // Not sent after all: costs nothing.
  void withdraw() { admission_ = {}; }
  // What the upstream says of its limits beside an answer; `of_model`: of those of the model.
  void hear(bool of_model, std::span<const admission::SaidOfMeter> said) { admission_.hear(scope(of_model), said); }
  // It turned the call away for what is under way there.
  void crowded(bool of_model, const admission::Crowding& crowding) { admission_.crowded(scope(of_model), crowding); }
  // The upstream is to be left alone until then; `of_model`: with this model only.
  using Afterwards = admission::UpstreamReport::Afterwards;  // who may go there then
  void pause(net::Instant until, bool of_model, Afterwards afterwards = Afterwards::one_first);

  // Nothing is waited for beyond this instant.
  void bound_wait(net::Instant until) {
    const auto bound = std::chrono::ceil<Duration>(until - request_.since);
    if (bound >= request_.wait_bound) return;
    request_.wait_bound = bound;
    request_.bounded_by = "breaker.wait_max";
  }

  Duration queued() const { return queued_; }  // over all attempts
  // It has stood in line, however shortly; false: it was turned away at once.
  bool had_place() const { return had_place_; }
  net::Instant arrived() const { return request_.arrived; }
  net::Instant deadline() const { return request_.since + request_.wait_bound; }
  admission::Tokens input() const { return request_.own.input; }  // estimated
  std::uint64_t reserved_upstream() const { return reserved_tokens(request_.upstream); }
  // There, or where no tokens count there with the caller's key.
  std::uint64_t reserved() const {
    const std::uint64_t upstream = reserved_upstream();
    return upstream > 0 || request_.names.key.empty() ? upstream : reserved_tokens(request_.own);
  }
  // x-weir-queue-ms, x-weir-reserved-tokens and the caller's own x-ratelimit fields. `elsewhere`: what the call waited
  // in another weir's line.
  std::string header_lines(Duration elsewhere);
  bool has_own_limits() const { return has_own_limits_; }
  // Of those the x-ratelimit fields alone: the key's budget, else its team's, else that of the account that the caller
  // brought. Empty: no limits, or nobody knows yet who calls.
  std::string own_limit_lines();

 private:
  static admission::Submission submission(const Request& request, const BudgetIds& ids);
  const BudgetIds& ids(admission::Scheduler& scheduler);
  static admission::Scope scope(bool of_model) {
    return of_model ? admission::Scope::model : admission::Scope::account;
  }
  Duration asked_pause(net::Instant now) const;
  Refusal refusal(net::Instant now);

  Session& session_;
  Request request_;
  std::optional<BudgetIds> ids_;  // of the request's names, once they were looked up
  Admission admission_;
  Duration queued_{0};
  net::Instant sent_at_{};
  std::uint64_t told_ = 0;
  bool measured_ = false;
  bool had_place_ = false;  // in the queue: whoever comes back with another try is not turned away for want of one
  bool has_own_limits_ = false;
};

}  // namespace weir::proxy
