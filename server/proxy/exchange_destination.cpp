// Of an exchange: where the call may go, where it can start first, and what it is there: its body, its head, its cost,
// its place in line.
#include <algorithm>

#include "proxy/account_choice.hpp"
#include "proxy/batch_service.hpp"
#include "proxy/exchange_steps.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/patience.hpp"
#include "proxy/submission.hpp"

namespace weir::proxy {
namespace {

using net::Clock;
using protocol::Api;

// Accounts where a call can start within this time of each other are as good; a long prompt is worth waiting a little
// for the account that has it in its cache.
constexpr std::chrono::milliseconds as_good{50};
constexpr std::chrono::milliseconds as_good_for_long{1000};
// An account where the call has just failed is asked again when no other can take it so soon.
constexpr std::chrono::milliseconds in_vain_there{2000};
// What a waiting call must gain by moving to another account.
constexpr std::chrono::milliseconds worth_moving{500};

}  // namespace

net::Task<MaybeRefusal> Exchange::choose_and_prepare() {
  const std::string_view wanted = head_.value_of("x-weir-upstream");
  IssuedIds& issued = session_.context().shared.issued;
  std::string issuer;
  if (!view_.previous_response_id.empty()) issuer = issued.upstream_of(view_.previous_response_id).value_or("");
  const std::string asked = route_.api == Api::models ? asked_model(route_.path) : view_.model;
  auto chosen = route_.reads_body() || !asked.empty()
                    ? choose_by_model(*snapshot_, client_, asked, wanted, issuer)
                    : choose_without_model(*snapshot_, client_, head_.method, route_, wanted, issued);
  if (auto* refusal = std::get_if<Refusal>(&chosen)) co_return std::move(*refusal);
  destinations_ = std::move(std::get<Destinations>(chosen));
  record_.upstream = destinations_.front().upstream->name;
  std::erase_if(destinations_, [&](const Destination& each) { return !serves(*each.upstream, route_); });
  if (destinations_.empty()) co_return api_not_served(route_.full_path, record_.upstream);
  for (Destination& each : destinations_) each.batch = batch_service_of(*each.upstream, route_.path);
  arrived_ = first_arrival();
  estimate_prompt(destinations_.front());
  configure_heartbeat();
  if (!route_.reads_body()) body_->invite();
  recovery_.begin(route_.reads_body(), view_.has_side_effects,
                  [this](Recovery::By by) { return can_go_elsewhere(by); });
  co_return go_to(destinations_[best_destination()]);
}

// Where it can start first, of those that are of use; of all if none is.
std::size_t Exchange::best_destination() {
  if (destinations_.size() == 1) return 0;
  std::vector<AccountOffer> offers;
  offers.reserve(destinations_.size());
  bool any_of_use = false;
  for (const Destination& each : destinations_) {
    const std::string& name = each.upstream->name;
    const Turn::Request request = turn_request(each);
    net::Instant start = turn_.predicted_start(request);
    const net::Instant again = recovery_.not_before(name);
    if (again > net::Instant::min()) start = std::max({start, again, Clock::now() + in_vain_there});
    const bool of_use = !recovery_.is_useless(request.names);
    any_of_use = any_of_use || of_use;
    offers.push_back({name, each.weight, each.order, start, !of_use});
  }
  if (!any_of_use) {
    for (AccountOffer& offer : offers) offer.left_out = false;
  }
  const std::string_view body = body_bytes_.view();
  return choose_account(offers, is_long(body) ? as_good_for_long : as_good, likeness_of(body, record_.request_id));
}

bool Exchange::can_go_elsewhere(Recovery::By by) {
  if (destinations_.size() == 1) return false;
  const net::Instant soon = Clock::now() + as_good;
  return std::any_of(destinations_.begin(), destinations_.end(), [&](const Destination& each) {
    if (each.upstream == destination_.upstream) return false;
    const Turn::Request request = turn_request(each);
    if (recovery_.is_useless(request.names)) return false;
    return by == Recovery::By::sometime || turn_.predicted_start(request) <= soon;
  });
}

bool Exchange::may_start_sooner_elsewhere() {
  return turn_.starts_at() > Clock::now() + worth_moving && can_go_elsewhere(Recovery::By::now);
}

// From here on the call belongs to this account: its rules, its prices, its place in line.
MaybeRefusal Exchange::go_to(const Destination& destination) {
  destination_ = destination;
  record_.upstream = destination_.upstream->name;
  if (auto refusal = prepare()) return refusal;
  estimate_prompt(destination_);
  Turn::Request request = turn_request(destination_);
  record_.priority = word_of(request.priority);
  recovery_.go_to(record_.upstream, request.names);
  turn_.prepare(std::move(request));
  record_.reserved_tokens = turn_.reserved();
  return std::nullopt;
}

// The body as this account takes it.
MaybeRefusal Exchange::prepare() {
  if (!route_.reads_body()) return std::nullopt;
  if (view_.members.empty()) read_members();
  const UsageRefusals& refusals = session_.context().shared.usage_refusals;
  const AskUsage most = refusals.most(record_.upstream, tokenizer_model(destination_), Clock::now());
  auto prepared = prepare_body(body_bytes_.view(), view_, destination_, most);
  if (auto* refusal = std::get_if<Refusal>(&prepared)) return std::move(*refusal);
  prepared_ = std::move(std::get<PreparedBody>(prepared));
  body_pieces_ = protocol::apply_splices(body_bytes_.view(), prepared_.splices);
  return std::nullopt;
}

// It is sent: kept for another try as long as there is room for it.
void Exchange::keep_body() {
  if (!kept_) {
    kept_.emplace(session_.context().shared.kept_bodies, session_.context().worker, [this] { release_body(); });
  }
  kept_->sent(body_bytes_.size(), settings_.retry.kept_bodies_max);
  body_claim_.release();
  // What can be made of the body again is not kept beside it: many calls wait long, and few are sent again.
  std::vector<protocol::Member>().swap(view_.members);
  std::vector<protocol::Splice>().swap(prepared_.splices);
  std::vector<std::string_view>().swap(body_pieces_);
}

// The body has been understood before.
void Exchange::read_members() {
  const protocol::ReadLimits limits{settings_.limits.json_depth_max};
  auto read = session_.context().reader.read(body_bytes_.view(), route_.api, limits);
  if (auto* view = std::get_if<protocol::RequestView>(&read)) view_.members = std::move(view->members);
}

// Whether there can be another try with it.
bool Exchange::take_body_back() {
  if (!kept_ || kept_->take_back()) return true;
  recovery_.forget_body();
  return false;
}

// Nothing is sent from it any more.
void Exchange::release_body() {
  if (!view_.stream && !call_hash_) call_hash_ = hash_of_call(call_name());
  std::vector<std::string_view>().swap(body_pieces_);
  body_bytes_ = BodyBuffer();
  body_claim_.release();
}

OutgoingRequest Exchange::outgoing() {
  const Upstream& upstream = *destination_.upstream;
  OutgoingRequest request;
  request.method = head_.method;
  UpstreamRequest described;
  if (route_.reads_body()) {
    request.body = body_pieces_;
    request.at_sent = [this] { keep_body(); };
    described.body.kind = net::BodyFraming::Kind::length;
    for (const std::string_view piece : body_pieces_) described.body.length += piece.size();
  } else {
    request.framing = described.body = framing_;
    if (framing_.kind != net::BodyFraming::Kind::none) request.stream = body_.get();
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
  Turn::Request request;
  request.owner = {client_.identity, record_.request_id, client_.name};
  request.output_model = tokenizer_model(destination);
  std::string_view model;
  if (settings_.learn.enabled && route_.reads_body())
    model = destination.model.empty() ? view_.model : destination.model;
  request.names = budget_names(client_, destination, settings_.clients.mode, model);
  request.ramps = ramps_up(destination);
  const ChargePlan plan = plan_of(destination);
  const std::uint64_t expected =
      session_.context().shared.outputs.expect(client_.identity, tokenizer_model(destination), plan.output_cap).mean;
  // Others count as a request: what they take is none, or is not told in tokens.
  if (route_.reads_body() && !route_.only_counts()) {
    request.own = own_cost(plan, expected);
    request.upstream = upstream_cost(plan, expected, destination.upstream->reserves_cap);
  }
  request.sub_lane =
      sub_lane_of(head_, view_, key_of(client_, settings_.clients.mode), session_.client().wire().peer_address());
  request.priority = priority_of(head_, client_);
  request.bytes = body_bytes_.size();
  request.arrived = arrived_;
  request.since = session_.head_read_at();
  const WaitBound bound =
      wait_bound(head_, settings_.queue.wait_max, heartbeat_.first_after(), Duration(expected * 20));
  request.wait_bound = bound.time;
  request.bounded_by = bound.by;
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
  const auto old = session_.context().shared.old_places.find(call_name(), Clock::now());
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

void Exchange::configure_heartbeat() {
  Heartbeat::Form form = Heartbeat::Form::none;
  if (route_.reads_body()) {
    form = !view_.stream                 ? Heartbeat::Form::space
           : route_.api == Api::messages ? Heartbeat::Form::ping
                                         : Heartbeat::Form::comment;
  }
  // A call knows better than its key.
  const std::string_view asked = head_.value_of("x-weir-heartbeat");
  const bool by_key = !client_.key || client_.key->heartbeat;
  if (asked == "off" || (asked != "on" && !by_key)) form = Heartbeat::Form::none;
  heartbeat_.configure(form, settings_.heartbeat, session_.head_read_at());
  heartbeat_.set_head(record_.request_id, cors_origin(),
                      wants_trailers(head_) ? Heartbeat::Trailers::announced : Heartbeat::Trailers::none);
}

}  // namespace weir::proxy
