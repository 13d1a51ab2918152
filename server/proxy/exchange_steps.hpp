// The steps of an exchange, for the files that implement it: exchange.cpp (its story), exchange_destination.cpp,
// exchange_try.cpp and exchange_record.cpp. Everybody else calls run_exchange.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/exchange_record.hpp"
#include "protocol/error_body.hpp"
#include "proxy/charge.hpp"
#include "proxy/choose_upstream.hpp"
#include "proxy/client_body.hpp"
#include "proxy/downstream.hpp"
#include "proxy/heartbeat.hpp"
#include "proxy/kept_bodies.hpp"
#include "proxy/local_answers.hpp"
#include "proxy/parameter_rules.hpp"
#include "proxy/recent_calls.hpp"
#include "proxy/recovery.hpp"
#include "proxy/relay.hpp"
#include "proxy/route.hpp"
#include "proxy/turn.hpp"
#include "proxy/upstream_call.hpp"

namespace weir::proxy {

bool is_json_type(std::string_view content_type);

class Exchange {
 public:
  // Its story. The objects are the coroutine's: one frame for both.
  static net::Task<void> run(Session& session);

 private:
  explicit Exchange(Session& session)
      : session_(session),
        snapshot_(session.context().snapshot),
        settings_(*snapshot_->settings),
        head_(session.head()),
        downstream_(session),
        heartbeat_(session, downstream_),
        turn_(session),
        recovery_(session, turn_, settings_),
        body_claim_(session.context().shared.body_room) {}

  using Verdict = Recovery::Verdict;
  // What one try came to.
  struct Tried {
    bool again = false;
    MaybeRefusal refusal;  // not again: what the client is told, if anything
  };

  // The steps of its story.
  MaybeRefusal begin();
  MaybeRefusal end(MaybeRefusal refusal);
  MaybeRefusal check_head();
  net::Task<MaybeRefusal> serve();
  MaybeRefusal identify();
  bool has_own_list() const;
  net::Task<MaybeRefusal> serve_probe();
  net::Task<MaybeRefusal> serve_preflight();
  net::Task<bool> serve_models();
  net::Task<MaybeRefusal> serve_own();
  net::Task<MaybeRefusal> read_request();
  MaybeRefusal true_answer();
  void remember_true_answer(const Refusal& refusal);
  CallName call_name() const;
  void leave_body();
  net::Task<void> answer(LocalAnswer answer);
  net::Task<void> refuse(const Refusal& refusal);
  std::string_view cors_origin() const;
  std::string cors_lines() const;
  std::string call_lines() const;
  std::string own_lines();
  bool body_complete() const { return body_read_ || (body_ && body_->complete()); }

  // Where it goes, and what it is there.
  net::Task<MaybeRefusal> choose_and_prepare();
  std::size_t best_destination();
  bool can_go_elsewhere(Recovery::By by);
  bool may_start_sooner_elsewhere();
  MaybeRefusal go_to(const Destination& destination);
  MaybeRefusal prepare();
  void keep_body();
  void read_members();
  bool take_body_back();
  void release_body();
  OutgoingRequest outgoing();
  Turn::Request turn_request(const Destination& destination);
  ChargePlan plan_of(const Destination& destination) const;
  net::Instant first_arrival();
  void estimate_prompt(const Destination& destination);
  std::string_view tokenizer_model(const Destination& destination) const;
  void configure_heartbeat();

  // Its tries.
  net::Task<MaybeRefusal> call_upstream();
  net::Task<Tried> try_once();
  bool may_be_sent_twice() const;
  net::UpstreamPool::Choice choice_of_connection() const;
  bool goes_again_at_once(const UpstreamCall& call, const net::Failure& failure);
  Tried take_failure(const net::Failure& failure);
  net::Task<Tried> relay_answer(UpstreamCall& call);
  void take_break(Tried& tried, const net::ResponseHead& answer_head);
  Refusal told_by(const protocol::UpstreamError& error, int status, const Diagnosis& diagnosis, Verdict verdict) const;
  Tried take_error(Relay& relay, const net::ResponseHead& answer_head, bool body_is_here);
  void decide(Tried& tried, Verdict verdict);
  net::Task<net::Failure> reach(UpstreamCall& call, net::UpstreamPool::Choice choice);
  AnswerKind kind_of(const net::ResponseHead& answer_head, bool wants_id) const;
  RelayOptions relay_options(UpstreamCall& call);
  std::string downstream_fields(const net::ResponseHead& answer_head, const RelayOptions& options);

  // What is known of it.
  void note_try(int status, std::string_view cause, bool unanswered = false);
  void note_words(const protocol::UpstreamError& error, Cause cause, int status);
  void note_error_event(const Relay& relay, const net::ResponseHead& answer_head);
  void note_relayed(Relay& relay);
  void note_cost(const protocol::Usage& usage);
  void note_cut(std::uint64_t input, std::uint64_t contents);
  void settle(const Relay& relay, int status);
  void learn(const protocol::Usage& usage, bool complete);  // of an answer that was cut off only its input
  void learn_requested(const protocol::UpstreamError& error);
  void note_outcome(const MaybeRefusal& refusal);
  void log();

  Session& session_;
  SnapshotPtr snapshot_;
  const Settings& settings_;
  const net::RequestHead& head_;
  Downstream downstream_;
  Heartbeat heartbeat_;
  Turn turn_;
  Recovery recovery_;
  bool met_stale_connection_ = false;
  Route route_;
  Client client_;
  net::BodyFraming framing_;
  std::unique_ptr<ClientBody> body_;  // that is passed on as it comes
  bool body_read_ = false;            // it is all in body_bytes_, or was
  BodyBuffer body_bytes_;
  BodyRoom::Claim body_claim_;  // as long as neither the queue nor kept_ counts it
  protocol::RequestView view_;
  protocol::PromptEstimate estimate_;
  std::string_view estimated_as_;  // the model whose tokenizer the estimate is of
  net::Instant arrived_{};         // of the caller, its SDK's earlier tries included
  Destinations destinations_;      // where the call may go
  Destination destination_;        // where it goes
  PreparedBody prepared_;
  std::vector<std::string_view> body_pieces_;
  std::optional<KeptBodies::Claim> kept_;   // of a body that is here
  std::optional<std::uint64_t> call_hash_;  // by which its true answer will be found, when the body is gone
  observe::ExchangeRecord record_;
};

}  // namespace weir::proxy
