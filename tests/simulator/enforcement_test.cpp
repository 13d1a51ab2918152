// Limits over loopback, what /__stats says about them, and a provider that stops when it is told to.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "simulator/client_support.hpp"
#include "simulator/simulator.hpp"

namespace weir::simulator {
namespace {

using namespace std::chrono_literals;
using test::at;
using test::chat;
using test::Client;
using test::fast;
using test::Response;

// Waits for something that happens soon; the limit only bounds how long a failure takes.
template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

TEST(Enforcement, RefusesBeyondTheRequestLimit) {
  Options options = fast(10);
  options.rpm = 3;
  Simulator simulator(options);
  Client client(simulator.port());
  const Response first = client.post("/v1/chat/completions", chat("hi"));
  EXPECT_EQ(first.header("x-ratelimit-limit-requests"), "3");
  EXPECT_EQ(first.header("x-ratelimit-remaining-requests"), "2");
  EXPECT_EQ(first.header("x-ratelimit-reset-requests"), "20s");
  EXPECT_EQ(first.header("x-ratelimit-limit-tokens"), "");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.post("/v1/chat/completions", chat("hi")).status, 200);
  const Response refused = client.post("/v1/chat/completions", chat("hi"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(at(refused.body, "/error/code"), "rate_limit_exceeded");
  EXPECT_EQ(at(refused.body, "/error/type"), "requests");
  EXPECT_GT(std::stol(refused.header("retry-after-ms")), 15'000);
  EXPECT_EQ(refused.header("retry-after"), "20");
  EXPECT_EQ(client.get("/v1/models").status, 200) << "only inference is limited";
  const Stats stats = simulator.stats();
  EXPECT_EQ(stats.accepted, 3u);
  EXPECT_EQ(stats.refused[static_cast<std::size_t>(Cause::requests)], 1u);
  EXPECT_EQ(stats.largest_requests, 3u);
  EXPECT_EQ(stats.largest_requests_received, 4u);
}

TEST(Enforcement, RefusesBeyondTheTokenLimitInEveryDialect) {
  struct Case {
    Dialect dialect;
    const char* code;
  };
  for (const Case& test :
       {Case{Dialect::openai, "rate_limit_exceeded"}, Case{Dialect::ark, "ModelAccountTpmRateLimitExceeded"},
        Case{Dialect::deepseek, "rate_limit_error"}}) {
    SCOPED_TRACE(test.code);
    Options options = fast(10);
    options.tpm = 100;
    options.dialect = test.dialect;
    Simulator simulator(options);
    Client client(simulator.port());
    EXPECT_EQ(client.post("/v1/chat/completions", chat("hi", R"(,"max_tokens":80)")).status, 200);
    const Response refused = client.post("/v1/chat/completions", chat("hi", R"(,"max_tokens":80)"));
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(at(refused.body, "/error/code"), test.code);
    EXPECT_EQ(simulator.stats().largest_tokens, 80u);
    EXPECT_EQ(simulator.stats().largest_tokens_used, 17u);  // 7 in, 10 out
  }
}

TEST(Enforcement, ShowsAnthropicItsOwnHeaders) {
  Options options = fast(10);
  options.rpm = 1;
  Simulator simulator(options);
  Client client(simulator.port());
  const std::string body = R"({"model":"c","max_tokens":5,"messages":[{"role":"user","content":"hi"}]})";
  const Response accepted = client.post("/v1/messages", body);
  EXPECT_EQ(accepted.header("anthropic-ratelimit-requests-remaining"), "0");
  EXPECT_EQ(accepted.header("anthropic-ratelimit-requests-reset").size(), 20u);
  const Response refused = client.post("/v1/messages", body);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(at(refused.body, "/error/type"), "rate_limit_error");
  EXPECT_EQ(refused.header("retry-after"), "60");
  EXPECT_EQ(refused.header("retry-after-ms"), "");
}

TEST(Enforcement, CountsARequestInFlightUntilItsAnswerIsOver) {
  Options options = fast(10);
  options.concurrency = 1;
  Simulator simulator(options);
  Client slow(simulator.port()), other(simulator.port());
  slow.send(test::post_text("/v1/chat/completions", chat("hi", R"(,"stream":true)"), "x-sim-stall-after: 2\r\n"));
  slow.receive_some(600);
  const Response refused = other.post("/v1/chat/completions", chat("hi"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(simulator.stats().streams_open, 1u);
  EXPECT_EQ(simulator.stats().in_flight, 1u);
  slow.close();
  ASSERT_TRUE(eventually([&] { return simulator.stats().in_flight == 0; }));
  EXPECT_EQ(other.post("/v1/chat/completions", chat("hi")).status, 200);
  const Stats stats = simulator.stats();
  EXPECT_EQ(stats.client_disconnects, 1u);
  EXPECT_EQ(stats.streams_open, 0u);
  EXPECT_EQ(stats.tokens_out, 12u) << "two of the aborted stream, ten of the other";
  EXPECT_EQ(stats.in_flight_largest, 1u);
}

// A client that sends its next request the moment it has the whole answer is never refused for the one before.
TEST(Enforcement, FreesTheSlotBeforeTheAnswerIsComplete) {
  Options options = fast(10);
  options.concurrency = 1;
  options.workers = 2;
  Simulator simulator(options);
  Client clients[] = {Client(simulator.port()), Client(simulator.port()), Client(simulator.port()),
                      Client(simulator.port())};
  for (int i = 0; i < 400; ++i) {
    ASSERT_EQ(clients[i % 4].post("/v1/chat/completions", chat("hi", i % 2 ? R"(,"stream":true)" : "")).status, 200)
        << i;
  }
}

TEST(Enforcement, BooksOutputOfAWholeAnswerAsItIsProduced) {
  Options options = fast(10);
  options.charge = Charge::input_then_output;
  options.tpm = 1'000'000;
  Simulator simulator(options);
  Client client(simulator.port());
  client.send(test::post_text("/v1/chat/completions", chat("hi"),
                              "x-sim-tokens-per-second: 100\r\nx-sim-output-tokens: 100\r\n"));
  ASSERT_TRUE(eventually([&] { return simulator.stats().tokens_out > 0; }));
  EXPECT_LT(simulator.stats().tokens_out, 100u);
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(simulator.stats().tokens_out, 100u);
  EXPECT_EQ(simulator.stats().largest_tokens, 107u);
}

// Many clients push as hard as they can against a short window: the log that is not the limiter's own finds no window
// above the limit.
TEST(Enforcement, KeepsEverySlidingWindowUnderPressure) {
  Options options = fast(10);
  options.window = 300ms;
  options.limiter = Limiter::sliding;
  options.rpm = 100;
  options.tpm = 900;
  options.workers = 2;
  Simulator simulator(options);
  std::vector<std::thread> threads;
  const auto end = std::chrono::steady_clock::now() + 1500ms;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Client client(simulator.port());
      while (std::chrono::steady_clock::now() < end) client.post("/v1/chat/completions", chat("hi"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Stats stats = simulator.stats();
  EXPECT_LE(stats.largest_requests, 100u);
  EXPECT_LE(stats.largest_tokens, 900u);
  EXPECT_GT(stats.largest_tokens, 800u);
  EXPECT_GT(stats.requests_refused(), 0u);
  EXPECT_EQ(stats.accepted + stats.requests_refused(), stats.requests_received());
}

TEST(Stats, AreJsonAndCanBeReset) {
  Simulator simulator(fast(10));
  Client client(simulator.port());
  client.post("/v1/chat/completions", chat("hi"));
  client.get("/v1/models");
  client.get("/v1/nothing");
  Client watcher(simulator.port());
  const std::string stats = watcher.get("/__stats").body;
  EXPECT_EQ(at(stats, "/requests/received"), "1");
  EXPECT_EQ(at(stats, "/by_path/~1v1~1chat~1completions"), "1");
  EXPECT_EQ(at(stats, "/by_path/~1v1~1models"), "1");
  EXPECT_EQ(at(stats, "/refused/other"), "1");
  EXPECT_EQ(at(stats, "/connections/opened"), "1") << "connections that only ask for statistics are not counted";
  EXPECT_EQ(at(stats, "/tokens/input"), "7");
  EXPECT_EQ(at(stats, "/tokens/output"), "10");
  EXPECT_EQ(at(stats, "/window_ms"), "60000");
  EXPECT_EQ(at(stats, "/largest_window/tokens_used"), "17");
  EXPECT_EQ(watcher.post("/__reset", "").status, 200);
  EXPECT_EQ(at(watcher.get("/__stats").body, "/requests/received"), "0");
  EXPECT_EQ(at(watcher.get("/__stats").body, "/connections/open"), "1");
  EXPECT_EQ(watcher.get("/__last").body, "null");
}

TEST(Lifecycle, StopsWithEverythingOpen) {
  Options options = fast(10);
  options.workers = 2;
  auto simulator = std::make_unique<Simulator>(options);
  std::vector<std::unique_ptr<Client>> clients;
  const char* const headers[] = {"", "x-sim-ttft: 60s\r\n", "x-sim-stall-after: 1\r\n",
                                 "x-sim-tokens-per-second: 5\r\n",
                                 "x-sim-ttft: 60s\r\nx-sim-keepalive-every: 20ms\r\n"};
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(simulator->port()));
    clients.back()->send(
        test::post_text("/v1/chat/completions", chat("hi", i % 2 ? R"(,"stream":true)" : ""), headers[i % 5]));
  }
  clients.push_back(std::make_unique<Client>(simulator->port()));
  clients.back()->send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
  std::this_thread::sleep_for(50ms);
  const auto begin = std::chrono::steady_clock::now();
  simulator->stop();
  simulator->stop();
  simulator.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
}

TEST(Lifecycle, RefusesAnAddressThatIsTaken) {
  Simulator first(fast(10));
  Options options = fast(10);
  options.listen = "127.0.0.1:" + std::to_string(first.port());
  EXPECT_THROW(Simulator second(options), std::runtime_error);
  options.listen = "nowhere";
  EXPECT_THROW(Simulator third(options), std::invalid_argument);
}

TEST(Lifecycle, ClosesIdleConnectionsWhenTold) {
  Options options = fast(10);
  options.idle_timeout = 50ms;
  Simulator simulator(options);
  Client client(simulator.port());
  EXPECT_EQ(client.post("/v1/chat/completions", chat("hi")).status, 200);
  EXPECT_EQ(client.receive(2s).end, Response::End::closed);
}

// A reader that does not read holds its stream back, and with it nothing else.
TEST(Lifecycle, WaitsForSlowReaders) {
  Simulator simulator(fast(10));
  Client slow(simulator.port()), quick(simulator.port());
  slow.send("GET /v1/files/file-sim-300000000/content HTTP/1.1\r\nHost: x\r\n\r\n");
  slow.receive_some(1000);
  Client stream(simulator.port());
  stream.send(
      test::post_text("/v1/chat/completions", chat("hi", R"(,"stream":true)"), "x-sim-output-tokens: 1000000\r\n"));
  stream.receive_some(1000);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(quick.post("/v1/chat/completions", chat("hi")).status, 200);
  EXPECT_LT(simulator.stats().tokens_out, 500'000u);
}

}  // namespace
}  // namespace weir::simulator
