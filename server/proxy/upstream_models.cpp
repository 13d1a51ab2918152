#include "proxy/upstream_models.hpp"

#include <algorithm>

#include "net/body_decoder.hpp"
#include "protocol/model_ids.hpp"
#include "proxy/choose_upstream.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/upstream_call.hpp"

namespace weir::proxy {
namespace {

constexpr std::chrono::seconds keep_for{60};
// A list of models is a convenience: whoever asks for it should not wait for an upstream that is down.
constexpr Duration answer_max{3000};
constexpr std::size_t answer_bytes_max = 4u << 20;

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

}  // namespace

net::Task<std::vector<ListedModel>> UpstreamModels::list(Session& session, SnapshotPtr snapshot, const Client& client) {
  const Settings& settings = *snapshot->settings;
  std::vector<ListedModel> models;
  for (const Upstream& upstream : settings.upstreams) {
    if (!may_use_upstream(client, upstream.name) || !worth_asking(settings, upstream)) continue;
    Entry entry = entries_[upstream.name];
    if (net::Clock::now() >= entry.fresh_until) {
      entry.ids = co_await ask(session, *snapshot, upstream);
      if (session.gone()) break;
      entry.fresh_until = net::Clock::now() + keep_for;
      if (!entry.ids.empty()) entries_[upstream.name] = entry;
    }
    for (const std::string& id : entry.ids) {
      if (routes_to(settings, id, upstream)) models.push_back({id, upstream.name});
    }
  }
  co_return models;
}

net::Task<std::vector<std::string>> UpstreamModels::ask(Session& session, const Snapshot& snapshot,
                                                        const Upstream& upstream) {
  Route route = find_route("GET", "/v1/models");
  const std::string target = upstream_target(upstream, route);
  const net::Endpoint& endpoint = snapshot.endpoints[snapshot.index_of(upstream)];
  const net::RequestHead nothing;  // none of the client's headers cross
  UpstreamRequest described;
  described.method = "GET";
  described.target = target;
  described.absolute_form = endpoint.proxy && !endpoint.tls;
  if (described.absolute_form) described.proxy_authorization = endpoint.proxy->authorization;
  described.via = session.context().shared.via;
  const std::string id = session.context().shared.mint_id();
  described.request_id = id;
  OutgoingRequest request;
  request.method = "GET";
  request.head = write_upstream_head(described, nothing, upstream, ClientMode::keys);

  net::Endpoint hurried = endpoint;
  hurried.connect_max = std::min<std::chrono::milliseconds>(endpoint.connect_max, answer_max);
  hurried.tls_max = std::min<std::chrono::milliseconds>(endpoint.tls_max, answer_max);
  UpstreamTimeouts timeouts = upstream.timeouts;
  timeouts.first_byte = std::min(timeouts.first_byte, answer_max);
  std::vector<std::string> ids;
  Downstream nobody(session);
  Heartbeat silent(session, nobody);  // a list comes quickly or not at all
  UpstreamCall call(session, hurried, timeouts, silent);
  net::Failure failure = co_await call.connect(net::UpstreamPool::Choice::fresh_only);
  if (!failure && !session.gone()) failure = co_await call.start(request);
  if (failure || session.gone() || call.head().status != 200) co_return ids;

  net::BodyDecoder decoder(call.framing());
  std::string body;
  session.arm(net::Clock::now() + answer_max);
  while (!decoder.complete() && body.size() <= answer_bytes_max) {
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
  ids = protocol::ids_of_model_list(body);
  co_return ids;
}

}  // namespace weir::proxy
