#include "proxy/upstream_models.hpp"

#include <algorithm>

#include "net/body_decoder.hpp"
#include "protocol/model_ids.hpp"
#include "proxy/choose_upstream.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/submission.hpp"
#include "proxy/turn.hpp"
#include "proxy/upstream_call.hpp"

namespace weir::proxy {
namespace {

constexpr std::chrono::seconds keep_for{60};
// An account without a list (it has no such path, does not take the key, is down) is not asked for every caller; one
// that is back is listed again soon.
constexpr std::chrono::seconds ask_again_after{10};
// What an account serves hardly changes while it is busy or down.
constexpr std::chrono::minutes known_for{10};
// A list of models is a convenience: whoever asks for it should not wait for upstreams that are down, however many.
constexpr Duration answer_max{3000};
// With less than this left nobody else is asked: who could not answer so soon would count as having no list.
constexpr Duration ask_min{1000};
constexpr std::chrono::milliseconds look_again_after{20};
constexpr std::size_t list_bytes_max = 4u << 20;

bool has_pattern(const ModelRoute& route) {
  return route.pattern.find('*') != std::string::npos;
}

// Whether a request for this model would go to this upstream.
bool routes_to(const Settings& settings, std::string_view model, const Upstream& upstream) {
  for (const ModelRoute& route : settings.routes) {
    if (!matches_pattern(route.pattern, model)) continue;
    return has_pattern(route) && !route.targets.empty() && route.targets.front().model.empty() &&
           &settings.upstreams[route.targets.front().upstream] == &upstream;
  }
  return false;
}

bool worth_asking(const Settings& settings, const Upstream& upstream) {
  // The caller's own key is for the provider it names with a model, and not to be shown to all others.
  if (settings.clients.mode == ClientMode::pass_through && upstream.api_key.empty()) return false;
  if (!upstream.families[static_cast<std::size_t>(protocol::Api::models)].served) return false;
  return std::any_of(settings.routes.begin(), settings.routes.end(), [&](const ModelRoute& route) {
    return has_pattern(route) && !route.targets.empty() &&
           &settings.upstreams[route.targets.front().upstream] == &upstream;
  });
}

Duration left(net::Instant until) {
  return std::max(Duration(0), std::chrono::floor<Duration>(until - net::Clock::now()));
}

// It counts as a request, for its caller and there, and as no tokens.
Turn::Request turn_request(Session& session, const Client& client, const Upstream& upstream, std::string_view id) {
  Destination destination;
  destination.upstream = &upstream;
  Turn::Request request;
  request.owner = {client.identity, id, client.name};
  request.names = budget_names(client, destination, ClientMode::keys);  // the account's own key goes with it
  request.ramps = ramps_up(destination);
  request.priority = priority_of(session.head(), client);
  request.arrived = request.since = net::Clock::now();
  return request;
}

OutgoingRequest outgoing(const Shared& shared, const Upstream& upstream, const net::Endpoint& endpoint,
                         const std::string& id) {
  const net::RequestHead nothing;  // none of the client's headers cross
  const std::string target = upstream_target(upstream, find_route("GET", "/v1/models"));
  UpstreamRequest described;
  described.method = "GET";
  described.target = target;
  described.absolute_form = endpoint.proxy && !endpoint.tls;
  if (described.absolute_form) described.proxy_authorization = endpoint.proxy->authorization;
  described.via = shared.via;
  described.request_id = id;
  OutgoingRequest request;
  request.method = "GET";
  request.head = write_upstream_head(described, nothing, upstream, ClientMode::keys);
  return request;
}

// The body of an answer, as much of it as comes in time.
net::Task<std::string> read_body(Session& session, UpstreamCall& call, net::Instant until) {
  net::BodyDecoder decoder(call.framing());
  std::string body;
  session.arm(until);
  while (!decoder.complete() && body.size() <= list_bytes_max) {
    net::Connection& connection = call.connection();
    if (!connection.unread().empty()) {
      std::vector<std::string_view> data;
      const std::size_t consumed = decoder.feed(connection.unread(), data);
      for (const std::string_view piece : data) body.append(piece);
      connection.consume(consumed);
      if (decoder.wrong()) break;
      continue;
    }
    const net::IoStep step = connection.read_more();
    if (step.status == net::IoStep::Status::done) continue;
    if (step.status != net::IoStep::Status::would_block) break;
    connection.wire().wait_readable(session.bell(Session::upstream_in));
    const net::Signal::Bits rang = co_await session.wait(Session::upstream_in | Session::time);
    if (session.gone() || (rang & Session::upstream_in) == 0) break;
  }
  session.disarm();
  co_return body;
}

// What the upstream answers, nothing if it is no list.
net::Task<std::string> fetch(Session& session, const Snapshot& snapshot, const Upstream& upstream, Turn& turn,
                             const std::string& id, net::Instant until) {
  net::Endpoint hurried = snapshot.endpoints[snapshot.index_of(upstream)];
  const std::chrono::milliseconds half = left(until) / 2;
  hurried.connect_max = std::min(hurried.connect_max, half);
  hurried.tls_max = std::min(hurried.tls_max, half);
  UpstreamTimeouts timeouts = upstream.timeouts;
  Downstream nobody(session);
  Heartbeat silent(session, nobody);
  UpstreamCall call(session, hurried, timeouts, silent);
  std::string body;
  net::Failure failure = co_await call.connect(net::UpstreamPool::Choice::fresh_only);
  if (failure || session.gone()) co_return body;
  turn.sent();
  timeouts.first_byte = std::min(timeouts.first_byte, left(until));
  OutgoingRequest request = outgoing(session.context().shared, upstream, hurried, id);
  failure = co_await call.start(std::move(request));
  if (failure || session.gone()) co_return body;
  const bool answered = call.head().status == 200;
  if (answered) body = co_await read_body(session, call, until);
  turn.settle({}, answered ? admission::Ending::complete : admission::Ending::refused);
  co_return body;
}

}  // namespace

class UpstreamModels::BeingAsked {
 public:
  explicit BeingAsked(Entry& entry) : entry_(entry) { entry_.being_asked = true; }
  ~BeingAsked() { entry_.being_asked = false; }
  BeingAsked(const BeingAsked&) = delete;
  BeingAsked& operator=(const BeingAsked&) = delete;

 private:
  Entry& entry_;
};

net::Task<std::vector<ListedModel>> UpstreamModels::list(Session& session, SnapshotPtr snapshot, const Client& client) {
  const Settings& settings = *snapshot->settings;
  const net::Instant until = net::Clock::now() + answer_max;
  note_reload(snapshot);
  std::vector<ListedModel> models;
  for (const Upstream& upstream : settings.upstreams) {
    if (!may_use_upstream(client, upstream.name) || !worth_asking(settings, upstream)) continue;
    Entry& entry = entries_[upstream.name];
    if (entry.being_asked && entry.ids.empty()) co_await wait_for_answer(session, entry, until);
    if (session.gone()) break;
    if (!entry.being_asked && net::Clock::now() >= entry.ask_at && left(until) >= ask_min)
      co_await ask(session, *snapshot, client, upstream, entry, until);
    if (session.gone()) break;
    if (net::Clock::now() >= entry.known_until) entry.ids.clear();
    for (const std::string& id : entry.ids) {
      if (routes_to(settings, id, upstream)) models.push_back({id, upstream.name});
    }
  }
  co_return models;
}

// What was wrong with an account may be so no more.
void UpstreamModels::note_reload(const SnapshotPtr& snapshot) {
  if (last_seen_.lock() == snapshot) return;
  last_seen_ = snapshot;
  for (auto& [name, entry] : entries_) entry.ask_at = {};
}

// Of somebody else's ask; who asks may also leave before there is one.
net::Task<void> UpstreamModels::wait_for_answer(Session& session, const Entry& entry, net::Instant until) {
  while (entry.being_asked && net::Clock::now() < until && !session.gone()) {
    session.arm(std::min(until, net::Clock::now() + look_again_after));
    co_await session.wait(Session::time);
  }
  session.disarm();
}

net::Task<void> UpstreamModels::ask(Session& session, const Snapshot& snapshot, const Client& client,
                                    const Upstream& upstream, Entry& entry, net::Instant until) {
  const BeingAsked being_asked(entry);
  Shared& shared = session.context().shared;
  Downstream nobody(session);
  Heartbeat silent(session, nobody);  // a list comes quickly or not at all
  const std::string id = shared.mint_id();
  Turn turn(session);
  Turn::Request place = turn_request(session, client, upstream, id);
  // Where there is no room, what it said last will do; else a moment is left for its answer.
  if (entry.ids.empty()) place.wait_bound = left(until) / 2;
  turn.prepare(std::move(place));
  const MaybeRefusal refusal = co_await turn.take(net::Instant::min(), until, silent);
  if (refusal || turn.waiting() || session.gone()) co_return;

  const std::string body = co_await fetch(session, snapshot, upstream, turn, id, until);
  if (session.gone()) co_return;
  std::vector<std::string> ids = protocol::ids_of_model_list(body);
  const net::Instant now = net::Clock::now();
  entry.ask_at = now + (ids.empty() ? ask_again_after : keep_for);
  if (ids.empty()) co_return;
  entry.ids = std::move(ids);
  entry.known_until = now + known_for;
}

}  // namespace weir::proxy
