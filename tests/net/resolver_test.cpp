#include "net/resolver.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "net/task.hpp"
#include "support/run_worker.hpp"

namespace weir::net {
namespace {

using namespace std::chrono_literals;

ResolverOptions keeping_for(std::chrono::milliseconds time) {
  ResolverOptions options;
  options.keep_for = time;
  return options;
}

struct Bench {
  explicit Bench(ResolverOptions options = keeping_for(1h)) : resolver(worker, std::move(options)) {}

  Worker worker;
  Resolver resolver;
  Signal signal;
  Bell bell{&signal, 1};
};

TEST(Resolver, AnswersAtOnceForAnAddress) {
  Bench bench;
  const Resolver::Wait v4(bench.resolver, "127.0.0.1", 80, bench.bell), v6(bench.resolver, "::1", 443, bench.bell);
  ASSERT_TRUE(v4.ready());
  ASSERT_TRUE(v6.ready());
  EXPECT_EQ(v4.endpoints().at(0).address().to_string(), "127.0.0.1");
  EXPECT_EQ(v4.endpoints().at(0).port(), 80);
  EXPECT_TRUE(v6.endpoints().at(0).address().is_v6());
}

TEST(Resolver, KnowsLocalhostWithoutAsking) {
  Bench bench;
  const Resolver::Wait wait(bench.resolver, "LocalHost", 80, bench.bell);
  ASSERT_TRUE(wait.ready());
  ASSERT_EQ(wait.endpoints().size(), 2u);
  EXPECT_TRUE(wait.endpoints().at(0).address().is_loopback());
  EXPECT_TRUE(wait.endpoints().at(1).address().is_loopback());
}

// "127.1" is a name to Asio and an address to getaddrinfo: it can be looked up on any machine.
TEST(Resolver, RingsEverybodyWhoWaitsForAName) {
  Bench bench;
  std::vector<std::unique_ptr<Signal>> signals;
  std::vector<std::unique_ptr<Resolver::Wait>> waits;
  for (int i = 0; i < 5; ++i) {
    signals.push_back(std::make_unique<Signal>());
    waits.push_back(std::make_unique<Resolver::Wait>(bench.resolver, "127.1", 8080, Bell{signals.back().get(), 1}));
    EXPECT_FALSE(waits.back()->ready());
  }
  waits[1].reset();  // left early
  signals[1].reset();
  test::run_until(bench.worker, [&] { return waits[0]->ready(); });
  for (const std::size_t i : {0u, 2u, 3u, 4u}) {
    EXPECT_TRUE(waits[i]->ready());
    EXPECT_EQ(signals[i]->raised(), 1u);
    ASSERT_FALSE(waits[i]->endpoints().empty()) << waits[i]->error();
    EXPECT_TRUE(waits[i]->endpoints().at(0).address().is_loopback());
    EXPECT_EQ(waits[i]->endpoints().at(0).port(), 8080);
  }
  EXPECT_TRUE(Resolver::Wait(bench.resolver, "127.1", 8080, bench.bell).ready()) << "remembered";
}

TEST(Resolver, AsksAgainForANameWhoseAnswerIsOld) {
  Bench bench(keeping_for(0ms));
  for (int i = 0; i < 2; ++i) {
    const Resolver::Wait wait(bench.resolver, "127.1", 8080, bench.bell);
    EXPECT_FALSE(wait.ready()) << "from memory";
    test::run_until(bench.worker, [&] { return wait.ready(); });
    EXPECT_FALSE(wait.endpoints().empty()) << wait.error();
  }
}

// A name server that answers for one domain and not for another.
struct NameServer {
  std::promise<void> go_on;
  // Shared with look-ups that outlive the test.
  std::shared_future<void> released = go_on.get_future().share();
  std::shared_ptr<std::atomic<bool>> hangs = std::make_shared<std::atomic<bool>>(true);

  ResolverOptions options() const {
    ResolverOptions made = keeping_for(0ms);
    made.look_up = [hold = released, hanging = hangs](const std::string& host, std::uint16_t port) {
      if (host == "hangs.test" && *hanging) hold.wait();
      LookedUp found;
      found.endpoints.emplace_back(boost::asio::ip::address_v4::loopback(), port);
      return found;
    };
    return made;
  }
  ~NameServer() { go_on.set_value(); }
};

TEST(Resolver, ANameThatHangsHoldsUpNoOther) {
  NameServer server;
  Bench bench(server.options());
  const Resolver::Wait stuck(bench.resolver, "hangs.test", 80, bench.bell);
  const Resolver::Wait wait(bench.resolver, "answers.test", 81, bench.bell);
  test::run_until(bench.worker, [&] { return wait.ready(); });
  EXPECT_EQ(wait.endpoints().at(0).port(), 81);
  EXPECT_FALSE(stuck.ready());
}

TEST(Resolver, ANameThatHangsHoldsUpNoEndOfTheWorker) {
  NameServer server;
  {
    Bench bench(server.options());
    const Resolver::Wait stuck(bench.resolver, "hangs.test", 80, bench.bell);
    test::run_ready(bench.worker);
  }
  // Here already, though the look-up goes on.
}

TEST(Resolver, AnOldAnswerDoesWhenANewOneTakesLong) {
  NameServer server;
  ResolverOptions options = server.options();
  options.refresh_max = 10ms;
  Bench bench(options);
  *server.hangs = false;
  {
    const Resolver::Wait first(bench.resolver, "hangs.test", 80, bench.bell);
    test::run_until(bench.worker, [&] { return first.ready(); });
  }
  *server.hangs = true;
  Signal signal;
  const Resolver::Wait second(bench.resolver, "hangs.test", 80, Bell{&signal, 1});
  test::run_until(bench.worker, [&] { return signal.raised() != 0; });
  EXPECT_TRUE(second.ready());
  EXPECT_EQ(second.endpoints().at(0).port(), 80);
}

TEST(Resolver, SaysWhyANameHasNoAddressAndAsksAgainNextTime) {
  Bench bench;
  for (int i = 0; i < 2; ++i) {
    const Resolver::Wait wait(bench.resolver, "no-such-host.invalid", 80, bench.bell);
    EXPECT_FALSE(wait.ready());
    test::run_until(bench.worker, [&] { return wait.ready(); });
    EXPECT_TRUE(wait.endpoints().empty());
    EXPECT_NE(wait.error(), "");
  }
}

TEST(Resolver, LetsAWaiterThatIsRungEndAnotherAndAskAgain) {
  Bench bench;
  Signal first_signal, second_signal;
  auto first = std::make_unique<Resolver::Wait>(bench.resolver, "no-such-host.invalid", 80, Bell{&first_signal, 1});
  auto second = std::make_unique<Resolver::Wait>(bench.resolver, "no-such-host.invalid", 80, Bell{&second_signal, 1});
  std::unique_ptr<Resolver::Wait> again;
  const auto story = [&](Signal& own, std::unique_ptr<Resolver::Wait>& other) -> Task<void> {
    const Signal::Bits bits = co_await own.wait(1 | 2);
    if (bits & 2) co_return;
    other.reset();
    again = std::make_unique<Resolver::Wait>(bench.resolver, "no-such-host.invalid", 80, bench.bell);
  };
  spawn(story(first_signal, second));
  spawn(story(second_signal, first));
  test::run_until(bench.worker, [&] { return again && again->ready(); });
  EXPECT_EQ((first != nullptr) + (second != nullptr), 1);
  first_signal.raise(2);  // ends the story that was not told
  second_signal.raise(2);
}

TEST(Worker, RunsWhatIsPostedFromOtherThreads) {
  Worker worker;
  int ran = 0;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) worker.post([&] { ++ran; });
  });
  test::run_until(worker, [&] { return ran == 100; });
  other.join();
}

TEST(Worker, DrivesItsTimers) {
  Worker worker;
  Signal signal;
  Timer soon(worker.timers(), Bell{&signal, 1}), later(worker.timers(), Bell{&signal, 2}),
      never(worker.timers(), Bell{&signal, 4});
  const Instant start = Clock::now();
  later.arm(start + std::chrono::milliseconds(30));
  soon.arm(start + std::chrono::milliseconds(10));
  never.arm(start + std::chrono::milliseconds(15));
  never.disarm();
  test::run_until(worker, [&] { return signal.raised() != 0; });
  EXPECT_EQ(signal.raised(), 1u);
  EXPECT_GE(Clock::now(), start + std::chrono::milliseconds(10));
  test::run_until(worker, [&] { return (signal.raised() & 2) != 0; });
  EXPECT_GE(Clock::now(), start + std::chrono::milliseconds(30));
  EXPECT_EQ(signal.raised(), 3u);
}

}  // namespace
}  // namespace weir::net
