// Faults at every step: the client's wire fails, blocks or trickles at each of its operations; the upstream is cut at
// each byte of its answer; the client leaves at each byte. Whatever happens, everything ends, nothing half-read is used
// again, and nothing that is not whole looks whole.
#include <gtest/gtest.h>

#include <regex>

#include "net/task.hpp"
#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"
#include "proxy/session.hpp"
#include "support/memory_wire.hpp"
#include "support/run_worker.hpp"

namespace weir::test {
namespace {

const std::string whole_json = R"({"id":"c1","choices":[],"usage":{"prompt_tokens":1}})";

std::string answer_to(const HttpMessage& request) {
  if (request.body.find("\"stream\":true") == std::string::npos) return json_answer(whole_json);
  return stream_head() + chunk(chat_event("a")) + chunk(chat_stream()) + last_chunk();
}

// One connection with a streamed call, an upload, a plain call and a bad one, over a wire in memory.
class InMemory : public ::testing::Test {
 protected:
  InMemory() : log(options()), shared(log) {
    upstream.answer_always(answer_to);
    shared.via = "weir-test";
    shared.mint_id = [] { return "req_1"; };
    context.emplace(
        worker, shared,
        proxy::make_snapshot(std::make_shared<const proxy::Settings>(settings_for({upstream_at(upstream.port())})),
                             net::ProxyRules(), nullptr));
    for (const std::string& request : {post("/v1/chat/completions", stream_body), post("/v1/files", "content"),
                                       post("/v1/chat/completions", chat_body), post("/v1/chat/completions", "{"),
                                       get("/healthz", "Connection: close\r\n")}) {
      requests += request;
    }
  }
  observe::LogOptions options() {
    observe::LogOptions made;
    made.on_exchange = [this](const observe::ExchangeRecord& record) { records.push_back(record); };
    return made;
  }
  static net::Task<void> serve(proxy::WorkerContext& context, std::unique_ptr<net::Wire> wire, bool& ended) {
    co_await proxy::Session::run(context, std::move(wire), proxy::Door::clients);
    ended = true;
  }
  // Runs the conversation over this peer's wire; false: it did not end.
  bool run(MemoryPeer& peer) {
    bool ended = false;
    peer.send(requests);
    net::spawn(serve(*context, peer.take_wire(), ended));
    const bool done = run_until(worker, [&] { return ended; });
    EXPECT_TRUE(context->sessions.empty());
    return done;
  }

  ScriptedUpstream upstream;
  std::vector<observe::ExchangeRecord> records;
  observe::Log log;
  proxy::Shared shared;
  net::Worker worker;
  std::optional<proxy::WorkerContext> context;
  std::string requests;
};

TEST_F(InMemory, AWireThatFailsAtAnyOperationEndsTheSession) {
  std::size_t steps = 0;
  for (std::size_t n = 1;; ++n) {
    SCOPED_TRACE("failing at operation " + std::to_string(n));
    MemoryPeer peer(worker);
    const auto fail = std::make_shared<FailCount>(n);
    peer.wire().fail = fail;
    peer.wire().read_max = 100;  // more steps to fail at
    peer.wire().write_max = 150;
    ASSERT_TRUE(run(peer));
    steps = n;
    if (!fail->reached()) {
      // What came before has left nothing behind that a whole round would read.
      EXPECT_NE(peer.received().find(whole_json), std::string::npos);
      EXPECT_NE(peer.received().find("invalid_json"), std::string::npos);
      break;
    }
    ASSERT_LT(n, 500u);
  }
  EXPECT_GT(steps, 15u);
  EXPECT_EQ(records.back().outcome, "refused");  // the bad call of the last, unbroken round
}

TEST_F(InMemory, AClientThatWasAnsweredIsReadOnceItSpeaksAgain) {
  MemoryPeer peer(worker);
  bool ended = false;
  net::spawn(serve(*context, peer.take_wire(), ended));
  const auto ask_and_wait = [&] {
    const std::size_t before = peer.received().size();
    peer.send(get("/healthz"));
    run_until(worker, [&] { return peer.received().size() > before; });
    run_ready(worker);
  };
  ask_and_wait();
  const std::size_t operations = peer.wire().operations;
  ask_and_wait();
  EXPECT_EQ(peer.wire().operations - operations, 2U);  // a read and a write
  peer.end();
  EXPECT_TRUE(run_until(worker, [&] { return ended; }));
}

// Its upstream works for nobody: four heartbeats in a row that it does not take, and it counts as gone.
TEST_F(InMemory, AClientThatTakesNoHeartbeatIsDropped) {
  ScriptedUpstream slow;
  slow.expect_request().expect_end();
  proxy::Settings settings = settings_for({upstream_at(slow.port())});
  settings.heartbeat = {5ms, 5ms, 5ms, 5ms};
  context->snapshot =
      proxy::make_snapshot(std::make_shared<const proxy::Settings>(std::move(settings)), net::ProxyRules(), nullptr);
  MemoryPeer peer(worker);
  peer.stop_reading();
  peer.wire().capacity = 10;  // the head fills it
  bool ended = false;
  peer.send(post("/v1/chat/completions", stream_body));
  net::spawn(serve(*context, peer.take_wire(), ended));
  EXPECT_TRUE(run_until(worker, [&] { return ended; }));
  EXPECT_TRUE(slow.wait_done());
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].outcome, "client_left");
  EXPECT_EQ(records[0].heartbeats_sent, 1u);
}

TEST_F(InMemory, EveryKindOfWireGivesTheSameBytes) {
  std::string wanted;
  const std::function<void(MemoryLink::End&)> kinds[] = {
      [](MemoryLink::End&) {},
      [](MemoryLink::End& wire) { wire.read_max = 1; },
      [](MemoryLink::End& wire) { wire.write_max = 1; },
      [](MemoryLink::End& wire) { wire.block_every = 2; },
      [](MemoryLink::End& wire) {
        wire.block_every = 3;
        wire.read_max = 5;
        wire.write_max = 7;
      },
      [](MemoryLink::End& wire) { wire.capacity = 10; },
  };
  for (const auto& kind : kinds) {
    MemoryPeer peer(worker);
    kind(peer.wire());
    ASSERT_TRUE(run(peer));
    // What a call reserves is learned from the calls before it, and time passes.
    const std::regex figures("x-weir-(reserved-tokens|queue-ms): [0-9]+");
    const std::string received = std::regex_replace(peer.received(), figures, "");
    if (wanted.empty()) wanted = received;
    // Chunks may be cut differently; the bytes of the answers are the same without their framing.
    EXPECT_EQ(received, wanted) << "kind " << &kind - kinds;
    EXPECT_TRUE(peer.wire_gone());
  }
  EXPECT_NE(wanted.find(whole_json), std::string::npos);
  EXPECT_NE(wanted.find("invalid_json"), std::string::npos);
}

struct Answer {
  std::string name, bytes, request;
};
class CutAtEveryByte : public ::testing::TestWithParam<Answer> {};

TEST_P(CutAtEveryByte, NeverLooksWhole) {
  const Answer& row = GetParam();
  const bool stream = row.request == stream_body;
  ScriptedUpstream upstream;
  for (std::size_t size = 0; size < row.bytes.size(); ++size) {
    auto& script = upstream.next_connection().expect_request();
    if (size > 0) script.send(row.bytes.substr(0, size));
    size % 3 == 0 ? script.reset() : script.close();
  }
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  std::size_t refused = 0, broken = 0, told = 0, whole = 0;
  for (std::size_t size = 0; size < row.bytes.size(); ++size) {
    SCOPED_TRACE("after " + std::to_string(size) +
                 " bytes: " + row.bytes.substr(size < 40 ? 0 : size - 40, std::min<std::size_t>(size, 40)));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", row.request));
    HttpMessage answer;
    try {
      answer = client.read_response();
    } catch (const std::runtime_error&) {
      ++broken;  // reset before its head was through
      continue;
    }
    if (answer.status() == 502) {
      ++refused;
      EXPECT_TRUE(code_of(answer).starts_with("weir_upstream_"));
    } else if (!answer.complete()) {
      ++broken;
      EXPECT_FALSE(stream);
    } else if (answer.body.find("\"error\":{") != std::string::npos) {
      ++told;
      EXPECT_TRUE(stream);
    } else {
      ++whole;
      EXPECT_TRUE(stream);
      EXPECT_NE(answer.body.find("\"finish_reason\":\"stop\""), std::string::npos) << answer.body;
    }
  }
  EXPECT_GT(refused, 0u);
  EXPECT_GT(stream ? told : broken, 0u);
  // Of a stream only what comes after its finish_reason may be missing.
  EXPECT_LE(whole, stream ? ("data: [DONE]\n\n\r\n" + last_chunk()).size() : 0u);
  EXPECT_EQ(refused + broken + told + whole, row.bytes.size());
}

const std::string json_type = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const std::string with_content = R"({"id":"c1","choices":[{"index":0,"message":{"content":"a"}}]})";
INSTANTIATE_TEST_SUITE_P(
    Rows, CutAtEveryByte,
    ::testing::Values(Answer{"JsonOfKnownLength", json_answer(with_content), chat_body},
                      Answer{"JsonInChunks",
                             json_type + "Transfer-Encoding: chunked\r\n\r\n" + chunk(with_content.substr(0, 9)) +
                                 chunk(with_content.substr(9)) + last_chunk(),
                             chat_body},
                      Answer{"Stream", stream_head() + chunk(chat_event("a")) + chunk(chat_stream()) + last_chunk(),
                             stream_body}),
    [](const auto& row) { return row.param.name; });

TEST(EveryByte, AClientMayLeaveAfterIt) {
  ScriptedUpstream upstream;
  upstream.answer_always(answer_to);
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  const std::string request = post("/v1/chat/completions", stream_body);
  for (std::size_t size = 0; size < request.size(); ++size) {
    RawClient client(proxy.port());
    client.send(request.substr(0, size));
    size % 2 == 0 ? client.close() : client.reset();
  }
  EXPECT_TRUE(proxy.wait_sessions(0));
  EXPECT_TRUE(upstream.requests().empty());
  std::string whole;
  {
    RawClient client(proxy.port());
    client.send(request);
    whole = client.read_until(last_chunk());
  }
  for (std::size_t size = 0; size < whole.size(); size += 3) {
    RawClient client(proxy.port());
    client.send(request);
    client.read_exactly(size);
    size % 2 == 0 ? client.close() : client.reset();
  }
  EXPECT_TRUE(proxy.wait_sessions(0));
  RawClient client(proxy.port());
  client.send(request);
  EXPECT_EQ(client.read_response().body, chat_event("a") + chat_stream());
}

}  // namespace
}  // namespace weir::test
