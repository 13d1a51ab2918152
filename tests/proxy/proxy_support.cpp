#include "proxy/proxy_support.hpp"

#include <openssl/sha.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "net/listener.hpp"
#include "proxy/context.hpp"
#include "proxy/doorkeeper.hpp"

namespace weir::test {

using namespace proxy;
using namespace std::chrono_literals;

Upstream upstream_at(std::uint16_t port, const std::string& name) {
  Upstream upstream;
  upstream.name = name;
  upstream.provider = "generic";
  upstream.tls = false;
  upstream.host = "127.0.0.1";
  upstream.port = port;
  upstream.authority = "127.0.0.1:" + std::to_string(port);
  upstream.families.fill(FamilyPath{true, "/v1"});
  upstream.api_key = "sk-of-" + name;
  return upstream;
}

Settings settings_for(std::vector<Upstream> upstreams) {
  Settings settings;
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    settings.routes.push_back(ModelRoute{upstreams[i].name + "/*", {Target{i, {}, 1}}, false});
  }
  if (!upstreams.empty()) settings.routes.push_back(ModelRoute{"*", {Target{0, {}, 1}}, false});
  settings.upstreams = std::move(upstreams);
  settings.retry.enabled = false;  // a script plays once; stories of retries and breakers say so
  settings.breaker_enabled = false;
  return settings;
}

Settings with_beats(std::uint16_t port) {
  Settings settings = settings_for({upstream_at(port)});
  settings.heartbeat = {10ms, 10ms, 10ms, 10ms};
  return settings;
}

ClientKey key_for(const std::string& name, std::string_view secret) {
  ClientKey key;
  key.name = name;
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), key.sha256.data());
  return key;
}

net::MessageHead head_with(std::vector<net::Field> fields) {
  net::MessageHead head;
  head.fields = std::move(fields);
  return head;
}

std::string post(std::string_view path, std::string_view body, std::string_view headers) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
         std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string get(std::string_view path, std::string_view headers) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(headers) + "\r\n";
}

std::string json_answer(std::string_view body, std::string_view headers) {
  return answer_with("200 OK\r\nContent-Type: application/json\r\n" + std::string(headers), body);
}

std::string answer_with(std::string_view status_and_headers, std::string_view body) {
  return "HTTP/1.1 " + std::string(status_and_headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

std::string stream_head(std::string_view headers) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n" + std::string(headers) +
         "\r\n";
}

std::string chunk(std::string_view data) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  return size + std::string(data) + "\r\n";
}

std::string last_chunk() {
  return "0\r\n\r\n";
}

std::string chat_event(std::string_view text) {
  return R"(data: {"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":")" +
         std::string(text) + "\"}}]}\n\n";
}

std::string chat_stream() {
  return chat_event("Hello") +
         "data: "
         "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
         "\"stop\"}]}\n\n"
         "data: [DONE]\n\n";
}

std::string code_of(const HttpMessage& message) {
  constexpr std::string_view marker = R"("code":")";
  const auto at = message.body.find(marker);
  if (at == std::string::npos) return {};
  const auto from = at + marker.size();
  return message.body.substr(from, message.body.find('"', from) - from);
}

bool wait_for(const std::function<bool()>& condition) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

struct TestProxy::Impl {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<observe::ExchangeRecord> records;
  std::function<std::optional<std::string>()> reload_handler;
  std::thread reloading;

  observe::Log log;
  Shared shared;
  net::Worker worker;
  WorkerContext context;
  Doorkeeper doorkeeper{shared, 20'000};
  std::vector<std::unique_ptr<net::Listener>> listeners;
  std::uint16_t port = 0, operators_port = 0;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> more_to_come{worker.io().get_executor()};
  std::thread thread;
  boost::asio::thread_pool control{1};

  Impl(SnapshotPtr snapshot) : log(options()), shared(log), context(worker, shared, std::move(snapshot)) {
    shared.workers.push_back(&context);
    shared.via = "weir-test";
    shared.mint_id = [n = 0]() mutable { return "req_minted" + std::to_string(++n); };
    shared.reload = [this](std::function<void(std::optional<std::string>)> done) {
      const std::lock_guard lock(mutex);
      if (reloading.joinable()) reloading.join();
      reloading = std::thread([this, done] { done(reload_handler ? reload_handler() : std::nullopt); });
    };
    shared.elsewhere = [this](auto job) { boost::asio::post(control, std::move(job)); };
    shared.gate.reconfigure(*context.snapshot->settings);
    port = listen(Door::clients);
    operators_port = listen(Door::operators);
    thread = std::thread([this] { worker.run(); });
  }

  observe::LogOptions options() {
    observe::LogOptions options;
    options.on_exchange = [this](const observe::ExchangeRecord& record) {
      const std::lock_guard lock(mutex);
      records.push_back(record);
      changed.notify_all();
    };
    return options;
  }

  std::uint16_t listen(Door door) {
    const auto endpoint = net::claim(net::parse_listen("127.0.0.1:0")).front();
    listeners.push_back(std::make_unique<net::Listener>(
        worker, endpoint, [this, door](net::Socket socket) { doorkeeper.take(context, std::move(socket), door); }));
    listeners.back()->start();
    return endpoint.port();
  }

  void call(const std::function<void(WorkerContext&)>& job) {
    std::promise<void> done;
    worker.post([&] {
      job(context);
      done.set_value();
    });
    done.get_future().wait();
  }
};

TestProxy::TestProxy(Settings settings, net::SslContextPtr client_tls)
    : impl_(std::make_unique<Impl>(make_snapshot(std::make_shared<const Settings>(std::move(settings)),
                                                 net::ProxyRules(), std::move(client_tls)))) {}

TestProxy::~TestProxy() {
  stop();
  insist();
  EXPECT_TRUE(wait_sessions(0)) << "sessions outlive shutdown";
  on_worker([](WorkerContext& context) { context.pool.close_idle(); });
  impl_->worker.io().stop();
  impl_->thread.join();
  if (impl_->reloading.joinable()) impl_->reloading.join();
  impl_->control.join();
}

std::uint16_t TestProxy::port() const {
  return impl_->port;
}
std::uint16_t TestProxy::operators_port() const {
  return impl_->operators_port;
}

void TestProxy::on_worker(const std::function<void(WorkerContext&)>& job) {
  impl_->call(job);
}

void TestProxy::reload(Settings settings) {
  auto snapshot = make_snapshot(std::make_shared<const Settings>(std::move(settings)), net::ProxyRules(), nullptr);
  impl_->shared.gate.reconfigure(*snapshot->settings);
  on_worker([&](WorkerContext& context) { context.snapshot = std::move(snapshot); });
}

void TestProxy::on_reload_request(std::function<std::optional<std::string>()> handler) {
  const std::lock_guard lock(impl_->mutex);
  impl_->reload_handler = std::move(handler);
}

void TestProxy::announce_shutdown() {
  impl_->shared.announcing = true;
}

void TestProxy::stop() {
  impl_->shared.draining = true;
  on_worker([this](WorkerContext& context) {
    for (auto& listener : impl_->listeners) listener->stop();
    ring_sessions(context, Session::stop);
  });
}

void TestProxy::insist() {
  on_worker([](WorkerContext& context) { ring_sessions(context, Session::insist); });
}

std::size_t TestProxy::sessions() {
  std::size_t count = 0;
  on_worker([&](WorkerContext& context) { count = context.sessions.size(); });
  return count;
}

bool TestProxy::wait_sessions(std::size_t count) {
  return wait_for([&] { return sessions() == count; });
}

bool TestProxy::wait_idle_upstreams(std::size_t count) {
  return wait_for([&] {
    std::size_t idle = 0;
    on_worker([&](WorkerContext& context) { idle = context.pool.idle_connections(); });
    return idle == count;
  });
}

std::vector<observe::ExchangeRecord> TestProxy::records() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->records;
}

observe::ExchangeRecord TestProxy::record(std::size_t n) {
  std::unique_lock lock(impl_->mutex);
  if (!impl_->changed.wait_for(lock, patience, [&] { return impl_->records.size() > n; })) {
    ADD_FAILURE() << "no log record number " << n;
    return {};
  }
  return impl_->records[n];
}

std::string metrics_of(TestProxy& proxy) {
  RawClient operators(proxy.operators_port());
  operators.send(get("/metrics"));
  return operators.read_response().body;
}

}  // namespace weir::test
