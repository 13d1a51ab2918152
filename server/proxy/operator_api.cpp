#include "proxy/operator_api.hpp"

#include "protocol/error_body.hpp"
#include "proxy/authenticate.hpp"
#include "proxy/client_body.hpp"
#include "proxy/error_response.hpp"
#include "proxy/learned_answers.hpp"
#include "proxy/local_answers.hpp"
#include "proxy/queue_answers.hpp"
#include "proxy/route.hpp"
#include "proxy/route_hints.hpp"
#include "proxy/status_answers.hpp"
#include "proxy/upstream_answers.hpp"

namespace weir::proxy {
namespace {

// What reload's answer and the session that waits for it share: the session may be gone when the answer comes.
struct Reloading {
  Session* session = nullptr;
  std::optional<std::string> problem;
};

net::Task<std::string> reload(Session& session) {
  auto reloading = std::make_shared<Reloading>();
  reloading->session = &session;
  net::Worker& worker = session.context().worker;
  session.context().shared.reload([reloading, &worker](std::optional<std::string> problem) {
    worker.post([reloading, problem] {
      reloading->problem = problem;
      if (reloading->session) reloading->session->signal().raise(Session::wake);
    });
  });
  const net::Signal::Bits rang = co_await session.wait(Session::wake);
  reloading->session = nullptr;
  if ((rang & Session::wake) == 0) co_return std::string();
  if (!reloading->problem)
    co_return write_json_answer(200, R"({"schema":1,"reloaded":true})", {}, session.keep_alive()).text;
  const std::string body =
      R"({"schema":1,"reloaded":false,"problem":)" + protocol::json_quote(*reloading->problem) + "}";
  co_return write_json_answer(422, body, {}, session.keep_alive()).text;
}

std::string answer_metrics(Shared& shared, const Settings& settings, bool keep_alive) {
  observe::Levels levels =
      shared.gate.with([](admission::Scheduler& scheduler) { return levels_of(scheduler, net::Clock::now()); });
  levels.kept_bodies_bytes = shared.kept_bodies.bytes();
  levels.kept_bodies_released = shared.kept_bodies.let_go();
  for (const WorkerContext* worker : shared.workers) {
    const net::PoolCounts& pool = worker->pool.counts();
    levels.clients += worker->clients.value();
    levels.upstreams_idle += pool.idle.value();
    levels.upstreams_opened += pool.opened.value();
    levels.upstreams_reused += pool.reused.value();
  }
  for (const Upstream& upstream : settings.upstreams) {
    const auto state = breaker_state(shared.health.state(upstream.name), net::Clock::now());
    levels.breakers.push_back({upstream.name, state});
    levels.retry_budgets.push_back({upstream.name, shared.retries.left(upstream.name)});
  }
  levels.learned = learned_levels(learned_limits(shared.gate, settings));
  return write_answer(200, "text/plain; version=0.0.4; charset=utf-8", shared.metrics.text(levels), {}, keep_alive)
      .text;
}

// What another thread writes: the session may be gone when it comes.
struct Written {
  Session* session = nullptr;  // the worker's alone
  std::string text;            // the other thread's until it says so
};

// Thousands of series take milliseconds, in which nobody else of this worker would be served.
net::Task<std::string> metrics(Session& session, SnapshotPtr snapshot) {
  auto written = std::make_shared<Written>();
  written->session = &session;
  WorkerContext& context = session.context();
  const bool keep_alive = session.keep_alive();
  context.shared.elsewhere([written, snapshot, &context, keep_alive] {
    written->text = answer_metrics(context.shared, *snapshot->settings, keep_alive);
    context.worker.post([written] {
      if (written->session) written->session->signal().raise(Session::wake);
    });
  });
  const net::Signal::Bits rang = co_await session.wait(Session::wake);
  written->session = nullptr;
  if ((rang & Session::wake) == 0) co_return std::string();
  co_return std::move(written->text);
}

bool has_token(const net::RequestHead& head, const std::string& token) {
  return token.empty() || equal_secrets(credential_of(head), token);
}

std::optional<Refusal> check_host(const net::RequestHead& head, const std::string& token) {
  return token.empty() ? check_operators_host(head) : std::nullopt;
}

bool is_status_page(const Route& route) {
  return route.full_path == "/weir/" || route.full_path == "/weir";
}

}  // namespace

net::Task<void> serve_operator(Session& session) {
  const net::RequestHead& head = session.head();
  const SnapshotPtr snapshot = session.context().snapshot;
  const Route route = find_route(head.method, head.target);
  const bool reads = head.method == "GET" || head.method == "HEAD";
  std::optional<Refusal> refusal;
  std::string text;
  const auto framing = net::request_framing(head);
  // Bodies are of no use to any of these: what is left on the line ends the connection.
  const auto* body = std::get_if<net::BodyFraming>(&framing);
  if (!body || body->kind != net::BodyFraming::Kind::none) session.linger_after_this();
  if (const auto* error = std::get_if<net::HeadError>(&framing)) {
    refusal = refuse_head(*error);
  } else if (auto target_error = net::check_request_target(head)) {
    refusal = refuse_head(*target_error);
  } else if (route.kind == Route::Kind::healthz || route.kind == Route::Kind::readyz) {
    text = answer_probe(route.kind, *snapshot, session.context().shared, Door::operators, session.keep_alive()).text;
  } else if (auto host_refused = check_host(head, snapshot->settings->operator_token)) {
    refusal = std::move(host_refused);
  } else if (is_status_page(route) && reads) {
    // A browser cannot send a token with an address. Nothing of this weir stands in the page: what it shows it asks
    // for, with the token.
    text = answer_status_page(session.keep_alive());
  } else if (route.full_path == "/" && reads) {
    text =
        write_answer(307, "text/plain; charset=utf-8", "/weir/\n", "location: /weir/\r\n", session.keep_alive()).text;
  } else if (!has_token(head, snapshot->settings->operator_token)) {
    refusal = refuse_key(credential_of(head).empty() ? KeyFault::missing : KeyFault::unknown);
    refusal->message = "The operator token is missing or wrong; send 'Authorization: Bearer <operator.token>'.";
  } else if ((route.full_path == "/weir/queue" || route.full_path == "/weir/budgets") && reads) {
    AdmissionGate& gate = session.context().shared.gate;
    const auto budgets = [&](admission::Scheduler& scheduler) {
      return budgets_json(scheduler, *snapshot->settings, net::Clock::now());
    };
    const std::string json =
        route.full_path == "/weir/queue" ? queue_json(gate, net::Clock::now()) : gate.with(budgets);
    text = write_json_answer(200, json, {}, session.keep_alive()).text;
  } else if (route.full_path == "/weir/upstreams" && reads) {
    const auto learned = learned_limits(session.context().shared.gate, *snapshot->settings);
    const std::string json =
        upstreams_json(*snapshot->settings, session.context().shared.health, net::Clock::now(), learned);
    text = write_json_answer(200, json, {}, session.keep_alive()).text;
  } else if (route.full_path == "/weir/status" && reads) {
    text = write_json_answer(200, status_json(session.context().shared), {}, session.keep_alive()).text;
  } else if (route.full_path == "/metrics" && reads) {
    text = co_await metrics(session, snapshot);
    if (session.gone()) co_return;
  } else if (route.full_path == "/weir/reload" && head.method == "POST") {
    // A page in a browser can reach a loopback listener; it cannot do so without saying where it comes from.
    if (head.find("origin")) {
      refusal = refuse_origin(head.value_of("origin"));
    } else {
      text = co_await reload(session);
      if (session.gone()) co_return;
    }
  } else {
    refusal = unknown_route(head.method, route.full_path, operator_route_hint(route.full_path));
  }
  if (refusal) {
    if (refusal->close) session.linger_after_this();
    text = write_refusal(*refusal, protocol::Api::other, session.context().shared.mint_id(), session.keep_alive(),
                         head.method == "HEAD", {});
  }
  text = fit_to_method(std::move(text), head.method);
  co_await session.write_all(text);
}

}  // namespace weir::proxy
