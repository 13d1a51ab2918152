// Plain sockets, with a kernel between the ends.
#include "net/socket_wire.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/run_worker.hpp"
#include "support/socket_pair.hpp"

namespace weir::net {
namespace {

using Status = IoStep::Status;

IoStep write(Wire& wire, std::string_view bytes) {
  return wire.try_write(std::span<const std::string_view>(&bytes, 1));
}

std::string read(Wire& wire) {
  std::string buffer(1000, '\0');
  const IoStep step = wire.try_read(buffer);
  buffer.resize(step.bytes);
  return buffer;
}

Status read_status(Wire& wire) {
  char byte;
  return wire.try_read(std::span<char>(&byte, 1)).status;
}

struct Bench {
  Worker worker;
  std::unique_ptr<Wire> wire;
  test::BlockingSocket peer;
  Signal signal;
  Bench() {
    auto [socket, other] = test::make_socket_and_peer(worker);
    wire = make_socket_wire(std::move(socket));
    peer = std::move(other);
  }
  bool rings(Signal::Bits bit) {
    return test::run_until(worker, [&] { return (signal.raised() & bit) != 0; });
  }
};

TEST(SocketWire, CarriesBytesBothWays) {
  Bench bench;
  const std::string_view pieces[] = {"one ", "two ", "three"};
  EXPECT_EQ(bench.wire->try_write(pieces).bytes, 13u);
  EXPECT_EQ(bench.peer.receive(), "one two three");
  EXPECT_EQ(read_status(*bench.wire), Status::would_block);
  bench.peer.send("back");
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  ASSERT_TRUE(bench.rings(1));
  EXPECT_EQ(read(*bench.wire), "back");
  EXPECT_EQ(bench.wire->peer_address(), "127.0.0.1");
}

TEST(SocketWire, RingsForBytesThatWereThereBeforeTheQuestion) {
  Bench bench;
  bench.peer.send("early");
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  EXPECT_EQ(bench.signal.raised(), 0u) << "never from within the call";
  ASSERT_TRUE(bench.rings(1));
  bench.signal.clear(1);
  bench.wire->wait_readable(Bell{&bench.signal, 1});  // and again, since nothing was read
  EXPECT_TRUE(bench.rings(1));
}

TEST(SocketWire, RingsForAHangupBehindUnreadBytesAndNotForTheBytes) {
  for (const bool reset : {false, true}) {
    Bench bench;
    bench.peer.send("unread");
    bench.wire->wait_readable(Bell{&bench.signal, 1});
    bench.wire->wait_hangup(Bell{&bench.signal, 2});
    ASSERT_TRUE(bench.rings(1));
    EXPECT_EQ(bench.signal.raised() & 2, 0u);
    EXPECT_FALSE(bench.wire->hung_up());
    if (reset) {
      bench.peer.reset();
    } else {
      bench.peer.shutdown_write();
    }
    EXPECT_TRUE(bench.rings(2));
    EXPECT_TRUE(bench.wire->hung_up());
    bench.signal.clear(2);
    bench.wire->wait_hangup(Bell{&bench.signal, 2});  // it has happened already
    EXPECT_TRUE(bench.rings(2));
  }
}

TEST(SocketWire, RingsNoHangupForAWireThatIsGone) {
  Bench gone;
  auto [socket, peer] = test::make_socket_and_peer(gone.worker);
  auto other = make_socket_wire(std::move(socket));
  gone.wire->wait_hangup(Bell{&gone.signal, 1});
  other->wait_hangup(Bell{&gone.signal, 2});
  gone.peer.shutdown_write();
  gone.wire.reset();
  peer.shutdown_write();
  ASSERT_TRUE(gone.rings(2));
  EXPECT_EQ(gone.signal.raised() & 1, 0u);
}

TEST(SocketWire, KeepsNoLoopAtWorkForAHangupNobodyWaitsFor) {
  Bench bench;
  bench.wire->wait_hangup(Bell{&bench.signal, 1});
  bench.wire->drop_bells();
  bench.worker.io().run_for(test::patience);
  EXPECT_TRUE(bench.worker.io().stopped()) << "there is nothing left to wait for";
  EXPECT_EQ(bench.signal.raised(), 0u);
}

TEST(SocketWire, RingsTheBellThatWasGivenLast) {
  Bench bench;
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  bench.wire->wait_readable(Bell{&bench.signal, 2});
  bench.peer.send("x");
  ASSERT_TRUE(bench.rings(2));
  EXPECT_EQ(bench.signal.raised(), 2u);
}

TEST(SocketWire, RingsNoBellThatWasDropped) {
  Bench bench;
  {
    Signal gone;
    bench.wire->wait_readable(Bell{&gone, 1});
    bench.wire->wait_writable(Bell{&gone, 2});
    bench.wire->drop_bells();
  }
  bench.peer.send("x");
  test::run_ready(bench.worker);
  bench.wire->wait_readable(Bell{&bench.signal, 4});
  EXPECT_TRUE(bench.rings(4)) << "later questions are answered";
}

TEST(SocketWire, BlocksWhenTheReaderStopsAndRingsWhenItGoesOn) {
  Bench bench;
  const std::string block(64 * 1024, 'x');
  std::size_t sent = 0;
  for (;;) {
    const IoStep step = write(*bench.wire, block);
    if (step.status == Status::would_block) break;
    ASSERT_EQ(step.status, Status::done);
    sent += step.bytes;
  }
  bench.wire->wait_writable(Bell{&bench.signal, 2});
  test::run_ready(bench.worker);
  EXPECT_EQ(bench.signal.raised(), 0u);
  for (std::size_t got = 0; got < sent;) got += bench.peer.receive().size();
  ASSERT_TRUE(bench.rings(2));
  EXPECT_EQ(write(*bench.wire, "more").status, Status::done);
}

TEST(SocketWire, IsNotWokenByRoomToWriteThatNobodyWaitsForAnyMore) {
  Bench bench;
  bench.wire->wait_writable(Bell{&bench.signal, 2});
  ASSERT_TRUE(bench.rings(2));
  for (int i = 0; i < 2; ++i) {
    bench.wire->wait_readable(Bell{&bench.signal, 1});
    bench.worker.io().restart();
    EXPECT_EQ(bench.worker.io().poll(), 0u) << "nothing has happened";
    bench.peer.send("x");
    ASSERT_TRUE(bench.rings(1));
    EXPECT_EQ(read(*bench.wire), "x");
    bench.signal.clear(1);
  }
}

TEST(SocketWire, RingsOnAnEndAndReadsIt) {
  Bench bench;
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  bench.peer.close();
  ASSERT_TRUE(bench.rings(1));
  EXPECT_EQ(read_status(*bench.wire), Status::end);
}

TEST(SocketWire, RingsOnAResetAndSaysSo) {
  Bench bench;
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  bench.peer.reset();
  ASSERT_TRUE(bench.rings(1));
  EXPECT_EQ(read_status(*bench.wire), Status::failed);
  EXPECT_EQ(bench.wire->error_text(), "Connection reset by peer");
}

TEST(SocketWire, FailsToWriteToAPeerThatIsGoneWithoutASignal) {
  Bench bench;
  bench.peer.reset();
  Status status = Status::done;
  for (int i = 0; i < 100 && status == Status::done; ++i) status = write(*bench.wire, "x").status;
  EXPECT_EQ(status, Status::failed);
}

TEST(SocketWire, EndsOneDirectionAndReadsOn) {
  Bench bench;
  write(*bench.wire, "last words");
  bench.wire->shutdown_write();
  EXPECT_EQ(bench.peer.receive(), "last words");
  EXPECT_EQ(bench.peer.receive(), "");
  bench.peer.send("answer");
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  ASSERT_TRUE(bench.rings(1));
  EXPECT_EQ(read(*bench.wire), "answer");
}

TEST(SocketWire, ClosesInOrderAndAbortsByAReset) {
  Bench closing, aborting;
  closing.wire->close();
  EXPECT_EQ(closing.peer.receive(), "");
  aborting.wire->abort();
  EXPECT_THROW(aborting.peer.receive(), test::ConnectionReset);
}

TEST(SocketWire, TouchesNothingOnceClosed) {
  Bench bench;
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  bench.wire->close();
  auto [left, right] = test::make_socket_pair(bench.worker);  // takes over the descriptor's number
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  bench.wire->wait_writable(Bell{&bench.signal, 2});
  EXPECT_EQ(write(*bench.wire, "to somebody else").status, Status::failed);
  EXPECT_EQ(read_status(*bench.wire), Status::failed);
  bench.wire->shutdown_write();
  bench.wire->close();
  bench.wire->abort();
  test::run_ready(bench.worker);
  EXPECT_EQ(bench.signal.raised(), 0u);
  EXPECT_EQ(left.available() + right.available(), 0u);
  EXPECT_TRUE(left.is_open());
}

TEST(SocketWire, MayBeDestroyedWhileItsBellIsUnderWay) {
  Bench bench;
  {
    Signal gone;
    bench.wire->wait_readable(Bell{&gone, 1});
    bench.wire->wait_writable(Bell{&gone, 2});
    bench.peer.send("x");
    bench.wire.reset();
  }
  test::run_ready(bench.worker);
}

TEST(SocketWire, GivesItsSocketAway) {
  Bench bench;
  bench.wire->wait_readable(Bell{&bench.signal, 1});
  bench.wire = make_socket_wire(release_socket(std::move(bench.wire)));
  bench.peer.send("to the new owner");
  bench.wire->wait_readable(Bell{&bench.signal, 2});
  ASSERT_TRUE(bench.rings(2));
  EXPECT_EQ(bench.signal.raised(), 2u);
  EXPECT_EQ(read(*bench.wire), "to the new owner");
}

}  // namespace
}  // namespace weir::net
