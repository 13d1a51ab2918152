// Of an exchange: its tries. Each waits for its turn, sends, relays what comes; what came to nothing is taken up by
// Recovery, which says whether there is another.
#include <algorithm>

#include "protocol/answer_beginning.hpp"
#include "protocol/error_body.hpp"
#include "proxy/batch_service.hpp"
#include "proxy/cause.hpp"
#include "proxy/exchange_steps.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/loggable_words.hpp"
#include "proxy/upstream_words.hpp"

namespace weir::proxy {
namespace {

using net::Clock;
using net::Failure;
using protocol::Api;
using Choice = net::UpstreamPool::Choice;

// A connection that its peer had closed breaks within a round trip.
constexpr std::chrono::seconds stale_after_send_max{2};
constexpr std::string_view event_stream = "text/event-stream";
// How often a waiting call looks whether another account could take it.
constexpr std::chrono::milliseconds look_elsewhere_every{500};

bool is_plain(const net::ResponseHead& head) {
  const std::string_view coding = head.value_of("content-encoding");
  return coding.empty() || net::equals_ignoring_case(coding, "identity");
}

// As far as weir can read it. Half of an object is no sentence.
protocol::UpstreamError error_of(const Relay& relay, const net::ResponseHead& head) {
  if (!is_plain(head)) return {};
  protocol::UpstreamError error = protocol::read_error_body(relay.held_error());
  if (!relay.whole() && error.message.starts_with('{')) error.message.clear();
  return error;
}

// The head that a heartbeat has sent promises an answer of one form.
Refusal does_not_fit(const net::ResponseHead& head, std::string_view upstream) {
  const std::string_view type = head.value_of("content-type"), coding = head.value_of("content-encoding");
  Failure failure;
  failure.kind = Failure::Kind::invalid;
  failure.detail = "after a heartbeat had gone out it answered with status " + std::to_string(head.status) + " and " +
                   (type.empty() ? "no type" : "type " + std::string(type.substr(0, 64)));
  if (!coding.empty()) failure.detail += ", coded " + std::string(coding.substr(0, 16));
  return upstream_failed(failure, upstream);
}

bool is_html(const net::ResponseHead& head) {
  constexpr std::string_view html = "text/html";
  return net::equals_ignoring_case(head.value_of("content-type").substr(0, html.size()), html);
}

// A portal to log in at, or what stands where base_url leads.
Refusal is_no_api(const net::ResponseHead& head, std::string_view upstream) {
  const std::string_view type = head.value_of("content-type");
  Failure failure;
  failure.kind = Failure::Kind::invalid;
  failure.detail = "it answered with a web page (" + (type.empty() ? "no type" : std::string(type.substr(0, 64))) +
                   ") and no JSON, as where base_url is wrong";
  return upstream_failed(failure, upstream);
}

// `status`: the upstream's; 0: no answer.
Symptom symptom_of(const Refusal& refusal, int status) {
  return {Cause::fault, status, refusal.type, refusal.code, refusal.message};
}

// The message is for the caller alone.
Symptom symptom_of(Cause cause, int status, const protocol::UpstreamError& error) {
  return {cause, status, loggable_word(error.type), loggable_word(error.code), {}};
}

}  // namespace

net::Task<MaybeRefusal> Exchange::call_upstream() {
  Shared& shared = session_.context().shared;
  for (;;) {
    if (MaybeRefusal refusal = recovery_.no_use()) {
      if (!can_go_elsewhere(Recovery::By::sometime)) co_return refusal;
      turn_.withdraw();
      if (MaybeRefusal unfit = go_to(destinations_[best_destination()])) co_return unfit;
    }
    turn_.bound_wait(recovery_.patience_ends(Clock::now()));
    const net::Instant look_up = destinations_.size() > 1 ? Clock::now() + look_elsewhere_every : net::Instant::max();
    body_claim_.release();
    auto refused = co_await turn_.take(recovery_.not_before(record_.upstream), look_up, heartbeat_);
    if (turn_.had_place()) record_.queued = turn_.queued();
    record_.heartbeats_sent = heartbeat_.sent();
    if (refused) {
      if (route_.reads_body() && refused->status == 429) {
        shared.old_places.remember(call_name(), turn_.arrived(), Clock::now());
      }
      if (MaybeRefusal reason = recovery_.why_not()) co_return reason;
      co_return refused;
    }
    if (session_.gone()) {
      if (session_.insisted()) co_return shutting_down();
      co_return std::nullopt;
    }
    bool moves = false;
    if (turn_.waiting()) {
      if (!may_start_sooner_elsewhere()) continue;
      turn_.withdraw();
      moves = true;
    } else {
      body_claim_.hold(body_bytes_.size());
      if (++record_.attempts == 1) shared.retries.note_first_try(destination_.upstream->name);
      auto tried = co_await try_once();
      record_.heartbeats_sent = heartbeat_.sent();
      if (!tried.again) co_return std::move(tried.refusal);
      moves = destinations_.size() > 1;
    }
    if (!moves) continue;
    const Destination& best = destinations_[best_destination()];
    if (best.upstream == destination_.upstream) continue;
    if (auto refusal = go_to(best)) co_return refusal;
  }
}

net::Task<Exchange::Tried> Exchange::try_once() {
  const Upstream& upstream = *destination_.upstream;
  const net::Endpoint& endpoint = snapshot_->endpoints[snapshot_->index_of(upstream)];
  for (;;) {
    // What was made of the body for the try before is gone.
    if (route_.reads_body() && body_pieces_.empty()) {
      if (MaybeRefusal refusal = prepare()) co_return Tried{false, std::move(refusal)};
    }
    UpstreamCall call(session_, endpoint, timeouts_of(destination_), heartbeat_);
    Failure failure = co_await reach(call, choice_of_connection());
    Tried tried;
    if (call.refusal()) {
      tried.refusal = std::move(*call.refusal());
      co_return tried;
    }
    if (session_.gone()) {
      turn_.leave_unanswered();
      if (session_.insisted()) tried.refusal = shutting_down();
      co_return tried;
    }
    if (!failure) {
      tried = co_await relay_answer(call);
      co_return tried;
    }
    if (!goes_again_at_once(call, failure)) {
      tried = take_failure(failure);
      co_return tried;
    }
  }
}

// Nobody can tell whether an upstream has begun with what was sent.
bool Exchange::may_be_sent_twice() const {
  const bool harmless = route_.reads_body() ? !view_.has_side_effects : head_.method == "GET" || head_.method == "HEAD";
  return harmless && settings_.retry.after_send;
}

// What cannot be sent twice never goes on a connection that may have gone stale, and a call meets one of those at most.
// What must not be, or is not because no retry is left, hardly ever does.
Choice Exchange::choice_of_connection() const {
  const bool uploads = !route_.reads_body() && framing_.kind != net::BodyFraming::Kind::none;
  if (uploads || met_stale_connection_) return Choice::fresh_only;
  const bool another = session_.context().shared.retries.left(destination_.upstream->name) >= 1;
  return another && may_be_sent_twice() ? Choice::any : Choice::lately_used;
}

// On a kept-alive connection that the upstream was closing meanwhile. One that breaks only later may have broken under
// the work. A call that did not go out whole cannot have been processed; one that did is another try like any other,
// but for the pause.
bool Exchange::goes_again_at_once(const UpstreamCall& call, const Failure& failure) {
  const bool body_is_here = take_body_back();
  const bool at_once = Clock::now() - call.sent_at() < stale_after_send_max;
  const bool stale =
      failure.connection_reused && !failure.response_begun && failure.kind == Failure::Kind::reset && at_once;
  if (!stale || !body_is_here) return false;
  if (failure.request_sent && !(may_be_sent_twice() && recovery_.spend_another_try())) return false;
  note_try(0, upstream_failed(failure, destination_.upstream->name).code, failure.request_sent);
  turn_.unsent();
  met_stale_connection_ = true;
  ++record_.attempts;
  return true;
}

// Up to the head of an answer. What is sent is made when it is, and held no longer: many calls wait long before, and
// long after.
net::Task<Failure> Exchange::reach(UpstreamCall& call, Choice choice) {
  Failure failure = co_await call.connect(choice);
  if (failure || session_.gone()) co_return failure;
  turn_.sent();
  OutgoingRequest request = outgoing();
  co_return co_await call.start(std::move(request));
}

// No answer came.
Exchange::Tried Exchange::take_failure(const Failure& failure) {
  const Upstream& upstream = *destination_.upstream;
  const UpstreamTimeouts& timeouts = timeouts_of(destination_);
  record_.detail = failure.detail;
  Tried tried;
  const bool timeout = failure.kind == Failure::Kind::timeout;
  if (timeout && failure.request_sent) {
    const HeadLimit limit = limit_of_head(timeouts);
    tried.refusal = upstream_too_slow(limit.which, limit.time, upstream.name);
  } else if (timeout) {
    tried.refusal = upstream_too_slow(TimeLimit::stall, timeouts.byte_gap, upstream.name);
  } else {
    tried.refusal = upstream_failed(failure, upstream.name);
  }
  note_try(0, tried.refusal->code, failure.request_sent);
  const auto trouble = failure.request_sent ? admission::Trouble::unanswered : admission::Trouble::unsent;
  const Symptom symptom = symptom_of(*tried.refusal, 0);
  if (failure.origin == Failure::Origin::internal) {
    decide(tried, recovery_.failed_here());
  } else if (failure.lasting) {
    decide(tried, recovery_.failed_for_good(symptom));
  } else {
    decide(tried, timeout ? recovery_.timed_out(symptom) : recovery_.failed(trouble, symptom));
  }
  // After the decision, or the next in line would go before the account is given its rest.
  if (failure.request_sent) {
    turn_.settle({}, admission::Ending::lost);
  } else {
    turn_.withdraw();
  }
  return tried;
}

net::Task<Exchange::Tried> Exchange::relay_answer(UpstreamCall& call) {
  const net::ResponseHead& answer_head = call.head();
  record_.status = answer_head.status;
  const bool from_weir = destination_.upstream->queue_headers;
  record_.upstream_request_id = upstream_request_id(answer_head, from_weir);
  if (from_weir) record_.queued_upstream += queued_at_upstream(answer_head);
  if (call.first_byte_at()) {
    record_.first_byte =
        std::chrono::duration_cast<std::chrono::microseconds>(*call.first_byte_at() - session_.head_read_at());
  }
  if (answer_head.status < 400) turn_.taken_in();
  if (settings_.learn.enabled) hear_head(turn_, *destination_.upstream, answer_head);
  Relay relay(session_, call, downstream_, heartbeat_, turn_, relay_options(call));
  const bool streams = answer_head.status < 300 && view_.stream;
  std::optional<observe::OpenStream> open_stream;
  if (streams) open_stream.emplace(session_.context().shared.metrics);
  auto refusal = co_await relay.run();
  open_stream.reset();

  Tried tried;
  const bool body_is_here = take_body_back();
  if (relay.holds_error() && !session_.gone()) {
    tried = take_error(relay, answer_head, body_is_here);
    note_try(answer_head.status, record_.cause);
    if (!relay.complete()) tried.refusal = co_await relay.run();
    if (session_.client().has_unflushed() && !session_.gone()) co_await relay.drain_to_the_end();
  } else if (refusal) {
    note_try(answer_head.status, refusal->code, answer_head.status < 400);
    const bool early = !relay.opened() && !session_.gone();
    tried.refusal = std::move(refusal);
    if (early) take_break(tried, answer_head);
  } else if (relay.complete()) {
    const bool error_event = !relay.filter().error_event().empty();
    if (error_event) note_error_event(relay, answer_head);
    record_.outcome = answer_head.status < 400 && !error_event ? "ok" : "upstream_error";
    note_try(answer_head.status, error_event ? record_.cause : std::string_view());
  }
  if (relay.upstream_done()) {
    call.give_back();
  } else {
    call.discard();
  }
  note_relayed(relay);
  // After the decision, or the next in line would go before the account is given its rest.
  settle(relay, answer_head.status);
  if (downstream_.committed() && !downstream_.finished() && !tried.again) session_.close_after_this();
  co_return tried;
}

// An answer began, and broke or dried up before its first word.
void Exchange::take_break(Tried& tried, const net::ResponseHead& answer_head) {
  const bool timeout = tried.refusal->status == 504;
  const bool is_page = !timeout && answer_head.status < 300 && is_html(answer_head);
  if (is_page) tried.refusal = is_no_api(answer_head, record_.upstream);
  const Symptom symptom = symptom_of(*tried.refusal, record_.status);
  if (is_page) return decide(tried, recovery_.failed_for_good(symptom));
  decide(tried, timeout ? recovery_.timed_out(symptom) : recovery_.failed(admission::Trouble::failed, symptom));
}

// The upstream answered with an error and the client has heard nothing of it: another try, or the truth.
Exchange::Tried Exchange::take_error(Relay& relay, const net::ResponseHead& answer_head, bool body_is_here) {
  const bool is_page = protocol::is_web_page(relay.held_error());
  if (answer_head.status < 300 && is_page && !relay.is_events()) {
    record_.cause = name_of(Cause::fault);
    Tried page;
    page.refusal = is_no_api(answer_head, record_.upstream);
    decide(page, recovery_.failed_for_good(symptom_of(*page.refusal, answer_head.status)));
    return page;
  }
  const protocol::UpstreamError error = error_of(relay, answer_head);
  const bool failed =
      answer_head.status >= 400 || relay.is_events() ||
      (!is_page && protocol::beginning_of(relay.held_error(), route_.api) == protocol::Beginning::error);
  if (!failed) {
    // The answer to another try would be like it.
    record_.cause = name_of(Cause::fault);
    Tried unfit;
    unfit.refusal = does_not_fit(answer_head, record_.upstream);
    return unfit;
  }
  Diagnosis diagnosis = diagnose(answer_head.status < 400 ? 200 : answer_head.status, answer_head, error,
                                 destination_.upstream->error_rules, std::chrono::system_clock::now());
  if (!diagnosis.hint && diagnosis.cause == Cause::minute_budget)
    diagnosis.hint = wait_for_room(*destination_.upstream, answer_head, turn_.reserved_upstream());
  note_words(error, diagnosis.cause, answer_head.status);
  if (answer_head.status == 429) learn_requested(error);
  Tried tried;
  if (body_is_here && prepared_.added != AskUsage::nothing && refuses_stream_options(answer_head.status, error)) {
    // The caller has not asked for it: its call goes again with less, and so do those after it.
    recovery_.taken_in();
    session_.context().shared.usage_refusals.remember(record_.upstream, tokenizer_model(destination_), prepared_.added,
                                                      Clock::now());
    tried.refusal = prepare();
    tried.again = !tried.refusal;
    return tried;
  }
  if (settings_.learn.enabled) hear_refusal(turn_, *destination_.upstream, diagnosis, answer_head, error);
  const Symptom symptom = symptom_of(diagnosis.cause, answer_head.status, error);
  const bool our_key = !destination_.upstream->api_key.empty();
  const bool refuses_our_key = our_key && answer_head.status == 401 && diagnosis.cause == Cause::caller;
  const Verdict verdict = refuses_our_key ? recovery_.refused_our_key(symptom) : recovery_.refused(diagnosis, symptom);
  tried.again = verdict == Verdict::again;
  if (tried.again) return tried;
  record_.outcome = "upstream_error";
  const bool as_it_came = relay.can_cross() && answer_head.status >= 400 && !downstream_.committed();
  if (as_it_came || relay.is_events()) {
    relay.release(verdict == Verdict::pointless);
  } else {
    tried.refusal = told_by(error, answer_head.status, diagnosis, verdict);
  }
  return tried;
}

// For a client that cannot be given it as it came.
Refusal Exchange::told_by(const protocol::UpstreamError& error, int status, const Diagnosis& diagnosis,
                          Verdict verdict) const {
  Refusal refusal = upstream_error(status, error);
  if (diagnosis.hint) say_when(refusal, *diagnosis.hint);
  if (verdict == Verdict::pointless) say_pointless(refusal);
  return refusal;
}

void Exchange::decide(Tried& tried, Verdict verdict) {
  tried.again = verdict == Verdict::again;
  if (verdict == Verdict::pointless && tried.refusal) say_pointless(*tried.refusal);
}

// What it is by its head. Of a stream, anything that does not say that it is JSON: some servers call theirs text.
AnswerKind Exchange::kind_of(const net::ResponseHead& answer_head, bool wants_id) const {
  const std::string_view type = answer_head.value_of("content-type");
  if (!route_.reads_body()) return wants_id && is_json_type(type) ? AnswerKind::json : AnswerKind::raw;
  const bool events = net::equals_ignoring_case(type.substr(0, event_stream.size()), event_stream) ||
                      (view_.stream && !is_json_type(type));
  AnswerKind kind = AnswerKind::raw;
  if (answer_head.status >= 400) {
    kind = AnswerKind::error;
  } else if (answer_head.status < 300 && is_plain(answer_head)) {
    kind = events ? AnswerKind::events : AnswerKind::json;
  }
  const AnswerKind promised = view_.stream ? AnswerKind::events : AnswerKind::json;
  const bool fits = !downstream_.begun() || (kind == promised && answer_head.status != 204);
  return fits ? kind : AnswerKind::error;
}

RelayOptions Exchange::relay_options(UpstreamCall& call) {
  const net::ResponseHead& answer_head = call.head();
  const bool success = answer_head.status >= 200 && answer_head.status < 300;

  RelayOptions options;
  options.api = route_.api;
  options.hide_usage = prepared_.hide;
  options.choices = view_.many_prompts ? 0 : view_.n;
  options.upstream = destination_.upstream->name;
  options.request_id = record_.request_id;
  options.timeouts = &timeouts_of(destination_);
  if (route_.reads_body()) {
    options.at_first_content = [this] {
      kept_.reset();
      body_claim_.hold(body_bytes_.size());
      // Whoever breaks off JSON remembers why, by the body.
      if (view_.stream) release_body();
    };
  }
  const bool issues = settings_.upstreams.size() > 1 && success && head_.method == "POST";
  options.wants_id = issues && (route_.api == Api::responses || route_.api == Api::other);
  options.kind = kind_of(answer_head, options.wants_id);

  const bool ends_with_connection = call.framing().kind == net::BodyFraming::Kind::until_close;
  options.framing = call.framing();
  const bool to_be_framed = ends_with_connection || (options.kind == AnswerKind::events &&
                                                     options.framing.kind == net::BodyFraming::Kind::length);
  if (to_be_framed) options.framing = {net::BodyFraming::Kind::chunked, 0};
  if (options.framing.kind == net::BodyFraming::Kind::chunked && head_.version < 11) {
    options.framing = {net::BodyFraming::Kind::until_close, 0};
    session_.close_after_this();
  }
  // An answer to an upload that is not over yet: the rest of it stands where the next request would begin.
  if (!route_.reads_body() && framing_.kind != net::BodyFraming::Kind::none && !body_->complete())
    session_.linger_after_this();
  options.fields = [this, &call](const RelayOptions& made) { return downstream_fields(call.head(), made); };
  return options;
}

// The head, or the trailers behind one that went out before anything was known.
std::string Exchange::downstream_fields(const net::ResponseHead& answer_head, const RelayOptions& options) {
  DownstreamResponse response;
  response.body = options.framing;
  response.to_head = head_.method == "HEAD";
  response.keep_alive = session_.keep_alive() && !session_.context().shared.draining;
  if (!response.keep_alive) session_.close_after_this();
  response.request_id = record_.request_id;
  response.upstream = record_.upstream;
  response.ignored_params = prepared_.ignored;
  response.attempts = record_.attempts;
  response.from_weir = destination_.upstream->queue_headers;
  response.event_stream = options.kind == AnswerKind::events;
  response.cors_origin = cors_origin();
  const std::string lines = turn_.header_lines(record_.queued_upstream);
  response.budget_lines = lines;
  response.has_own_limits = turn_.has_own_limits();
  return downstream_.begun() ? write_trailers(response, answer_head) : write_downstream_head(response, answer_head);
}

}  // namespace weir::proxy
