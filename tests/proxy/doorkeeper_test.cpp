// Who is let in when there is little room: operators always, clients as many as there may be.
#include "proxy/doorkeeper.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <future>

#include "proxy/proxy_support.hpp"
#include "proxy/snapshot.hpp"

namespace weir::test {
namespace {

using namespace proxy;

constexpr std::size_t operators_max = Doorkeeper::operators_max;

// The bug: sixteen open status pages, or 64 connections that said nothing, shut out every probe.
TEST(Doorkeeper, LetsAProbeInWhereIdleConnectionsHoldAllRoomOfOperators) {
  TestProxy proxy(settings_for({}));
  std::deque<RawClient> idle;
  for (std::size_t i = 0; i < operators_max; ++i) {
    RawClient& client = idle.emplace_back(proxy.operators_port());
    if (i % 2 == 0) continue;
    client.send(get("/healthz"));  // as a page does that asks again in a second
    EXPECT_EQ(client.read_response().body, "alive\n");
  }
  ASSERT_TRUE(proxy.wait_sessions(operators_max));
  RawClient probe(proxy.operators_port());
  probe.send(get("/healthz"));
  EXPECT_EQ(probe.read_response().body, "alive\n");
  EXPECT_TRUE(idle[0].sees_end()) << "the longest idle has made room";
  idle[2].send(get("/healthz"));
  EXPECT_EQ(idle[2].read_response().body, "alive\n") << "the others are there";
  EXPECT_EQ(proxy.sessions(), operators_max);
}

TEST(Doorkeeper, ClosesNoOperatorWhoseRequestIsUnderWay) {
  TestProxy proxy(settings_for({}));
  std::promise<void> reloaded;
  proxy.on_reload_request([&] {
    reloaded.get_future().wait();
    return std::nullopt;
  });
  RawClient reloads(proxy.operators_port());
  reloads.send(post("/weir/reload", "", ""));
  ASSERT_TRUE(proxy.wait_sessions(1));
  std::deque<RawClient> idle;
  for (std::size_t i = 0; i < 2 * operators_max; ++i) idle.emplace_back(proxy.operators_port());
  RawClient probe(proxy.operators_port());
  probe.send(get("/healthz"));
  EXPECT_EQ(probe.read_response().body, "alive\n");
  reloaded.set_value();
  EXPECT_EQ(reloads.read_response().status(), 200);
}

TEST(Doorkeeper, CountsTheClientsThatAreTurnedAway) {
  TestProxy proxy(settings_for({}));
  proxy.on_worker([](WorkerContext& context) {
    Doorkeeper full(context.shared, 0);
    full.take(context, net::Socket(context.worker.io()), Door::clients);
    EXPECT_TRUE(context.sessions.empty());
  });
  EXPECT_NE(metrics_of(proxy).find("weir_rejections_total{reason=\"connections_max\"} 1\n"), std::string::npos);
}

// The bug: the room was divided among the workers, and the system deals connections out unevenly.
TEST(Doorkeeper, TakesAsManyClientsOnOneWorkerAsThereMayBeOnAll) {
  observe::Log log(observe::LogOptions{});
  Shared shared(log);
  const SnapshotPtr snapshot =
      make_snapshot(std::make_shared<const Settings>(settings_for({})), net::ProxyRules(), nullptr);
  net::Worker busy_worker, idle_worker;
  WorkerContext busy(busy_worker, shared, snapshot), idle(idle_worker, shared, snapshot);
  shared.workers = {&busy, &idle};
  Doorkeeper doorkeeper(shared, 100);
  EXPECT_TRUE(doorkeeper.has_room(busy, Door::clients));
  busy.clients.add(99);
  EXPECT_TRUE(doorkeeper.has_room(busy, Door::clients));
  idle.clients.add();
  EXPECT_FALSE(doorkeeper.has_room(busy, Door::clients));
  EXPECT_FALSE(doorkeeper.has_room(idle, Door::clients));
}

TEST(OnceInAWhile, IsDueAgainAfterAWhile) {
  OnceInAWhile once;
  const net::Instant now = net::Clock::now();
  EXPECT_TRUE(once.due(now));
  EXPECT_FALSE(once.due(now));
  EXPECT_FALSE(once.due(now + std::chrono::seconds(59)));
  EXPECT_TRUE(once.due(now + std::chrono::seconds(61)));
}

}  // namespace
}  // namespace weir::test
