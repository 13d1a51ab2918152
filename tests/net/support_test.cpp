// The test tools themselves: a fault in them would look like one of the server's, or hide one.
#include <gtest/gtest.h>

#include "net/signal.hpp"
#include "net/worker.hpp"
#include "support/memory_wire.hpp"
#include "support/raw_client.hpp"
#include "support/run_worker.hpp"
#include "support/scripted_upstream.hpp"

namespace weir::test {
namespace {

using net::Bell;
using net::IoStep;
using net::Signal;
using Status = net::IoStep::Status;

Status write(net::Wire& wire, std::string_view bytes, std::size_t* taken = nullptr) {
  const IoStep step = wire.try_write(std::span<const std::string_view>(&bytes, 1));
  if (taken) *taken = step.bytes;
  return step.status;
}

std::string read(net::Wire& wire, std::size_t at_most = 1000) {
  std::string buffer(at_most, '\0');
  const IoStep step = wire.try_read(buffer);
  buffer.resize(step.bytes);
  return step.status == Status::end ? "<end>" : step.status == Status::failed ? "<failed>" : buffer;
}

TEST(MemoryWire, CarriesBytesBothWays) {
  net::Worker worker;
  auto [left, right] = make_memory_wires(worker);
  EXPECT_EQ(write(*left, "to the right"), Status::done);
  EXPECT_EQ(read(*right), "to the right");
  EXPECT_EQ(read(*right), "");
  EXPECT_EQ(write(*right, "to the left"), Status::done);
  EXPECT_EQ(read(*left), "to the left");
}

TEST(MemoryWire, BlocksWritesWhenItsCapacityIsUsedUp) {
  net::Worker worker;
  auto [left, right] = make_memory_wires(worker);
  left->end().capacity = 5;
  std::size_t taken = 0;
  EXPECT_EQ(write(*left, "1234567", &taken), Status::done);
  EXPECT_EQ(taken, 5u);
  EXPECT_EQ(write(*left, "67"), Status::would_block);
  EXPECT_EQ(read(*right, 2), "12");
  EXPECT_EQ(write(*left, "67", &taken), Status::done);
  EXPECT_EQ(taken, 2u);
}

TEST(MemoryWire, RingsThroughTheWorkerAndNeverFromWithinTheCall) {
  net::Worker worker;
  MemoryPeer peer(worker);
  auto wire = peer.take_wire();
  Signal signal;
  wire->wait_readable(Bell{&signal, 1});
  peer.send("x");
  EXPECT_EQ(signal.raised(), 0u);
  run_ready(worker);
  EXPECT_EQ(signal.raised(), 1u);
  signal.clear(1);
  wire->wait_readable(Bell{&signal, 2});  // still readable: rings again
  run_ready(worker);
  EXPECT_EQ(signal.raised(), 2u);
}

TEST(MemoryWire, RingsNothingOnceDestroyed) {
  net::Worker worker;
  MemoryPeer peer(worker);
  auto wire = peer.take_wire();
  Signal signal;
  wire->wait_readable(Bell{&signal, 1});
  peer.send("x");
  wire.reset();
  run_ready(worker);
  EXPECT_EQ(signal.raised(), 0u);
  EXPECT_TRUE(peer.saw_end());
}

TEST(MemoryWire, TellsAnEndFromAReset) {
  net::Worker worker;
  MemoryPeer ending(worker), resetting(worker);
  auto ended = ending.take_wire(), broken = resetting.take_wire();
  ending.send("rest");
  ending.end();
  EXPECT_EQ(read(*ended), "rest");
  EXPECT_EQ(read(*ended), "<end>");
  EXPECT_EQ(write(*ended, "still listening"), Status::done);
  resetting.send("rest");
  resetting.reset();
  EXPECT_EQ(read(*broken), "<failed>");
  EXPECT_EQ(write(*broken, "x"), Status::failed);
  EXPECT_EQ(broken->error_text(), "Connection reset by peer");
  ended->abort();
  EXPECT_TRUE(ending.saw_reset());
}

TEST(MemoryWire, BreaksAtTheOperationAskedForAndStaysBroken) {
  net::Worker worker;
  MemoryPeer peer(worker);
  auto wire = peer.take_wire();
  peer.wire().fail = std::make_shared<FailCount>(3);
  EXPECT_EQ(write(*wire, "1"), Status::done);
  EXPECT_EQ(write(*wire, "2"), Status::done);
  EXPECT_EQ(write(*wire, "3"), Status::failed);
  EXPECT_EQ(write(*wire, "4"), Status::failed);
  EXPECT_EQ(read(*wire), "<failed>");
  EXPECT_EQ(peer.received(), "12");
  EXPECT_TRUE(peer.wire().fail->reached());
}

TEST(MemoryWire, KeepsWhatIsNotReadUnderWay) {
  net::Worker worker;
  MemoryPeer peer(worker);
  auto wire = peer.take_wire();
  peer.wire().capacity = 3;
  peer.stop_reading();
  EXPECT_EQ(write(*wire, "123"), Status::done);
  EXPECT_EQ(write(*wire, "4"), Status::would_block);
  Signal signal;
  wire->wait_writable(Bell{&signal, 1});
  run_ready(worker);
  EXPECT_EQ(signal.raised(), 0u);
  peer.read(1);
  run_ready(worker);
  EXPECT_EQ(signal.raised(), 1u);
  EXPECT_EQ(write(*wire, "4"), Status::done);
  EXPECT_EQ(peer.received(), "1234");
  EXPECT_EQ(peer.write_sizes(), (std::vector<std::size_t>{3, 1}));
}

TEST(ScriptedUpstream, FollowsItsScriptsConnectionByConnection) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  upstream.script().expect_request().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").reset();
  upstream.next_connection().expect_request().hold().send("HTTP/1.1 204 No Content\r\n\r\n").close();

  RawClient first(upstream.port());
  first.send("POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
  const HttpMessage whole = first.read_response();
  EXPECT_TRUE(whole.complete());
  EXPECT_EQ(whole.body, "abcde");
  EXPECT_EQ(whole.chunks, (std::vector<std::string>{"abc", "de"}));
  first.send("GET /b HTTP/1.1\r\n\r\n");
  const HttpMessage cut = first.read_response();
  EXPECT_EQ(cut.ending, HttpMessage::Ending::reset);

  RawClient second(upstream.port());
  second.send("GET /c HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(upstream.wait_requests(3));
  EXPECT_TRUE(second.silent_for(5ms));
  upstream.release();
  EXPECT_EQ(second.read_response().status(), 204);
  EXPECT_TRUE(second.sees_end());

  EXPECT_TRUE(upstream.wait_done());
  EXPECT_EQ(upstream.connections(), 2u);
  EXPECT_EQ(upstream.requests().at(0).body, "{}");
  EXPECT_EQ(upstream.requests().at(2).target(), "/c");
}

TEST(ScriptedUpstream, AnswersAlwaysWhereThereIsNoScript) {
  ScriptedUpstream upstream;
  upstream.answer_always([](const HttpMessage& request) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(request.target().size()) + "\r\n\r\n" +
           request.target();
  });
  RawClient client(upstream.port());
  for (const char* target : {"/one", "/two"}) {
    client.send(std::string("GET ") + target + " HTTP/1.1\r\n\r\n");
    EXPECT_EQ(client.read_response().body, target);
  }
}

}  // namespace
}  // namespace weir::test
