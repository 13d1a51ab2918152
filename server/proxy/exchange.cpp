#include "proxy/exchange.hpp"

#include <algorithm>
#include <stdexcept>

#include "protocol/error_body.hpp"
#include "protocol/requested_figure.hpp"
#include "proxy/account_choice.hpp"
#include "proxy/authenticate.hpp"
#include "proxy/cause.hpp"
#include "proxy/choose_upstream.hpp"
#include "proxy/client_body.hpp"
#include "proxy/cost.hpp"
#include "proxy/downstream.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/local_answers.hpp"
#include "proxy/own_api.hpp"
#include "proxy/parameter_rules.hpp"
#include "proxy/patience.hpp"
#include "proxy/recovery.hpp"
#include "proxy/relay.hpp"
#include "proxy/route.hpp"
#include "proxy/submission.hpp"
#include "proxy/tell_failure.hpp"
#include "proxy/trace_context.hpp"
#include "proxy/turn.hpp"
#include "proxy/upstream_call.hpp"

namespace weir::proxy {
namespace {

using net::Clock;
using net::Failure;
using protocol::Api;
using Verdict = Recovery::Verdict;
using Choice = net::UpstreamPool::Choice;

// A connection that its peer had closed breaks within a round trip.
constexpr std::chrono::seconds stale_after_send_max{2};
constexpr std::string_view event_stream = "text/event-stream";

// Accounts where a call can start within this time of each other are as good; a long prompt is worth waiting a little
// for the account that has it in its cache.
constexpr std::chrono::milliseconds as_good{50};
constexpr std::chrono::milliseconds as_good_for_long{1000};
// An account where the call has just failed is asked again when no other can take it so soon.
constexpr std::chrono::milliseconds in_vain_there{2000};
// How often a waiting call looks whether another account could take it, and what it has to gain by that.
constexpr std::chrono::milliseconds look_elsewhere_every{500};
constexpr std::chrono::milliseconds worth_moving{500};

Symptom symptom_of(const Refusal& refusal) {
  return {Cause::fault, refusal.status, refusal.type, refusal.code, refusal.message};
}

class Exchange {
 public:
  explicit Exchange(Session& session)
      : session_(session),
        snapshot_(session.context().snapshot),
        settings_(*snapshot_->settings),
        head_(session.head()),
        downstream_(session),
        heartbeat_(session, downstream_),
        turn_(session),
        recovery_(session, turn_, settings_) {}

  net::Task<void> run();

 private:
  std::optional<Refusal> check_head();
  net::Task<std::optional<Refusal>> serve();
  net::Task<std::optional<Refusal>> serve_own();
  net::Task<std::optional<Refusal>> read_request();
  std::optional<Refusal> true_answer();
  void remember_true_answer(const Refusal& refusal);
  net::Task<std::optional<Refusal>> choose_and_prepare();
  net::Task<std::optional<Refusal>> call_upstream();
  std::size_t best_destination();
  bool can_go_elsewhere();
  bool may_start_sooner_elsewhere();
  std::optional<Refusal> go_to(const Destination& destination);
  std::optional<Refusal> prepare();
  Turn::Request turn_request(const Destination& destination);
  ChargePlan plan_of(const Destination& destination) const;
  net::Instant first_arrival();
  void estimate_prompt(const Destination& destination);
  void configure_heartbeat();
  // What one try came to.
  struct Tried {
    bool again = false;
    std::optional<Refusal> refusal;  // not again: what the client is told, if anything
  };
  net::Task<Tried> try_once(const OutgoingRequest& request);
  Tried take_failure(const Failure& failure);
  Tried take_error(Relay& relay, const net::ResponseHead& answer_head);
  void learn_requested(const protocol::UpstreamError& error);
  void decide(Tried& tried, Verdict verdict);
  net::Task<Tried> relay_answer(UpstreamCall& call);
  RelayOptions relay_options(UpstreamCall& call);
  void note_try(int status, std::string_view cause);
  void note_relayed(const Relay& relay);
  void note_cost(const protocol::Usage& usage);
  void settle(const Relay& relay, int status);
  std::string_view tokenizer_model(const Destination& destination) const;
  void learn(const protocol::Usage& usage);
  OutgoingRequest outgoing();
  void leave_body();
  net::Task<void> answer(std::string text);
  net::Task<void> refuse(const Refusal& refusal);
  void note_outcome(const std::optional<Refusal>& refusal);
  void log();
  std::string_view cors_origin() const;
  std::string cors_lines() const;
  bool is_json() const;

  Session& session_;
  SnapshotPtr snapshot_;
  const Settings& settings_;
  const net::RequestHead& head_;
  Downstream downstream_;
  Heartbeat heartbeat_;
  Turn turn_;
  Recovery recovery_;
  Route route_;
  Client client_;
  net::BodyFraming framing_;
  std::optional<ClientBody> body_;
  BodyBuffer body_bytes_;
  protocol::RequestView view_;
  protocol::PromptEstimate estimate_;
  std::string_view estimated_as_;  // the model whose tokenizer the estimate is of
  net::Instant arrived_{};         // of the caller, its SDK's earlier tries included
  Destinations destinations_;      // where the call may go
  Destination destination_;        // where it goes
  OutgoingRequest outgoing_;       // and what is sent there
  PreparedBody prepared_;
  std::vector<std::string_view> body_pieces_;
  observe::ExchangeRecord record_;
};

net::Task<void> Exchange::run() {
  record_.request_id = usable_request_id(head_);
  if (record_.request_id.empty()) record_.request_id = session_.context().shared.mint_id();
  record_.method = head_.method.substr(0, 16);
  record_.trace_id = trace_id_of(head_.value_of("traceparent"));
  route_ = find_route(head_.method, head_.target);
  record_.path = route_.full_path.substr(0, 256);
  record_.operation = protocol::operation_of(route_.api);

  std::optional<Refusal> refusal = check_head();
  if (!refusal) refusal = co_await serve();
  note_outcome(refusal);
  // A client that is told to go by shutdown hears why.
  const bool listens = !session_.client_left() && !session_.client().write_failed();
  if (refusal && listens && !downstream_.committed()) {
    co_await refuse(*refusal);
  } else if (refusal && listens) {
    const auto form = view_.stream ? FailureForm::event : FailureForm::broken;
    remember_true_answer(*refusal);
    tell_failure(session_, downstream_, form, *refusal, route_.api, record_.request_id);
  }
  log();
}

// What can be said before the body is read.
std::optional<Refusal> Exchange::check_head() {
  if (auto error = net::check_request_target(head_)) return refuse_head(*error);
  auto framing = net::request_framing(head_);
  if (const auto* error = std::get_if<net::HeadError>(&framing)) return refuse_head(*error);
  framing_ = std::get<net::BodyFraming>(framing);
  if (auto refusal = check_forwardable(head_, session_.context().shared.via)) return refusal;
  if (const std::string_view upgrade = head_.value_of("upgrade"); net::list_contains(upgrade, "websocket"))
    return refuse_websocket();
  if (const net::Field* expect = head_.find("expect"); expect && head_.version >= 11) {
    if (!net::equals_ignoring_case(expect->value, "100-continue")) return refuse_expectation(expect->value);
  }
  return std::nullopt;
}

net::Task<std::optional<Refusal>> Exchange::serve() {
  const bool probe = route_.kind == Route::Kind::healthz || route_.kind == Route::Kind::readyz;
  if (probe) {
    leave_body();
    co_await answer(
        answer_probe(route_.kind, *snapshot_, session_.context().shared, Door::clients, session_.keep_alive()));
    record_.outcome = "probe";
    co_return std::nullopt;
  }
  if (session_.context().shared.draining) co_return shutting_down();
  if (auto refusal = check_origin(head_, settings_.clients)) co_return refusal;
  if (head_.method == "OPTIONS" && !cors_origin().empty()) {
    leave_body();
    co_await answer(answer_preflight(cors_origin(), session_.keep_alive()));
    co_return std::nullopt;
  }
  auto authenticated = authenticate(head_, *snapshot_);
  if (auto* refusal = std::get_if<Refusal>(&authenticated)) co_return std::move(*refusal);
  client_ = std::move(std::get<Client>(authenticated));
  record_.client = client_.name;
  if (route_.kind == Route::Kind::own) co_return co_await serve_own();
  if (route_.kind != Route::Kind::forward) co_return unknown_route(head_.method, route_.full_path);

  const bool own_list = !settings_.models_from_upstream || (client_.key && !client_.key->models.empty());
  if (route_.api == Api::models && own_list && head_.value_of("x-weir-upstream").empty()) {
    leave_body();
    const std::vector<ListedModel> asked = co_await session_.context().models.list(session_, snapshot_, client_);
    if (session_.gone()) co_return std::nullopt;
    co_await answer(
        answer_models(*snapshot_, client_, record_.request_id, cors_origin(), session_.keep_alive(), asked));
    co_return std::nullopt;
  }
  auto refusal = co_await read_request();
  if (!refusal) refusal = true_answer();
  if (refusal || session_.gone()) co_return refusal;
  refusal = co_await choose_and_prepare();
  if (refusal || session_.gone()) co_return refusal;
  co_return co_await call_upstream();
}

// What is asked of weir itself.
net::Task<std::optional<Refusal>> Exchange::serve_own() {
  leave_body();
  auto own = answer_own(head_.method, route_.full_path, client_, session_.context().shared.gate);
  if (auto* refusal = std::get_if<Refusal>(&own)) co_return std::move(*refusal);
  const std::string headers = "x-request-id: " + record_.request_id + "\r\ncache-control: no-store\r\n" + cors_lines();
  co_await answer(write_json_answer(200, std::get<std::string>(own), headers, session_.keep_alive()));
  co_return std::nullopt;
}

// JSON routes: the whole body, understood. Others: nothing is read yet.
net::Task<std::optional<Refusal>> Exchange::read_request() {
  body_.emplace(session_, framing_, settings_.limits.body_bytes_max);
  if (!route_.reads_body()) co_return std::nullopt;
  if (settings_.clients.mode == ClientMode::open && !is_json()) co_return refuse_media(head_.value_of("content-type"));
  body_->invite();
  auto refusal = co_await body_->read_whole(body_bytes_);
  if (refusal || session_.gone()) co_return refusal;
  record_.bytes_in = body_bytes_.size();
  const protocol::ReadLimits limits{settings_.limits.json_depth_max};
  auto read = session_.context().reader.read(body_bytes_.view(), route_.api, limits);
  if (const auto* error = std::get_if<protocol::BodyError>(&read)) co_return refuse_body(*error);
  view_ = std::move(std::get<protocol::RequestView>(read));
  record_.model = view_.model.substr(0, 128);
  record_.stream = view_.stream;
  co_return std::nullopt;
}

// A JSON answer that began with white space and then failed was broken off, with no word why. Whoever asks the same
// again hears it.
std::optional<Refusal> Exchange::true_answer() {
  if (!route_.reads_body() || view_.stream) return std::nullopt;
  return session_.context().shared.true_answers.find(client_.name, body_bytes_.view(), Clock::now());
}

void Exchange::remember_true_answer(const Refusal& refusal) {
  if (!route_.reads_body() || view_.stream || downstream_.finished() || session_.insisted()) return;
  Refusal answer = refusal;
  say_pointless(answer);
  session_.context().shared.true_answers.remember(client_.name, body_bytes_.view(), std::move(answer), Clock::now());
}

net::Task<std::optional<Refusal>> Exchange::choose_and_prepare() {
  const std::string_view wanted = head_.value_of("x-weir-upstream");
  IssuedIds& issued = session_.context().shared.issued;
  std::string issuer;
  if (!view_.previous_response_id.empty()) issuer = issued.upstream_of(view_.previous_response_id).value_or("");
  auto chosen = route_.reads_body() ? choose_by_model(*snapshot_, client_, view_.model, wanted, issuer)
                                    : choose_without_model(*snapshot_, client_, route_, wanted, issued);
  if (auto* refusal = std::get_if<Refusal>(&chosen)) co_return std::move(*refusal);
  destinations_ = std::move(std::get<Destinations>(chosen));
  record_.upstream = destinations_.front().upstream->name;
  std::erase_if(destinations_,
                [&](const Destination& each) { return upstream_target(*each.upstream, route_).empty(); });
  if (destinations_.empty()) co_return api_not_served(route_.full_path, record_.upstream);
  arrived_ = first_arrival();
  estimate_prompt(destinations_.front());
  configure_heartbeat();
  if (!route_.reads_body()) body_->invite();
  recovery_.begin(route_.reads_body(), view_.has_side_effects, [this] { return can_go_elsewhere(); });
  co_return go_to(destinations_[best_destination()]);
}

// Where it can start first.
std::size_t Exchange::best_destination() {
  if (destinations_.size() == 1) return 0;
  std::vector<AccountOffer> offers;
  offers.reserve(destinations_.size());
  for (const Destination& each : destinations_) {
    const std::string& name = each.upstream->name;
    net::Instant start = turn_.predicted_start(turn_request(each));
    const net::Instant again = recovery_.not_before(name);
    if (again > net::Instant::min()) start = std::max({start, again, Clock::now() + in_vain_there});
    offers.push_back({name, each.weight, each.order, start});
  }
  const std::string_view body = body_bytes_.view();
  return choose_account(offers, is_long(body) ? as_good_for_long : as_good, likeness_of(body, record_.request_id));
}

bool Exchange::can_go_elsewhere() {
  if (destinations_.size() == 1) return false;
  const net::Instant soon = Clock::now() + as_good;
  return std::any_of(destinations_.begin(), destinations_.end(), [&](const Destination& each) {
    return each.upstream != destination_.upstream && turn_.predicted_start(turn_request(each)) <= soon;
  });
}

// From here on the call belongs to this account: its rules, its prices, its place in line.
std::optional<Refusal> Exchange::go_to(const Destination& destination) {
  destination_ = destination;
  record_.upstream = destination_.upstream->name;
  if (auto refusal = prepare()) return refusal;
  estimate_prompt(destination_);
  Turn::Request request = turn_request(destination_);
  record_.reserved_tokens = reserved_tokens(request.upstream);
  turn_.prepare(std::move(request));
  recovery_.go_to(record_.upstream);
  outgoing_ = outgoing();
  return std::nullopt;
}

// The body as this account takes it.
std::optional<Refusal> Exchange::prepare() {
  if (!route_.reads_body()) return std::nullopt;
  const UsageRefusals& refusals = session_.context().shared.usage_refusals;
  const bool refused = refusals.knows(record_.upstream, tokenizer_model(destination_), Clock::now());
  auto prepared =
      prepare_body(body_bytes_.view(), view_, destination_, refused ? AskUsage::no : AskUsage::where_understood);
  if (auto* refusal = std::get_if<Refusal>(&prepared)) return std::move(*refusal);
  prepared_ = std::move(std::get<PreparedBody>(prepared));
  body_pieces_ = protocol::apply_splices(body_bytes_.view(), prepared_.splices);
  return std::nullopt;
}

OutgoingRequest Exchange::outgoing() {
  const Upstream& upstream = *destination_.upstream;
  OutgoingRequest request;
  request.method = head_.method;
  UpstreamRequest described;
  if (route_.reads_body()) {
    request.body = body_pieces_;
    described.body.kind = net::BodyFraming::Kind::length;
    for (const std::string_view piece : body_pieces_) described.body.length += piece.size();
  } else {
    request.framing = described.body = framing_;
    if (framing_.kind != net::BodyFraming::Kind::none) request.stream = &*body_;
  }
  const std::string target = upstream_target(upstream, route_);
  const net::Endpoint& endpoint = snapshot_->endpoints[snapshot_->index_of(upstream)];
  described.method = head_.method;
  described.target = target;
  described.absolute_form = endpoint.proxy && !endpoint.tls;
  if (described.absolute_form) described.proxy_authorization = endpoint.proxy->authorization;
  described.via = session_.context().shared.via;
  described.request_id = record_.request_id;
  if (upstream.queue_headers) {
    const auto left = std::chrono::duration_cast<Duration>(turn_.deadline() - Clock::now());
    described.caller = CallerInLine{named_lane_of(head_, client_), word_of(priority_of(head_, client_)), left};
  }
  request.head = write_upstream_head(described, head_, upstream, settings_.clients.mode);
  return request;
}

// What the call will cost an account and whom, and where its caller stands in line.
Turn::Request Exchange::turn_request(const Destination& destination) {
  const bool counted = route_.reads_body() || head_.method == "POST";
  Turn::Request request;
  request.owner = {client_.name, record_.request_id};
  request.output_model = tokenizer_model(destination);
  request.names = budget_names(client_, destination);
  const ChargePlan plan = plan_of(destination);
  const std::uint64_t expected =
      session_.context().shared.outputs.expect(client_.name, tokenizer_model(destination), plan.output_cap).mean;
  if (counted) {
    request.own = own_cost(plan, expected);
    request.upstream = upstream_cost(plan, expected, destination.upstream->reserves_cap);
  }
  request.sub_lane = sub_lane_of(head_, view_, !client_.key, session_.client().wire().peer_address());
  request.priority = priority_of(head_, client_);
  request.bytes = body_bytes_.size();
  request.arrived = arrived_;
  request.since = session_.head_read_at();
  request.wait_bound = wait_bound(head_, settings_.queue.wait_max, heartbeat_.first_after(), Duration(expected * 20));
  return request;
}

ChargePlan Exchange::plan_of(const Destination& destination) const {
  const InputTokens input{estimate_.input, estimate_.upper, estimate_.on_arrival};
  return plan_charge(view_, input, *destination.upstream, destination.profile);
}

// A caller whose SDK comes back after a refusal keeps the place it had.
net::Instant Exchange::first_arrival() {
  const net::Instant now = session_.head_read_at();
  const std::string_view count = head_.value_of("x-stainless-retry-count");
  if (count.empty() || count == "0" || !route_.reads_body()) return now;
  const auto old = session_.context().shared.old_places.find(client_.name, body_bytes_.view(), Clock::now());
  return old ? std::min(now, *old) : now;
}

void Exchange::estimate_prompt(const Destination& destination) {
  if (!route_.reads_body() || estimated_as_ == tokenizer_model(destination)) return;
  estimated_as_ = tokenizer_model(destination);
  estimate_ = session_.context().shared.estimator.estimate(body_bytes_.view(), view_, estimated_as_);
  if (estimate_.input > 0) record_.estimated_input_tokens = static_cast<std::uint64_t>(estimate_.input);
}

// The upstream's own name for the model decides about its tokenizer.
std::string_view Exchange::tokenizer_model(const Destination& destination) const {
  return destination.model.empty() ? std::string_view(view_.model) : destination.model;
}

void Exchange::learn(const protocol::Usage& usage) {
  if (usage.output) {
    session_.context().shared.outputs.learn(client_.name, tokenizer_model(destination_), *usage.output, turn_.told());
  }
  if (usage.input && *usage.input > 0) {
    session_.context().shared.estimator.learn(tokenizer_model(destination_), estimate_, *usage.input);
  }
}

// The one place where a provider shows its own estimate.
void Exchange::learn_requested(const protocol::UpstreamError& error) {
  const auto figure = protocol::read_requested_figure(error.message);
  if (!figure || !figure->of_tokens) return;
  const ChargePlan plan = plan_of(destination_);
  if (const auto input = input_of_requested(plan, view_, figure->requested))
    session_.context().shared.estimator.learn_requested(tokenizer_model(destination_), estimate_, *input);
}

void Exchange::configure_heartbeat() {
  Heartbeat::Form form = Heartbeat::Form::none;
  if (route_.reads_body()) {
    form = !view_.stream                 ? Heartbeat::Form::space
           : route_.api == Api::messages ? Heartbeat::Form::ping
                                         : Heartbeat::Form::comment;
  }
  if (head_.value_of("x-weir-heartbeat") == "off" || (client_.key && !client_.key->heartbeat))
    form = Heartbeat::Form::none;
  heartbeat_.configure(form, settings_.heartbeat, session_.head_read_at());
  heartbeat_.set_head(record_.request_id, cors_origin());
}

net::Task<std::optional<Refusal>> Exchange::call_upstream() {
  Shared& shared = session_.context().shared;
  for (;;) {
    if (auto refusal = recovery_.no_use()) co_return refusal;
    turn_.bound_wait(recovery_.patience_ends(Clock::now()));
    const net::Instant look_up = destinations_.size() > 1 ? Clock::now() + look_elsewhere_every : net::Instant::max();
    auto refused = co_await turn_.take(recovery_.not_before(record_.upstream), look_up, heartbeat_);
    record_.queued = turn_.queued();
    record_.heartbeats_sent = heartbeat_.sent();
    if (refused) {
      if (route_.reads_body() && refused->status == 429) {
        shared.old_places.remember(client_.name, body_bytes_.view(), turn_.arrived(), Clock::now());
      }
      if (auto reason = recovery_.why_not()) co_return reason;
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
      if (++record_.attempts == 1) shared.retries.note_first_try(destination_.upstream->name);
      auto tried = co_await try_once(outgoing_);
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

bool Exchange::may_start_sooner_elsewhere() {
  return turn_.starts_at() > Clock::now() + worth_moving && can_go_elsewhere();
}

net::Task<Exchange::Tried> Exchange::try_once(const OutgoingRequest& request) {
  const Upstream& upstream = *destination_.upstream;
  const net::Endpoint& endpoint = snapshot_->endpoints[snapshot_->index_of(upstream)];
  // An upload cannot be sent twice, so it never goes on a connection that may have gone stale.
  Choice choice = request.stream ? Choice::fresh_only : Choice::any;
  for (;;) {
    if (upstream.queue_headers) outgoing_ = outgoing();  // less of the wait is left
    UpstreamCall call(session_, endpoint, upstream.timeouts, heartbeat_);
    Failure failure = co_await call.connect(choice);
    if (!failure && !session_.gone()) {
      turn_.sent();
      failure = co_await call.start(request);
    }
    Tried tried;
    if (call.refusal()) {
      tried.refusal = std::move(*call.refusal());
      co_return tried;
    }
    if (session_.gone()) {
      if (session_.insisted()) tried.refusal = shutting_down();
      co_return tried;
    }
    if (!failure) {
      tried = co_await relay_answer(call);
      co_return tried;
    }
    // A kept-alive connection that the upstream closed meanwhile: nothing was processed, so a fresh one is tried.
    // One that breaks only later may have broken under the work, which may have been billed.
    const bool at_once = Clock::now() - call.sent_at() < stale_after_send_max;
    const bool stale =
        failure.connection_reused && !failure.response_begun && failure.kind == Failure::Kind::reset && at_once;
    if (!stale) {
      tried = take_failure(failure);
      co_return tried;
    }
    choice = Choice::fresh_only;
    ++record_.attempts;
  }
}

// No answer came.
Exchange::Tried Exchange::take_failure(const Failure& failure) {
  const Upstream& upstream = *destination_.upstream;
  record_.detail = failure.detail;
  Tried tried;
  const bool timeout = failure.kind == Failure::Kind::timeout;
  if (timeout && failure.request_sent) {
    tried.refusal = upstream_too_slow(TimeLimit::first_byte, upstream.timeouts.first_byte, upstream.name);
  } else if (timeout) {
    tried.refusal = upstream_too_slow(TimeLimit::stall, upstream.timeouts.byte_gap, upstream.name);
  } else {
    tried.refusal = upstream_failed(failure, upstream.name);
  }
  note_try(0, tried.refusal->code);
  const auto trouble = failure.request_sent ? admission::Trouble::unanswered : admission::Trouble::unsent;
  decide(tried, timeout ? recovery_.timed_out(symptom_of(*tried.refusal))
                        : recovery_.failed(trouble, symptom_of(*tried.refusal)));
  // After the decision, or the next in line would go before the account is given its rest.
  if (failure.request_sent) {
    turn_.settle({}, admission::Ending::lost);
  } else {
    turn_.withdraw();
  }
  return tried;
}

void Exchange::decide(Tried& tried, Verdict verdict) {
  tried.again = verdict == Verdict::again;
  if (verdict == Verdict::pointless && tried.refusal) say_pointless(*tried.refusal);
}

net::Task<Exchange::Tried> Exchange::relay_answer(UpstreamCall& call) {
  const net::ResponseHead& answer_head = call.head();
  record_.status = answer_head.status;
  record_.upstream_request_id = answer_head.value_of("x-request-id");
  if (call.first_byte_at()) {
    record_.first_byte =
        std::chrono::duration_cast<std::chrono::microseconds>(*call.first_byte_at() - session_.head_read_at());
  }
  if (answer_head.status < 400) turn_.taken_in();
  Relay relay(session_, call, downstream_, heartbeat_, turn_, relay_options(call));
  const bool streams = answer_head.status < 300 && view_.stream;
  observe::Metrics& metrics = session_.context().shared.metrics;
  if (streams) metrics.stream_opened();
  auto refusal = co_await relay.run();
  if (streams) metrics.stream_closed();
  if (relay.upstream_done()) {
    call.give_back();
  } else {
    call.discard();
  }
  note_relayed(relay);

  Tried tried;
  if (relay.holds_error() && !session_.gone()) {
    tried = take_error(relay, answer_head);
    note_try(answer_head.status, record_.cause);
    if (session_.client().has_unflushed() && !session_.gone()) co_await downstream_.drain();
  } else if (refusal) {
    note_try(answer_head.status, refusal->code);
    const bool early = !relay.opened() && !session_.gone();
    const bool timeout = refusal->status == 504;
    tried.refusal = std::move(refusal);
    if (early) {
      const Symptom symptom = symptom_of(*tried.refusal);
      decide(tried, timeout ? recovery_.timed_out(symptom) : recovery_.failed(admission::Trouble::failed, symptom));
    }
  } else if (relay.complete()) {
    record_.outcome = answer_head.status < 400 ? "ok" : "upstream_error";
    note_try(answer_head.status, {});
  }
  // After the decision, or the next in line would go before the account is given its rest.
  settle(relay, answer_head.status);
  if (downstream_.committed() && !downstream_.finished() && !tried.again) session_.close_after_this();
  co_return tried;
}

RelayOptions Exchange::relay_options(UpstreamCall& call) {
  const net::ResponseHead& answer_head = call.head();
  const std::string_view type = answer_head.value_of("content-type");
  const bool success = answer_head.status >= 200 && answer_head.status < 300;
  const bool plain = route_.reads_body() && answer_head.value_of("content-encoding").empty();

  RelayOptions options;
  options.api = route_.api;
  options.hide_usage = prepared_.asks_usage;
  options.upstream = destination_.upstream->name;
  options.request_id = record_.request_id;
  options.timeouts = destination_.upstream->timeouts;
  const bool issues = settings_.upstreams.size() > 1 && success && head_.method == "POST";
  options.wants_id = issues && (route_.api == Api::responses || route_.api == Api::other);
  if (plain && success && net::equals_ignoring_case(type.substr(0, event_stream.size()), event_stream)) {
    options.kind = AnswerKind::events;
  } else if ((plain && success) || (options.wants_id && type.starts_with("application/json"))) {
    options.kind = AnswerKind::json;
  } else if (plain && answer_head.status >= 400) {
    options.kind = AnswerKind::error;
  }

  DownstreamResponse response;
  const bool ends_with_connection = call.framing().kind == net::BodyFraming::Kind::until_close;
  response.body = call.framing();
  const bool to_be_framed = ends_with_connection || (options.kind == AnswerKind::events &&
                                                     response.body.kind == net::BodyFraming::Kind::length);
  if (to_be_framed) response.body = {net::BodyFraming::Kind::chunked, 0};
  if (response.body.kind == net::BodyFraming::Kind::chunked && head_.version < 11) {
    response.body = {net::BodyFraming::Kind::until_close, 0};
    session_.close_after_this();
  }
  // An answer to an upload that is not over yet: the rest of it stands where the next request would begin.
  if (!route_.reads_body() && framing_.kind != net::BodyFraming::Kind::none && !body_->complete())
    session_.linger_after_this();
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
  const std::string lines = turn_.header_lines();
  response.budget_lines = lines;
  response.has_own_limits = turn_.has_own_limits();
  options.head = write_downstream_head(response, answer_head);
  options.framing = response.body;
  return options;
}

void Exchange::note_try(int status, std::string_view cause) {
  record_.tries.push_back({destination_.upstream->name, status, std::string(cause)});
}

void Exchange::note_relayed(const Relay& relay) {
  if (const auto usage = relay.usage()) {
    record_.input_tokens = usage->input;
    record_.cached_tokens = usage->cached;
    record_.output_tokens = usage->output;
    record_.reasoning_tokens = usage->reasoning;
    note_cost(*usage);
  }
  if (relay.first_content_at()) {
    record_.first_content =
        std::chrono::duration_cast<std::chrono::microseconds>(*relay.first_content_at() - session_.head_read_at());
  }
  record_.content_gaps = relay.content_gaps();
  record_.events += relay.filter().events();
  record_.keepalives_absorbed += relay.filter().keepalives_absorbed();
  if (!relay.issued_id().empty()) session_.context().shared.issued.remember(relay.issued_id(), record_.upstream);
}

void Exchange::note_cost(const protocol::Usage& usage) {
  if (!destination_.profile || destination_.profile->prices.empty()) return;
  const auto cost = cost_of(destination_.profile->prices, usage, iso_time(std::chrono::system_clock::now()));
  if (!cost) return;
  record_.cost = cost->amount;
  record_.currency = cost->currency;
}

// The budgets get what was really used, as far as anybody knows.
void Exchange::settle(const Relay& relay, int status) {
  admission::Usage used;
  if (status >= 400) {
    // Turned away: no tokens. A failure of the upstream's own has read its input.
    const bool refused = status < 500 || status == 503 || status == 529;
    used.known = !refused;
    used.input = turn_.input();
    return turn_.settle(used, refused ? admission::Ending::refused : admission::Ending::complete);
  }
  const auto reported = relay.usage();
  if (reported && (reported->input || reported->output)) {
    used.known = true;
    used.input = static_cast<admission::Tokens>(reported->input.value_or(static_cast<std::uint64_t>(turn_.input())));
    used.cached = static_cast<admission::Tokens>(reported->cached.value_or(0));
    used.output = static_cast<admission::Tokens>(reported->output.value_or(relay.filter().contents()));
    learn(*reported);
  } else if (!relay.complete()) {
    // Cut off or left: what was produced is charged.
    used.known = true;
    used.input = turn_.input();
    used.output = static_cast<admission::Tokens>(relay.filter().contents());
  }
  turn_.settle(used, relay.complete() ? admission::Ending::complete : admission::Ending::cut_off);
}

// The upstream answered with an error and the client has heard nothing of it: another try, or the truth.
Exchange::Tried Exchange::take_error(Relay& relay, const net::ResponseHead& answer_head) {
  const protocol::UpstreamError error = protocol::read_error_body(relay.held_error());
  const Diagnosis diagnosis = diagnose(answer_head.status < 400 ? 200 : answer_head.status, answer_head, error,
                                       destination_.upstream->error_rules, std::chrono::system_clock::now());
  record_.cause = name_of(diagnosis.cause);
  record_.detail = error.message.substr(0, 200);
  if (answer_head.status == 429) learn_requested(error);
  Tried tried;
  if (prepared_.asks_usage && refuses_stream_options(answer_head.status, error)) {
    // The caller has not asked for it: its call goes again without, and so do those after it.
    recovery_.taken_in();
    session_.context().shared.usage_refusals.remember(record_.upstream, tokenizer_model(destination_), Clock::now());
    tried.refusal = prepare();
    tried.again = !tried.refusal;
    outgoing_ = outgoing();
    return tried;
  }
  const Verdict verdict =
      recovery_.refused(diagnosis, Symptom{diagnosis.cause, answer_head.status, error.type, error.code, error.message});
  tried.again = verdict == Verdict::again;
  if (tried.again) return tried;
  record_.outcome = "upstream_error";
  const bool in_form = answer_head.status < 400 && view_.stream;
  if (!downstream_.committed() || in_form) {
    relay.release(verdict == Verdict::pointless);
  } else {
    // An error with status 200 looks like an answer to libraries; it is told with a status that does not.
    tried.refusal = upstream_error(answer_head.status < 400 ? 502 : answer_head.status, error);
  }
  return tried;
}

// A request whose body is not wanted leaves it on the line: there is no telling where the next request begins.
void Exchange::leave_body() {
  if (framing_.kind != net::BodyFraming::Kind::none) session_.linger_after_this();
}

net::Task<void> Exchange::answer(std::string text) {
  text = fit_to_method(std::move(text), head_.method);
  record_.status = std::stoi(text.substr(text.find(' ') + 1, 3));
  record_.outcome = "ok";
  co_await session_.write_all(text);
}

net::Task<void> Exchange::refuse(const Refusal& refusal) {
  const bool body_unread = framing_.kind != net::BodyFraming::Kind::none && !(body_ && body_->complete());
  if (refusal.close || body_unread) session_.linger_after_this();
  if (session_.context().shared.draining) session_.close_after_this();
  std::string headers;
  if (record_.attempts > 0) {
    headers +=
        "x-weir-upstream: " + record_.upstream + "\r\nx-weir-attempts: " + std::to_string(record_.attempts) + "\r\n";
  }
  headers += cors_lines();
  const std::string text =
      write_refusal(refusal, route_.api, record_.request_id, session_.keep_alive(), head_.method == "HEAD", headers);
  co_await session_.write_all(text);
}

void Exchange::note_outcome(const std::optional<Refusal>& refusal) {
  if (refusal) {
    record_.error = refusal->code;
    if (record_.detail.empty()) record_.detail = refusal->message;
    if (!downstream_.committed()) record_.status = refusal->status;
    record_.outcome = session_.insisted() ? "shutdown" : record_.attempts > 0 ? "upstream_failed" : "refused";
  } else if (record_.outcome.empty()) {
    record_.outcome = session_.insisted() ? "shutdown" : "client_left";
    if (record_.status == 0) record_.status = 499;  // nginx's number for it; never sent
  }
}

void Exchange::log() {
  if (record_.outcome == "probe") return;
  record_.bytes_out = downstream_.bytes_sent();
  if (body_ && record_.bytes_in == 0) record_.bytes_in = body_->bytes_read();
  record_.duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - session_.head_read_at());
  session_.context().shared.note(record_);
}

std::string_view Exchange::cors_origin() const {
  const std::string_view origin = head_.value_of("origin");
  const auto& listed = settings_.clients.origins;
  return !origin.empty() && std::find(listed.begin(), listed.end(), origin) != listed.end() ? origin
                                                                                            : std::string_view();
}

std::string Exchange::cors_lines() const {
  if (cors_origin().empty()) return {};
  return "access-control-allow-origin: " + std::string(cors_origin()) + "\r\nvary: origin\r\n";
}

bool Exchange::is_json() const {
  std::string_view type = head_.value_of("content-type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return net::equals_ignoring_case(type, "application/json") ||
         (type.size() > 5 && net::equals_ignoring_case(type.substr(type.size() - 5), "+json"));
}

}  // namespace

net::Task<void> run_exchange(Session& session) {
  Exchange exchange(session);
  co_await exchange.run();
}

}  // namespace weir::proxy
