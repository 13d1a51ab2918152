// The real proxy on loopback ports, for tests: one worker on a thread of its own, both doors, settings made by hand,
// the log captured. Upstreams are ScriptedUpstreams; clients are RawClients.
//
//   ScriptedUpstream upstream;
//   upstream.expect_request().send(json_answer(R"({"id":"x"})"));
//   TestProxy proxy(settings_for({upstream_at(upstream.port())}));
//   RawClient client(proxy.port());
//   client.send(post("/v1/chat/completions", R"({"model":"m"})"));
//   EXPECT_EQ(client.read_response().status(), 200);
//
// Declare the upstreams before the proxy: its connections are closed first then, and scripts see the end of them.
#pragma once

#include <gtest/gtest.h>
#include <openssl/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/head.hpp"
#include "observe/exchange_log.hpp"
#include "proxy/settings.hpp"
#include "support/raw_client.hpp"
#include "support/scripted_upstream.hpp"

namespace weir::proxy {
struct Shared;
struct WorkerContext;
}  // namespace weir::proxy

namespace weir::test {

// An account on 127.0.0.1, plain, that serves every API family under /v1.
proxy::Upstream upstream_at(std::uint16_t port, const std::string& name = "up");
// Open mode, without retries and breakers; each upstream serves the models "<name>/*" and the first one every other
// model too.
proxy::Settings settings_for(std::vector<proxy::Upstream> upstreams);
// Settings for one upstream whose heartbeats come every 10 ms, the first one too.
proxy::Settings with_beats(std::uint16_t port);
// A virtual key for this secret.
proxy::ClientKey key_for(const std::string& name, std::string_view secret);

net::MessageHead head_with(std::vector<net::Field> fields);

// Requests and answers as bytes. `headers`: whole lines with their CRLF.
std::string post(std::string_view path, std::string_view body, std::string_view headers = {});
std::string get(std::string_view path, std::string_view headers = {});
std::string json_answer(std::string_view body, std::string_view headers = {});
std::string answer_with(std::string_view status_and_headers, std::string_view body);  // adds the content-length
std::string stream_head(std::string_view headers = {});                               // chunked text/event-stream
std::string chunk(std::string_view data);
std::string last_chunk();

// One chat event with this text, and the three that a stream needs to be whole.
std::string chat_event(std::string_view text);
std::string chat_stream();

// What most tests say and hear, where it does not matter what.
inline const std::string chat_body = R"({"model":"m","messages":[]})";
inline const std::string stream_body = R"({"model":"m","stream":true,"messages":[]})";
inline const std::string good_answer = json_answer(R"({"id":"x"})");
inline const std::string broken_answer =
    answer_with("500 Internal Server Error\r\nContent-Type: application/json\r\n", R"({"error":{"message":"broken"}})");

// `error.code` of a JSON error body (by looking for it: these bodies are weir's own).
std::string code_of(const HttpMessage& message);

class TestProxy {
 public:
  explicit TestProxy(proxy::Settings settings, std::shared_ptr<SSL_CTX> client_tls = nullptr);
  ~TestProxy();  // stops; what is still under way is ended
  TestProxy(const TestProxy&) = delete;
  TestProxy& operator=(const TestProxy&) = delete;

  std::uint16_t port() const;  // of the clients' door
  std::uint16_t operators_port() const;

  // Runs on the worker and waits for it.
  void on_worker(const std::function<void(proxy::WorkerContext&)>& job);
  void reload(proxy::Settings settings);  // from now on; exchanges under way keep theirs
  // What POST /weir/reload does: returns what was wrong. Called on a thread that is not the worker's.
  void on_reload_request(std::function<std::optional<std::string>()> handler);

  void announce_shutdown();  // first stage: /readyz says no
  void stop();               // second: nothing new; idle connections end, the others finish
  void insist();             // third: all end now
  // For invariants of the worker; each waits for its condition.
  bool wait_sessions(std::size_t count);
  bool wait_idle_upstreams(std::size_t count);
  std::size_t sessions();

  // Log records so far, in the order they were written.
  std::vector<observe::ExchangeRecord> records() const;
  // The n-th record (from 0), waiting for it.
  observe::ExchangeRecord record(std::size_t n = 0);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What GET /metrics answers.
std::string metrics_of(TestProxy& proxy);

// Waits for a condition that another thread makes true; false when it takes too long. Not for measuring time.
bool wait_for(const std::function<bool()>& condition);

}  // namespace weir::test
