// The bound over all bodies that are on their way in or out: what counts, for how long, and what callers are told.
#include "proxy/body_room.hpp"

#include <gtest/gtest.h>

#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

using proxy::BodyRoom;

TEST(BodyRoom, CountsWhatHasComeAndGivesItBack) {
  BodyRoom room;
  {
    BodyRoom::Claim one(room), two(room);
    EXPECT_TRUE(one.grow_to(60, 100));
    EXPECT_TRUE(one.grow_to(70, 100));
    EXPECT_TRUE(two.grow_to(30, 100));
    EXPECT_FALSE(two.grow_to(31, 100));
    EXPECT_EQ(room.bytes(), 101u);
    one.release();
    EXPECT_EQ(room.bytes(), 31u);
    EXPECT_TRUE(room.has_room(69, 100));
    EXPECT_FALSE(room.has_room(70, 100));
    EXPECT_FALSE(room.has_room(~std::uint64_t{0}, 100));
    one.hold(1000);
    EXPECT_FALSE(room.has_room(0, 100)) << "more than there is room for";
  }
  EXPECT_EQ(room.bytes(), 0u);
}

std::string padded_call(std::size_t bytes, const std::string& headers = "") {
  return post("/v1/chat/completions",
              R"({"model":"m","messages":[{"role":"user","content":")" + std::string(bytes, 'x') + "\"}]}", headers);
}

struct Bodies : ::testing::Test {
  proxy::Settings together(std::size_t bytes_max) {
    proxy::Settings made = settings_for({upstream_at(upstream.port())});
    made.limits.bodies_bytes_max = bytes_max;
    return made;
  }
  std::size_t held(TestProxy& proxy) {
    std::size_t bytes = 0;
    proxy.on_worker([&](proxy::WorkerContext& context) { bytes = context.shared.body_room.bytes(); });
    return bytes;
  }
  bool holds(TestProxy& proxy, std::size_t bytes) {
    return wait_for([&] { return held(proxy) == bytes; });
  }
  ScriptedUpstream upstream;
};

// The bug: only each body had a bound, and clients that were let in without a key could fill the memory with them.
TEST_F(Bodies, ThatDoNotFitBesideOthersAreRefused) {
  upstream.answer_always([](const HttpMessage&) { return json_answer(R"({"id":"x"})"); });
  TestProxy proxy(together(10'000));
  RawClient slow(proxy.port()), chunked(proxy.port()), announced(proxy.port());
  const std::string large = padded_call(8'000);
  slow.send(std::string_view(large).substr(0, large.size() - 1000));
  ASSERT_TRUE(wait_for([&] { return held(proxy) > 6'000; }));
  announced.send(padded_call(4'000));
  chunked.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n" +
      chunk(std::string(4'000, ' ')));
  for (RawClient* client : {&announced, &chunked}) {
    const HttpMessage answer = client->read_response();
    EXPECT_EQ(answer.status(), 429);
    EXPECT_EQ(code_of(answer), "weir_queue_full");
    EXPECT_EQ(answer.field("x-weir-error"), "weir_queue_full");
    EXPECT_EQ(answer.field("retry-after"), "1");
    EXPECT_EQ(answer.field("connection"), "close");
    EXPECT_NE(answer.body.find("limits.bodies_bytes_max"), std::string::npos) << answer.body;
  }
  slow.send(std::string_view(large).substr(large.size() - 1000));
  EXPECT_EQ(slow.read_response().status(), 200);
  EXPECT_TRUE(holds(proxy, 0));
  RawClient later(proxy.port());
  later.send(padded_call(4'000));
  EXPECT_EQ(later.read_response().status(), 200);
}

TEST_F(Bodies, OneThatWouldNeverFitIsTooLarge) {
  TestProxy proxy(together(10'000));
  RawClient client(proxy.port());
  client.send(padded_call(10'000));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 413);
  EXPECT_EQ(code_of(answer), "weir_body_too_large");
  EXPECT_NE(answer.body.find("limits.bodies_bytes_max"), std::string::npos) << answer.body;
}

TEST_F(Bodies, CostNothingAsLongAsTheyAreOnlyAnnounced) {
  TestProxy proxy(together(100u << 20));
  RawClient client(proxy.port());
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: 60000000\r\n\r\n{\"model\"");
  EXPECT_TRUE(holds(proxy, 8));
  client.close();
  EXPECT_TRUE(holds(proxy, 0));
}

TEST_F(Bodies, ThatWaitOrWereSentAreCountedElsewhere) {
  upstream.expect_request().hold().send(json_answer(R"({"id":"1"})"));
  upstream.expect_request().send(json_answer(R"({"id":"2"})")).expect_request().send(json_answer(R"({"id":"3"})"));
  proxy::Settings settings = together(10'000);
  settings.upstreams[0].limits.concurrency = 1;
  TestProxy proxy(std::move(settings));
  RawClient sent(proxy.port()), waits(proxy.port()), waits_too(proxy.port());
  sent.send(padded_call(8'000));
  ASSERT_TRUE(upstream.wait_requests(1));
  EXPECT_TRUE(holds(proxy, 0));
  for (RawClient* client : {&waits, &waits_too}) {
    client->send(padded_call(8'000));
    std::size_t queued = 0;
    const std::size_t expected = client == &waits ? 1 : 2;
    EXPECT_TRUE(wait_for([&] {
      proxy.on_worker([&](proxy::WorkerContext& context) {
        queued = context.shared.gate.with([](admission::Scheduler& scheduler) { return scheduler.queued(); });
      });
      return queued == expected;
    })) << queued;
  }
  EXPECT_TRUE(holds(proxy, 0));
  upstream.release();
  EXPECT_EQ(sent.read_response().body, R"({"id":"1"})");
  EXPECT_EQ(waits.read_response().body, R"({"id":"2"})");
  EXPECT_EQ(waits_too.read_response().body, R"({"id":"3"})");
  EXPECT_TRUE(holds(proxy, 0));
}

TEST_F(Bodies, ByLengthArriveWholeHoweverTheyGrow) {
  upstream.answer_always([](const HttpMessage& request) {
    return json_answer(R"({"bytes":)" + std::to_string(request.body.size()) + "}");
  });
  TestProxy proxy(together(10u << 20));
  for (const std::size_t bytes : {1u, 100'000u, 131'072u, 131'073u, 700'000u, 3'000'000u}) {
    RawClient client(proxy.port());
    const std::string call = padded_call(bytes);
    client.send(call);
    const std::size_t length = call.size() - call.find("\r\n\r\n") - 4;
    EXPECT_EQ(client.read_response().body, R"({"bytes":)" + std::to_string(length) + "}");
    EXPECT_EQ(upstream.requests().back().body, call.substr(call.size() - length));
  }
}

}  // namespace
}  // namespace weir::test
