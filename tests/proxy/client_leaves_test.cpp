// A client that leaves, by FIN or by RST, over TCP or TLS, with or without unread pipelined bytes before its end, in
// every state its call can be in: the call upstream is closed, and the books are as if it had never been.
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "net/socket_wire.hpp"
#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"
#include "proxy/session.hpp"
#include "support/certificates.hpp"
#include "support/loopback_port.hpp"

namespace weir::test {
namespace {

using admission::Meter;
using admission::Scheduler;
using admission::Scope;

const std::string role_event =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
const std::string unfinished_json_head =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n";
const std::string endless_upload_head =
    "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 100000000\r\n\r\n";

enum class Way { fin, rst };
enum class Layer { tcp, tls };
enum class Before { nothing, pipelined };  // what stands unread when the client leaves

struct Scene;

// A state that a call can be in: how it gets there.
struct State {
  const char* name;
  void (*enter)(Scene&);
  bool takes_pipelined = true;
};

const TestAuthority& authority() {
  static const TestAuthority made;
  return made;
}

net::SslContextPtr server_tls() {
  static const TestCertificate certificate = authority().issue("localhost", "DNS:localhost");
  return net::make_server_tls(certificate.certificate_file, certificate.key_file);
}

struct Scene {
  explicit Scene(Layer layer) : layer_(layer) {}

  // The proxy before `upstream` (or before a port of another kind), one call at a time where it matters.
  void start(proxy::Settings settings) {
    settings.upstreams[0].limits.concurrency = 1;
    proxy.emplace(std::move(settings), layer_ == Layer::tls ? server_tls() : nullptr);
    client = connect();
  }
  void start() { start(settings_for({upstream_at(upstream.port())})); }
  std::unique_ptr<RawClient> connect() {
    auto connected = std::make_unique<RawClient>(proxy->port());
    if (layer_ == Layer::tls) connected->start_tls(trust.get(), "localhost");
    return connected;
  }
  void send(const std::string& body) { client->send(post("/v1/chat/completions", body)); }

  template <typename Look>
  auto scheduler(Look look) {
    std::invoke_result_t<Look, Scheduler&> seen{};
    proxy->on_worker([&](proxy::WorkerContext& context) { seen = context.shared.gate.with(look); });
    return seen;
  }
  std::size_t waiting() {
    return scheduler([](Scheduler& s) { return s.queued(); });
  }
  std::size_t running() {
    return scheduler([](Scheduler& s) { return s.running(); });
  }
  bool streams() {
    std::string metrics;
    proxy->on_worker([&](proxy::WorkerContext& context) { metrics = context.shared.metrics.text({}); });
    return metrics.find("\nweir_streams_open 1\n") != std::string::npos;
  }

  Layer layer_;
  net::SslContextPtr trust = net::make_client_tls(authority().file(), true);
  ScriptedUpstream upstream;
  LoopbackPort full{0};  // whose line of connections to be accepted is full
  std::unique_ptr<RawClient> filler;
  std::optional<TestProxy> proxy;
  std::unique_ptr<RawClient> other, client;
};

const State states[] = {
    {"Queued",
     [](Scene& scene) {
       scene.upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
       scene.start();
       scene.other = std::move(scene.client);
       scene.other->send(post("/v1/chat/completions", stream_body));
       scene.other->read_until(chat_event("a"));
       scene.client = scene.connect();
       scene.send(chat_body);
       ASSERT_TRUE(wait_for([&] { return scene.waiting() == 1; }));
     }},
    {"BackingOff",
     [](Scene& scene) {
       scene.upstream.expect_request().send(
           answer_with("503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 60\r\n", "{}"));
       proxy::Settings settings = settings_for({upstream_at(scene.upstream.port())});
       settings.retry.enabled = true;
       settings.upstreams[0].error_rules.resize(1);
       settings.upstreams[0].error_rules[0].cause = proxy::Cause::overload;
       scene.start(std::move(settings));
       scene.send(chat_body);
       ASSERT_TRUE(scene.upstream.wait_requests(1));
       ASSERT_TRUE(wait_for([&] { return scene.waiting() == 1; }));
     }},
    {"Resolving",
     [](Scene& scene) {
       proxy::Settings settings = settings_for({upstream_at(scene.upstream.port())});
       settings.upstreams[0].host = "127.1";  // a name to Asio
       settings.upstreams[0].timeouts.connect = 60s;
       scene.start(std::move(settings));
       // The thread that looks names up ends, as before a fork: no look-up will be answered.
       scene.proxy->on_worker([](proxy::WorkerContext& context) {
         context.worker.io().notify_fork(boost::asio::execution_context::fork_prepare);
       });
       scene.send(chat_body);
       ASSERT_TRUE(wait_for([&] { return scene.running() == 1; }));
     }},
    {"AskingAProxyForATunnel",
     [](Scene& scene) {
       scene.upstream.script().expect_until("CONNECT provider.test:443").expect_end();
       proxy::Settings settings = settings_for({upstream_at(scene.upstream.port())});
       settings.upstreams[0].host = "provider.test";
       settings.upstreams[0].port = 443;
       settings.upstreams[0].tls = true;
       settings.upstreams[0].verify_tls = false;
       settings.upstreams[0].timeouts.connect = 60s;
       scene.start(std::move(settings));
       const net::ProxyRules through("http://127.0.0.1:" + std::to_string(scene.upstream.port()), {}, {});
       scene.proxy->on_worker([&](proxy::WorkerContext& context) {
         context.snapshot = make_snapshot(context.snapshot->settings, through, context.snapshot->client_tls);
       });
       scene.send(chat_body);
       ASSERT_TRUE(scene.upstream.wait_connections(1));
       ASSERT_TRUE(wait_for([&] { return !scene.upstream.received(0).empty(); }));
     }},
    {"Connecting",
     [](Scene& scene) {
       scene.filler = std::make_unique<RawClient>(scene.full.port());
       proxy::Settings settings = settings_for({upstream_at(scene.full.port())});
       settings.upstreams[0].timeouts.connect = 60s;
       scene.start(std::move(settings));
       scene.send(chat_body);
       ASSERT_TRUE(wait_for([&] { return scene.running() == 1; }));
     }},
    {"Handshaking",
     [](Scene& scene) {
       scene.upstream.script().expect_until("\x16\x03\x01").expect_end();
       proxy::Settings settings = settings_for({upstream_at(scene.upstream.port())});
       settings.upstreams[0].tls = true;
       settings.upstreams[0].verify_tls = false;
       settings.upstreams[0].timeouts.tls = 60s;
       scene.start(std::move(settings));
       scene.send(chat_body);
       ASSERT_TRUE(scene.upstream.wait_connections(1));
       ASSERT_TRUE(wait_for([&] { return !scene.upstream.received(0).empty(); }));
     }},
    {"WaitingForTheFirstByte",
     [](Scene& scene) {
       scene.upstream.expect_request().expect_end();
       scene.start();
       scene.send(stream_body);
       ASSERT_TRUE(scene.upstream.wait_requests(1));
     }},
    {"WaitingForTheFirstByteOfAnAnswerToAnUpload",
     [](Scene& scene) {
       scene.upstream.script().expect_until("whole").expect_end();
       scene.start();
       scene.client->send(
           "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
       ASSERT_TRUE(scene.upstream.wait_connections(1));
       scene.client->send("whole");
       ASSERT_TRUE(wait_for([&] { return scene.upstream.received(0).ends_with("whole"); }));
     }},
    {"HeldBeforeTheFirstContent",
     [](Scene& scene) {
       scene.upstream.expect_request().send(stream_head() + chunk(role_event)).expect_end();
       scene.start();
       scene.send(stream_body);
       ASSERT_TRUE(wait_for([&] { return scene.streams(); }));
     }},
    {"Streaming",
     [](Scene& scene) {
       scene.upstream.expect_request().send(stream_head() + chunk(chat_event("a"))).expect_end();
       scene.start();
       scene.send(stream_body);
       scene.client->read_until(chat_event("a"));
     }},
    {"InTheMiddleOfJson",
     [](Scene& scene) {
       scene.upstream.expect_request().send(unfinished_json_head + R"({"choices":[{"id":"begun)").expect_end();
       scene.start();
       scene.send(chat_body);
       scene.client->read_until("begun");
     }},
    {"UploadingItsBody",
     [](Scene& scene) {
       scene.upstream.script().expect_until("part").expect_end();
       scene.start();
       scene.client->send(endless_upload_head + "part");
       ASSERT_TRUE(scene.upstream.wait_connections(1));
       ASSERT_TRUE(wait_for([&] { return scene.upstream.received(0).ends_with("part"); }));
     },
     false},
};

using Leaving = std::tuple<State, Way, Layer, Before>;

class ClientLeaves : public ::testing::TestWithParam<Leaving> {};

TEST_P(ClientLeaves, AndItsCallIsClosedAndItsBudgetsBalance) {
  const auto& [state, way, layer, before] = GetParam();
  Scene scene(layer);
  ASSERT_NO_FATAL_FAILURE(state.enter(scene));
  // More than weir takes in before it needs it: the end stands behind unread bytes. Not more than the kernel takes in.
  if (before == Before::pipelined) scene.client->send(std::string(100u << 10, 'x'));
  if (way == Way::fin) {
    scene.client->end();
  } else {
    scene.client->reset();
  }
  EXPECT_EQ(scene.proxy->record().outcome, "client_left");
  if (scene.other) {
    EXPECT_TRUE(wait_for([&] { return scene.running() == 1 && scene.waiting() == 0; })) << "the other one goes on";
    scene.other->close();
  }
  EXPECT_TRUE(scene.upstream.wait_done()) << "the call upstream is closed";
  EXPECT_TRUE(scene.proxy->wait_sessions(0));
  EXPECT_TRUE(wait_for([&] { return scene.running() == 0 && scene.waiting() == 0; }));
  // A place at the upstream is free a moment after it was left, since the upstream hears of it later.
  EXPECT_TRUE(wait_for([&] {
    return scene.scheduler([](Scheduler& scheduler) {
      return scheduler.view(scheduler.budget(Scope::account, "up"), Meter::in_flight, net::Clock::now()).used;
    }) == 0;
  }));
  const std::string wrong = scene.scheduler([](Scheduler& scheduler) { return scheduler.verify(net::Clock::now()); });
  EXPECT_EQ(wrong, "");
}

std::string name_of(const ::testing::TestParamInfo<Leaving>& info) {
  const auto& [state, way, layer, before] = info.param;
  return std::string(state.name) + (way == Way::fin ? "ByFin" : "ByReset") + (layer == Layer::tls ? "OverTls" : "") +
         (before == Before::pipelined ? "BehindUnreadBytes" : "");
}

std::vector<Leaving> every_case() {
  std::vector<Leaving> cases;
  for (const State& state : states) {
    for (const Way way : {Way::fin, Way::rst}) {
      for (const Layer layer : {Layer::tcp, Layer::tls}) {
        cases.emplace_back(state, way, layer, Before::nothing);
        // Behind an upload nothing can be pipelined: whatever comes is of the body.
        if (state.takes_pipelined) cases.emplace_back(state, way, layer, Before::pipelined);
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(EveryState, ClientLeaves, ::testing::ValuesIn(every_case()), name_of);

// Of an answer of which nothing has come what was forecast until then is charged: no token within the first second.
TEST(ClientLeavesBeforeTheAnswer, AndIsChargedItsInputAndNotItsCap) {
  for (const proxy::ChargeRule rule : {proxy::ChargeRule::input_then_output, proxy::ChargeRule::actual}) {
    for (const char* stream : {"true", "false"}) {
      Scene scene(Layer::tcp);
      scene.upstream.expect_request().expect_end();
      proxy::Settings settings = settings_for({upstream_at(scene.upstream.port())});
      settings.upstreams[0].charge.rule = rule;
      settings.upstreams[0].limits.tpm = 100'000;
      scene.start(std::move(settings));
      scene.send(std::string(R"({"model":"m","max_tokens":40000,"messages":[],"stream":)") + stream + "}");
      ASSERT_TRUE(scene.upstream.wait_requests(1));
      scene.client->end();
      EXPECT_EQ(scene.proxy->record().outcome, "client_left");
      ASSERT_TRUE(wait_for([&] { return scene.running() == 0; }));
      const auto taken = scene.scheduler([](Scheduler& scheduler) {
        const auto view = scheduler.view(scheduler.budget(Scope::account, "up"), Meter::tokens, net::Clock::now());
        return view.used + view.reserved + view.debt;
      });
      EXPECT_LT(taken, 300) << "of 40,000";
    }
  }
}

// The upstream takes no more of the upload, so weir takes no more of it either.
TEST(ClientLeavesStalledUpload, ByResetAndItsCallIsClosed) {
  Scene scene(Layer::tcp);
  scene.upstream.script().expect_until("\r\n\r\n").hold().expect_end();
  scene.start();
  scene.client->send(endless_upload_head);
  const std::string piece(1u << 20, 'x');
  while (::send(scene.client->socket().fd(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0 ||
         scene.client->socket().writable(200ms)) {
  }
  scene.client->reset();
  EXPECT_EQ(scene.proxy->record().outcome, "client_left");
  EXPECT_TRUE(scene.proxy->wait_sessions(0));
  scene.upstream.release();
  EXPECT_TRUE(scene.upstream.wait_done());
}

// Behind the finish reason the end of the body is awaited for the sake of the connection: for a moment.
TEST(ClientLeavesAfterItsFinish, AndItsCallIsClosedSoon) {
  Scene scene(Layer::tcp);
  scene.upstream.expect_request()
      .send(stream_head() + chunk("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"))
      .expect_end();
  scene.start();
  scene.send(stream_body);
  scene.client->read_until("stop");
  const auto left = net::Clock::now();
  scene.client->end();
  EXPECT_TRUE(scene.upstream.wait_done());
  EXPECT_LT(net::Clock::now() - left, 400ms);
  EXPECT_EQ(scene.proxy->record().outcome, "ok");
}

// A client that pipelines goes on being served: only its end is looked for behind its bytes.
TEST(ClientLeavesNot, WhenItPipelinesMoreThanIsTakenIn) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .hold()
      .send(json_answer("{}"))
      .expect_request()
      .send(json_answer("{}"))
      .expect_request()
      .send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  const std::string large = R"({"model":"m","x":")" + std::string(100u << 10, 'x') + "\"}";
  client.send(post("/v1/chat/completions", chat_body));
  ASSERT_TRUE(upstream.wait_requests(1));
  client.send(post("/v1/chat/completions", large) + post("/v1/chat/completions", large));
  upstream.release();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.read_response().status(), 200);
}

}  // namespace
}  // namespace weir::test
