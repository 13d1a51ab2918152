// Bodies kept for another try: until the first content, and within a bound over all calls.
#include "proxy/kept_bodies.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <list>
#include <optional>
#include <thread>
#include <vector>

#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"
#include "support/run_worker.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_given_back = false;  // sanitizers keep what was freed
#else
constexpr bool memory_is_given_back = true;
#endif

namespace weir::test {
namespace {

using proxy::KeptBodies;

struct Body {
  Body(KeptBodies& bodies, net::Worker& worker) : claim(bodies, worker, [this] { released = true; }) {}
  bool released = false;
  KeptBodies::Claim claim;
};

TEST(KeptBodies, LetsTheLargestGoBeyondTheBound) {
  net::Worker worker;
  KeptBodies bodies;
  Body small(bodies, worker), large(bodies, worker), middle(bodies, worker);
  small.claim.sent(10, 100);
  large.claim.sent(60, 100);
  EXPECT_EQ(bodies.bytes(), 70u);
  middle.claim.sent(40, 100);
  EXPECT_EQ(bodies.bytes(), 50u);
  EXPECT_EQ(bodies.let_go(), 1u);
  EXPECT_FALSE(large.released) << "never from within";
  ASSERT_TRUE(run_until(worker, [&] { return large.released; }));
  EXPECT_FALSE(large.claim.take_back());
  EXPECT_TRUE(small.claim.take_back());
  EXPECT_TRUE(middle.claim.take_back());
  EXPECT_EQ(bodies.bytes(), 0u);
  EXPECT_FALSE(small.released || middle.released);
}

TEST(KeptBodies, DoesNotLetGoWhatWasTakenBack) {
  net::Worker worker;
  KeptBodies bodies;
  Body first(bodies, worker), second(bodies, worker);
  first.claim.sent(60, 100);
  EXPECT_TRUE(first.claim.take_back());
  second.claim.sent(90, 100);
  EXPECT_EQ(bodies.let_go(), 0u);
  first.claim.sent(60, 100);
  EXPECT_EQ(bodies.let_go(), 1u);
  EXPECT_FALSE(second.claim.take_back());
}

TEST(KeptBodies, OneThatEndsBeforeItHearsOfItIsNotCalled) {
  net::Worker worker;
  KeptBodies bodies;
  bool released = false;
  std::optional<KeptBodies::Claim> claim;
  claim.emplace(bodies, worker, [&] { released = true; });
  claim->sent(1, 0);
  claim.reset();
  Body other(bodies, worker);
  other.claim.sent(1, 0);
  ASSERT_TRUE(run_until(worker, [&] { return other.released; }));
  EXPECT_FALSE(released);
}

TEST(KeptBodies, OfManyThreadsAreCountedTogether) {
  KeptBodies bodies;
  constexpr std::size_t calls = 2000, bound = 20;
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&] {
      net::Worker worker;
      std::list<Body> live;
      for (std::size_t i = 0; i < calls; ++i) {
        live.emplace_back(bodies, worker).claim.sent(1 + i % 7, bound);
        if (live.size() > 10) live.pop_front();
        worker.io().poll();
        worker.io().restart();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(bodies.bytes(), 0u);
  EXPECT_GT(bodies.let_go(), 0u);
}

std::string call_of(std::size_t bytes, bool stream = false) {
  return post("/v1/chat/completions", std::string(R"({"model":"m","stream":)") + (stream ? "true" : "false") +
                                          R"(,"messages":[{"role":"user","content":")" + std::string(bytes, 'x') +
                                          "\"}]}");
}

struct KeptBodiesOfCalls : ::testing::Test {
  proxy::Settings keeping(std::size_t bytes_max) {
    proxy::Settings made = settings_for({upstream_at(upstream.port())});
    made.retry.enabled = true;
    made.retry.pause_min = 2ms;
    made.retry.pause_max = 5ms;
    made.retry.kept_bodies_max = bytes_max;
    return made;
  }
  std::string metrics(TestProxy& proxy) {
    RawClient operators(proxy.operators_port());
    operators.send(get("/metrics"));
    return operators.read_response().body;
  }
  bool shows(TestProxy& proxy, const std::string& line) {
    return wait_for([&] { return metrics(proxy).find("\n" + line + "\n") != std::string::npos; });
  }
  ScriptedUpstream upstream;
};

TEST_F(KeptBodiesOfCalls, ACallWhoseBodyWasLetGoIsNotTriedAgain) {
  upstream.answer_always([](const HttpMessage&) { return broken_answer; });
  TestProxy proxy(keeping(1000));
  RawClient client(proxy.port());
  client.send(call_of(2000));
  EXPECT_EQ(client.read_response().status(), 500);
  EXPECT_EQ(upstream.requests().size(), 1u);
  EXPECT_TRUE(shows(proxy, "weir_kept_bodies_released_total 1"));
  client.send(call_of(10));
  EXPECT_EQ(client.read_response().status(), 500);
  EXPECT_EQ(upstream.requests().size(), 1u + keeping(0).retry.tries_max);
  EXPECT_TRUE(shows(proxy, "weir_kept_bodies_bytes 0"));
}

TEST_F(KeptBodiesOfCalls, ALargeOneMakesRoomForASmallOneAndStillGetsItsAnswer) {
  upstream.expect_request().hold().send(json_answer(R"({"id":"large"})"));
  upstream.next_connection()
      .expect_request()
      .send(broken_answer)
      .expect_request()
      .send(json_answer(R"({"id":"small"})"));
  TestProxy proxy(keeping(3000));
  RawClient large(proxy.port()), small(proxy.port());
  large.send(call_of(2500));
  ASSERT_TRUE(upstream.wait_requests(1));
  small.send(call_of(1000));
  EXPECT_EQ(small.read_response().body, R"({"id":"small"})");
  EXPECT_TRUE(shows(proxy, "weir_kept_bodies_released_total 1"));
  upstream.release();
  EXPECT_EQ(large.read_response().body, R"({"id":"large"})");
}

TEST_F(KeptBodiesOfCalls, ATrueAnswerIsFoundByABodyThatWasLetGo) {
  upstream.expect_request().hold().send(broken_answer);
  proxy::Settings made = keeping(0);
  made.heartbeat.json_after = made.heartbeat.json_every = 20ms;
  TestProxy proxy(std::move(made));
  RawClient client(proxy.port()), again(proxy.port());
  client.send(call_of(100));
  client.read_until("1\r\n \r\n");
  upstream.release();
  EXPECT_TRUE(client.sees_reset());
  again.send(call_of(100));
  EXPECT_EQ(again.read_response().status(), 500);
  EXPECT_EQ(upstream.requests().size(), 1u);
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

constexpr std::size_t large_bytes = 48u << 20, most_of_it = 40u << 20;

TEST_F(KeptBodiesOfCalls, MemoryIsGivenBackAtTheFirstContent) {
  if (!memory_is_given_back) GTEST_SKIP();
  upstream.script()
      .expect_until("\"}]}")
      .hold()
      .send(stream_head() + chunk(chat_event("a")))
      .hold()
      .send(chunk(chat_stream()) + last_chunk());
  TestProxy proxy(keeping(1u << 30));
  RawClient client(proxy.port());
  client.send(call_of(large_bytes, true));
  ASSERT_TRUE(wait_for([&] { return upstream.received(0).ends_with("\"}]}"); }));
  const std::size_t before = resident_bytes();
  upstream.release();
  client.read_until(chat_event("a"));
  EXPECT_TRUE(wait_for([&] { return resident_bytes() + most_of_it < before; }));
  upstream.release();
  client.read_until(last_chunk());
}

TEST_F(KeptBodiesOfCalls, MemoryIsGivenBackWhenABodyIsLetGo) {
  if (!memory_is_given_back) GTEST_SKIP();
  upstream.script().expect_until("\"}]}").hold().send(json_answer(R"({"id":"large"})"));
  upstream.next_connection().expect_request().send(json_answer(R"({"id":"small"})"));
  TestProxy proxy(keeping(large_bytes + 1000));
  RawClient large(proxy.port()), small(proxy.port());
  large.send(call_of(large_bytes));
  ASSERT_TRUE(wait_for([&] { return upstream.received(0).ends_with("\"}]}"); }));
  const std::size_t before = resident_bytes();
  small.send(call_of(2000));
  EXPECT_EQ(small.read_response().body, R"({"id":"small"})");
  EXPECT_TRUE(wait_for([&] { return resident_bytes() + most_of_it < before; }));
  upstream.release();
  EXPECT_EQ(large.read_response().body, R"({"id":"large"})");
}

}  // namespace
}  // namespace weir::test
