#include "net/connection.hpp"

#include <gtest/gtest.h>

#include <random>

#include "net/task.hpp"
#include "support/memory_wire.hpp"
#include "support/run_worker.hpp"
#include "support/seed.hpp"

namespace weir::net {
namespace {

using Status = IoStep::Status;

// A connection with the test on the other end.
struct Bench {
  Worker worker;
  test::MemoryPeer peer{worker};
  Connection connection{worker, peer.take_wire()};
};

std::string read_scratch(Connection& connection) {
  std::span<char> bytes;
  const IoStep step = connection.read_scratch(bytes);
  return step.status == Status::done ? std::string(bytes.data(), bytes.size()) : "";
}

TEST(ConnectionRead, GathersWhatComesUntilItIsConsumed) {
  Bench bench;
  EXPECT_EQ(bench.connection.read_more().status, Status::would_block);
  bench.peer.send("GET / ");
  EXPECT_EQ(bench.connection.read_more().bytes, 6u);
  bench.peer.send("HTTP/1.1");
  EXPECT_EQ(bench.connection.read_more().status, Status::done);
  EXPECT_EQ(bench.connection.unread(), "GET / HTTP/1.1");
  bench.connection.consume(4);
  EXPECT_EQ(bench.connection.unread(), "/ HTTP/1.1");
  bench.peer.send("\r\n");
  bench.connection.read_more();
  EXPECT_EQ(bench.connection.unread(), "/ HTTP/1.1\r\n");
  bench.connection.consume(12);
  EXPECT_EQ(bench.connection.unread(), "");
}

TEST(ConnectionRead, KeepsOnlyWhatIsLeftOverOfTheScratchBuffer) {
  Bench bench;
  bench.peer.send("body|next request");
  const std::string bytes = read_scratch(bench.connection);
  EXPECT_EQ(bytes, "body|next request");
  EXPECT_EQ(bench.connection.unread(), "");
  bench.connection.keep(std::string_view(bytes).substr(5));
  EXPECT_EQ(bench.connection.unread(), "next request");
}

TEST(ConnectionRead, KeepsWhatIsUnreadWhenAnotherConnectionOfItsWorkerReads) {
  Bench bench;
  test::MemoryPeer other_peer{bench.worker};
  Connection other{bench.worker, other_peer.take_wire()};
  bench.peer.send("head|body");
  bench.connection.read_more();
  bench.connection.consume(5);
  other_peer.send("something else");
  other.read_more();
  EXPECT_EQ(bench.connection.unread(), "body");
  EXPECT_EQ(other.unread(), "something else");
  bench.peer.send(" and more");
  bench.connection.read_more();
  EXPECT_EQ(bench.connection.unread(), "body and more");
  EXPECT_EQ(other.unread(), "something else") << "the one that read last keeps its bytes too";
}

TEST(ConnectionRead, LeavesTheScratchBufferToOthersWhenItEnds) {
  Worker worker;
  test::MemoryPeer first{worker}, second{worker};
  Connection stays{worker, second.take_wire()};
  {
    Connection ends{worker, first.take_wire()};
    first.send("never used");
    ends.read_more();
  }
  second.send("used");
  stays.read_more();
  EXPECT_EQ(stays.unread(), "used");
}

TEST(ConnectionRead, LetsUnreadBytesBeChangedInPlace) {
  Bench bench;
  bench.peer.send("xabc");
  bench.connection.read_more();
  bench.connection.consume(1);
  bench.connection.unread_bytes()[0] = 'A';
  EXPECT_EQ(bench.connection.unread(), "Abc");
}

TEST(ConnectionRead, TellsAnEndFromAFailure) {
  Bench ending, broken;
  ending.peer.send("rest");
  ending.peer.end();
  EXPECT_EQ(ending.connection.read_more().status, Status::done);
  EXPECT_EQ(ending.connection.read_more().status, Status::end);
  EXPECT_EQ(ending.connection.unread(), "rest");
  broken.peer.reset();
  EXPECT_EQ(broken.connection.read_more().status, Status::failed);
}

TEST(ConnectionWrite, GathersItsPiecesInOneWrite) {
  Bench bench;
  const std::string_view pieces[] = {"5\r\n", "", "hello", "\r\n"};
  bench.connection.write(pieces);
  EXPECT_EQ(bench.peer.received(), "5\r\nhello\r\n");
  EXPECT_EQ(bench.peer.write_sizes().size(), 1u);
  EXPECT_FALSE(bench.connection.has_unflushed());
  EXPECT_EQ(bench.connection.bytes_written(), 10u);
}

TEST(ConnectionWrite, MayHaveNothingToWrite) {
  Bench bench;
  bench.connection.write("");
  bench.connection.write(std::span<const std::string_view>());
  const std::string_view empty[] = {"", ""};
  bench.connection.write(empty);
  EXPECT_TRUE(bench.peer.write_sizes().empty());
  EXPECT_EQ(bench.connection.flush().status, Status::done);
}

// How many bytes one write takes, how many may be under way, how often an operation blocks for no reason.
struct Obstacles {
  std::size_t write_max, capacity, block_every;
};

class ConnectionOrder : public ::testing::TestWithParam<Obstacles> {};

TEST_P(ConnectionOrder, IsKeptThroughPartialWrites) {
  const test::Seed seed;
  std::mt19937_64 random(seed.value);
  Bench bench;
  bench.peer.wire().write_max = GetParam().write_max;
  bench.peer.wire().capacity = GetParam().capacity;
  bench.peer.wire().block_every = GetParam().block_every;
  bench.peer.stop_reading();
  std::string expected;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> texts;
    for (std::uint64_t n = random() % 150; n > 0; --n)
      texts.emplace_back(random() % 20, static_cast<char>('a' + random() % 26));
    std::vector<std::string_view> pieces(texts.begin(), texts.end());
    for (const auto& text : texts) expected += text;
    bench.connection.write(pieces);
    bench.peer.read(random() % 3000);
    if (random() % 3 == 0) bench.connection.flush();
    ASSERT_EQ(bench.connection.bytes_written() + bench.connection.unflushed_bytes(), expected.size());
  }
  bench.peer.resume_reading();
  while (bench.connection.flush().status != Status::done) {
  }
  EXPECT_EQ(bench.peer.received(), expected);
  EXPECT_FALSE(bench.connection.has_unflushed());
}

INSTANTIATE_TEST_SUITE_P(Obstacles, ConnectionOrder,
                         ::testing::Values(Obstacles{test::no_limit, 65536, 0}, Obstacles{1, 65536, 0},
                                           Obstacles{7, 65536, 2}, Obstacles{test::no_limit, 100, 0},
                                           Obstacles{1000, 777, 3}));

TEST(ConnectionWrite, KeepsWhatTheWireDoesNotTakeUntilItIsWritable) {
  Bench bench;
  bench.peer.wire().capacity = 4;
  bench.peer.stop_reading();
  bench.connection.write("123456789");
  EXPECT_EQ(bench.connection.unflushed_bytes(), 5u);
  bench.connection.write("0");  // waits behind it, though nothing was flushed meanwhile
  EXPECT_EQ(bench.connection.unflushed_bytes(), 6u);
  EXPECT_EQ(bench.connection.flush().status, Status::would_block);

  Signal signal;
  bool done = false;
  const auto drain = [&]() -> Task<void> {
    while (bench.connection.flush().status == Status::would_block) {
      bench.connection.wire().wait_writable(Bell{&signal, 1});
      co_await signal.wait(1);
    }
    done = true;
  };
  spawn(drain());
  EXPECT_FALSE(done);
  test::run_until(bench.worker, [&] { return bench.peer.read(3), bench.peer.wake(), done; });
  EXPECT_EQ(bench.peer.received(), "1234567890");
}

// The bug: what had been flushed stayed in the buffer until all was, so that a reader who always leaves a little under
// way made it grow for as long as the stream lasted.
TEST(ConnectionWrite, KeepsLittleForAReaderThatIsAlwaysALittleBehind) {
  Bench bench;
  bench.peer.wire().capacity = 1000;
  bench.peer.stop_reading();
  const std::string event(1000, 'e');
  bench.connection.write(event);
  bench.connection.write(event);
  const test::MemoryLink::End& wire = bench.peer.wire();
  for (int i = 0; i < 2000; ++i) {
    bench.connection.write(event);
    bench.peer.read(1000);
    bench.connection.flush();
    ASSERT_LE(bench.connection.unflushed_bytes(), 2000u);
    ASSERT_LE(bench.connection.buffered_bytes(), 8000u) << "after " << wire.written.size() << " bytes";
  }
}

TEST(ConnectionWrite, WritesNothingMoreAfterAFailure) {
  Bench bench;
  bench.peer.wire().fail = std::make_shared<test::FailCount>(2);
  bench.connection.write("one");
  bench.connection.write("two");
  EXPECT_TRUE(bench.connection.write_failed());
  bench.connection.write("three");
  EXPECT_EQ(bench.connection.flush().status, Status::failed);
  EXPECT_FALSE(bench.connection.has_unflushed());
  EXPECT_EQ(bench.peer.received(), "one");
  EXPECT_EQ(bench.peer.wire().operations, 2u) << "the wire is left alone";
}

TEST(ConnectionWrite, DropsWhatWasPendingWhenTheFlushFails) {
  Bench bench;
  bench.peer.wire().capacity = 2;
  bench.peer.stop_reading();
  bench.connection.write("12345");
  bench.peer.reset();
  EXPECT_EQ(bench.connection.flush().status, Status::failed);
  EXPECT_TRUE(bench.connection.write_failed());
  EXPECT_FALSE(bench.connection.has_unflushed()) << "a loop that drains it ends";
}

TEST(ConnectionWrite, FailsAtEveryOperationInTurnWithoutLosingOrder) {
  for (std::size_t at = 1;; ++at) {
    Bench bench;
    const auto fail = std::make_shared<test::FailCount>(at);
    bench.peer.wire().fail = fail;
    bench.peer.wire().write_max = 10;
    const std::string_view pieces[] = {"0123456789", "abcdefghij", "ABCDEFGHIJ"};
    bench.connection.write(pieces);
    EXPECT_EQ(bench.connection.write_failed(), fail->reached());
    EXPECT_EQ(bench.peer.received(),
              std::string("0123456789abcdefghijABCDEFGHIJ").substr(0, bench.connection.bytes_written()));
    if (!fail->reached()) break;
    ASSERT_LT(at, 10u);
  }
}

TEST(PieceCursor, GoesOnWhereTheWireStopped) {
  Bench bench;
  bench.peer.wire().capacity = 5;
  bench.peer.stop_reading();
  const std::string_view pieces[] = {"abc", "", "defghi", "j"};
  PieceCursor cursor(pieces);
  EXPECT_EQ(bench.connection.write_some(cursor).status, Status::would_block);
  std::string rest;
  cursor.append_rest_to(rest);
  EXPECT_EQ(rest, "fghij");
  EXPECT_FALSE(bench.connection.has_unflushed()) << "nothing is copied";
  bench.peer.read(5);
  EXPECT_EQ(bench.connection.write_some(cursor).status, Status::done);
  EXPECT_EQ(bench.peer.received(), "abcdefghij");
  EXPECT_EQ(bench.connection.bytes_written(), 10u);
}

TEST(Connection, GivesItsWireAway) {
  Bench bench;
  auto wire = bench.connection.release();
  const std::string_view bytes = "still open";
  EXPECT_EQ(wire->try_write(std::span<const std::string_view>(&bytes, 1)).status, Status::done);
  EXPECT_FALSE(bench.peer.wire_gone());
  wire.reset();
  EXPECT_TRUE(bench.peer.saw_end());
}

}  // namespace
}  // namespace weir::net
