#include "proxy/exchange.hpp"

#include <algorithm>
#include <string>

#include "observe/utf8.hpp"
#include "proxy/authenticate.hpp"
#include "proxy/exchange_steps.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/local_answers.hpp"
#include "proxy/method.hpp"
#include "proxy/own_api.hpp"
#include "proxy/route_hints.hpp"
#include "proxy/tell_failure.hpp"
#include "proxy/trace_context.hpp"

namespace weir::proxy {

using net::Clock;
using protocol::Api;

net::Task<void> Exchange::run(Session& session) {
  Exchange exchange(session);
  MaybeRefusal refusal = exchange.begin();
  if (!refusal) refusal = co_await exchange.serve();
  refusal = exchange.end(std::move(refusal));
  if (refusal) co_await exchange.refuse(*refusal);
  exchange.log();
}

MaybeRefusal Exchange::begin() {
  record_.request_id = usable_request_id(head_);
  if (record_.request_id.empty()) record_.request_id = session_.context().shared.mint_id();
  record_.method = head_.method.substr(0, 16);
  record_.trace_id = trace_id_of(head_.value_of("traceparent"));
  route_ = find_route(head_.method, head_.target);
  record_.path = route_.full_path.substr(0, 256);
  if (!route_.only_counts()) record_.operation = protocol::operation_of(route_.api);
  return check_head();
}

// What is left to be answered.
MaybeRefusal Exchange::end(MaybeRefusal refusal) {
  note_outcome(refusal);
  if (refusal && downstream_.committed() && heartbeat_.sent() > 0) remember_true_answer(*refusal);
  // A client that is told to go by shutdown hears why.
  const bool listens = !session_.client_left() && !session_.client().write_failed();
  if (!refusal || !listens) return std::nullopt;
  if (!downstream_.committed()) return refusal;
  const auto form = view_.stream ? FailureForm::event : FailureForm::broken;
  downstream_.set_trailers(call_lines());
  tell_failure(session_, downstream_, form, *refusal, route_.shape(), record_.request_id);
  return std::nullopt;
}

// What can be said before the body is read.
MaybeRefusal Exchange::check_head() {
  if (auto error = net::check_request_target(head_)) return refuse_head(*error);
  auto framing = net::request_framing(head_);
  if (const auto* error = std::get_if<net::HeadError>(&framing)) return refuse_head(*error);
  framing_ = std::get<net::BodyFraming>(framing);
  if (!is_known_method(head_.method)) return unknown_method(head_.method, known_methods);
  if (auto refusal = check_credentials(head_)) return refusal;
  if (auto refusal = check_forwardable(head_, session_.context().shared.via)) return refusal;
  if (const std::string_view upgrade = head_.value_of("upgrade"); net::list_contains(upgrade, "websocket"))
    return refuse_websocket();
  if (const net::Field* expect = head_.find("expect"); expect && head_.version >= 11) {
    if (!net::equals_ignoring_case(expect->value, "100-continue")) return refuse_expectation(expect->value);
  }
  return std::nullopt;
}

net::Task<MaybeRefusal> Exchange::serve() {
  if (route_.kind == Route::Kind::healthz || route_.kind == Route::Kind::readyz) co_return co_await serve_probe();
  if (session_.context().shared.draining) co_return shutting_down();
  MaybeRefusal refusal = check_origin(head_, settings_.clients);
  if (refusal) co_return refusal;
  if (head_.method == "OPTIONS" && !cors_origin().empty()) co_return co_await serve_preflight();
  refusal = identify();
  if (refusal) co_return refusal;
  if (route_.kind == Route::Kind::own) co_return co_await serve_own();
  if (route_.kind == Route::Kind::posted) co_return unknown_method(head_.method, methods_of_read_paths);
  if (route_.kind != Route::Kind::forward)
    co_return unknown_route(head_.method, route_.full_path, client_route_hint(route_.full_path));
  if (has_own_list()) {
    const bool told = co_await serve_models();
    if (told || session_.gone()) co_return std::nullopt;
  }

  refusal = co_await read_request();
  if (!refusal && session_.insisted()) co_return shutting_down();
  if (!refusal) refusal = true_answer();
  if (refusal || session_.gone()) co_return refusal;
  refusal = co_await choose_and_prepare();
  if (refusal || session_.gone()) co_return refusal;
  co_return co_await call_upstream();
}

MaybeRefusal Exchange::identify() {
  auto authenticated = authenticate(head_, *snapshot_);
  if (auto* refusal = std::get_if<Refusal>(&authenticated)) {
    record_.address = session_.client().wire().peer_address();
    return std::move(*refusal);
  }
  client_ = std::move(std::get<Client>(authenticated));
  record_.client = client_.name;
  record_.client_identity = client_.identity;
  if (client_.key) turn_.introduce(client_.key->name, client_.key->team);
  return {};
}

// The list of models is weir's own, not an upstream's.
bool Exchange::has_own_list() const {
  if (route_.api != Api::models || !head_.value_of("x-weir-upstream").empty()) return false;
  return !settings_.models_from_upstream || (client_.key && !client_.key->models.empty());
}

net::Task<MaybeRefusal> Exchange::serve_probe() {
  leave_body();
  co_await answer(
      answer_probe(route_.kind, *snapshot_, session_.context().shared, Door::clients, session_.keep_alive()));
  record_.outcome = "probe";
  co_return std::nullopt;
}

net::Task<MaybeRefusal> Exchange::serve_preflight() {
  leave_body();
  co_await answer(answer_preflight(cors_origin(), session_.keep_alive()));
  co_return std::nullopt;
}

// The list, or one of it; false: not on it, so whoever would serve it is to say.
net::Task<bool> Exchange::serve_models() {
  const std::vector<ListedModel> asked = co_await session_.context().models.list(session_, snapshot_, client_);
  if (session_.gone()) co_return false;
  const std::vector<ListedModel> models = models_of(*snapshot_, client_, asked);
  std::string body;
  if (const std::string wanted = asked_model(route_.path); wanted.empty()) {
    body = model_list_json(models);
  } else {
    const auto found =
        std::find_if(models.begin(), models.end(), [&](const ListedModel& model) { return model.id == wanted; });
    if (found == models.end()) co_return false;
    body = model_json(*found);
  }
  leave_body();
  co_await answer(write_json_answer(200, body, own_lines(), session_.keep_alive()));
  co_return true;
}

// What is asked of weir itself.
net::Task<MaybeRefusal> Exchange::serve_own() {
  leave_body();
  Shared& shared = session_.context().shared;
  auto own = answer_own(head_.method, route_.full_path, client_, shared.gate, shared.callers);
  if (auto* refusal = std::get_if<Refusal>(&own)) co_return std::move(*refusal);
  const std::string headers = own_lines() + "cache-control: no-store\r\n";
  co_await answer(write_json_answer(200, std::get<std::string>(own), headers, session_.keep_alive()));
  co_return std::nullopt;
}

// JSON routes: the whole body, understood. Others: nothing is read yet.
net::Task<MaybeRefusal> Exchange::read_request() {
  if (!route_.reads_body()) {
    body_ = std::make_unique<ClientBody>(session_, framing_, settings_.limits);
    co_return std::nullopt;
  }
  const std::string_view encoding = head_.value_of("content-encoding");
  if (!encoding.empty() && !net::equals_ignoring_case(encoding, "identity")) co_return refuse_encoding(encoding);
  const std::string_view type = head_.value_of("content-type");
  if (settings_.clients.mode == ClientMode::open && !is_json_type(type)) co_return refuse_media(type);
  ClientBody body(session_, framing_, settings_.limits);
  auto refusal = co_await body.read_whole(body_bytes_, body_claim_);
  body_read_ = body.complete();
  record_.bytes_in = body.bytes_read();
  if (refusal || session_.gone()) co_return refusal;
  const protocol::ReadLimits limits{settings_.limits.json_depth_max};
  auto read = session_.context().reader.read(body_bytes_.view(), route_.api, limits);
  if (const auto* error = std::get_if<protocol::BodyError>(&read)) co_return refuse_body(*error);
  view_ = std::move(std::get<protocol::RequestView>(read));
  record_.model = observe::clean_utf8(view_.model, 128);
  record_.stream = view_.stream;
  co_return std::nullopt;
}

// A JSON answer that began with white space and then failed was broken off, with no word why. Whoever asks the same
// again hears it; more than once, since the AI SDK tries again whatever x-should-retry says.
MaybeRefusal Exchange::true_answer() {
  const std::string_view count = head_.value_of("x-stainless-retry-count");
  if (!route_.reads_body() || view_.stream || count == "0") return std::nullopt;
  return session_.context().shared.true_answers.find(call_name(), Clock::now());
}

CallName Exchange::call_name() const {
  return {client_.identity, route_.full_path, head_.value_of("x-weir-upstream"), body_bytes_.view()};
}

void Exchange::remember_true_answer(const Refusal& refusal) {
  if (!route_.reads_body() || view_.stream || downstream_.finished() || session_.insisted()) return;
  Refusal answer = refusal;
  say_pointless(answer);
  if (!call_hash_) call_hash_ = hash_of_call(call_name());
  session_.context().shared.true_answers.remember(*call_hash_, std::move(answer), Clock::now());
}

// A request whose body is not wanted leaves it on the line: there is no telling where the next request begins.
void Exchange::leave_body() {
  if (framing_.kind != net::BodyFraming::Kind::none) session_.linger_after_this();
}

net::Task<void> Exchange::answer(LocalAnswer answer) {
  const std::string text = fit_to_method(std::move(answer.text), head_.method);
  record_.status = answer.status;
  record_.outcome = "ok";
  co_await session_.write_all(text);
}

net::Task<void> Exchange::refuse(const Refusal& refusal) {
  const bool body_unread = framing_.kind != net::BodyFraming::Kind::none && !body_complete();
  if (refusal.close || body_unread) session_.linger_after_this();
  if (session_.context().shared.draining) session_.close_after_this();
  const std::string text = write_refusal(refusal, route_.shape(), record_.request_id, session_.keep_alive(),
                                         head_.method == "HEAD", call_lines() + turn_.own_limit_lines() + cors_lines());
  co_await session_.write_all(text);
}

// What is known of a call that weir itself answers.
std::string Exchange::call_lines() const {
  std::string lines;
  if (record_.attempts > 0) {
    lines =
        "x-weir-upstream: " + record_.upstream + "\r\nx-weir-attempts: " + std::to_string(record_.attempts) + "\r\n";
  }
  lines += "x-weir-queue-ms: " + std::to_string((turn_.queued() + record_.queued_upstream).count()) + "\r\n";
  return lines;
}

// With an answer that weir gives from what it knows itself.
std::string Exchange::own_lines() {
  return "x-request-id: " + record_.request_id + "\r\nx-weir-queue-ms: 0\r\n" + turn_.own_limit_lines() + cors_lines();
}

std::string_view Exchange::cors_origin() const {
  const std::string_view origin = head_.value_of("origin");
  const auto& listed = settings_.clients.origins;
  return !origin.empty() && std::find(listed.begin(), listed.end(), origin) != listed.end() ? origin
                                                                                            : std::string_view();
}

std::string Exchange::cors_lines() const {
  return cors_fields(cors_origin());
}

bool is_json_type(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return net::equals_ignoring_case(type, "application/json") ||
         (type.size() > 5 && net::equals_ignoring_case(type.substr(type.size() - 5), "+json"));
}

net::Task<void> run_exchange(Session& session) {
  return Exchange::run(session);
}

}  // namespace weir::proxy
