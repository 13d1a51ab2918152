// What GET /v1/models asks of upstreams, and how often.
#include <gtest/gtest.h>

#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

class UpstreamModels : public ::testing::Test {
 protected:
  UpstreamModels() { settings = settings_for({upstream_at(one.port(), "one"), upstream_at(two.port(), "two")}); }

  static std::string models(const std::string& id) {
    return json_answer(R"({"object":"list","data":[{"id":")" + id + R"("}]})");
  }
  std::string list() {
    if (!proxy) proxy.emplace(settings);
    RawClient client(proxy->port());
    client.send(get("/v1/models"));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 200);
    return ids_in(answer.body);
  }
  // "a b"
  static std::string ids_in(const std::string& body) {
    std::string ids;
    const std::string before = R"("id":")";
    for (std::size_t at = body.find(before); at != std::string::npos; at = body.find(before, at)) {
      at += before.size();
      ids += (ids.empty() ? "" : " ") + body.substr(at, body.find('"', at) - at);
    }
    return ids;
  }
  void leave_alone(const std::string& account) {
    proxy->on_worker([&](proxy::WorkerContext& context) {
      admission::UpstreamReport report;
      report.budget = context.shared.gate.quietly(
          [&](admission::Scheduler& scheduler) { return scheduler.budget(admission::Scope::account, account); });
      report.pause_until = net::Clock::now() + 1min;
      report.afterwards = admission::UpstreamReport::Afterwards::one_first;
      context.shared.gate.observe(report);
    });
  }

  ScriptedUpstream one, two;
  proxy::Settings settings;
  std::optional<TestProxy> proxy;
};

TEST_F(UpstreamModels, AreAskedForOnceAMinute) {
  one.answer_always(models("m"));
  two.answer_always(models("two/m"));
  EXPECT_EQ(list(), "m two/m");
  EXPECT_EQ(list(), "m two/m");
  EXPECT_EQ(one.requests().size(), 1u);
  EXPECT_EQ(two.requests().size(), 1u);
}

TEST_F(UpstreamModels, AreNotAskedForAgainAtOnceWhereThereAreNone) {
  one.answer_always(answer_with("404 Not Found\r\n", "{}"));
  two.answer_always(json_answer(R"({"data":[]})"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(list(), "");
  EXPECT_EQ(one.requests().size(), 1u);
  EXPECT_EQ(two.requests().size(), 1u);
}

TEST_F(UpstreamModels, AreAskedForOnceByAllWhoWantThemNow) {
  one.expect_request().hold().send(models("m"));
  one.answer_always(models("another-ask"));
  two.answer_always(models("two/m"));
  proxy.emplace(settings);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(proxy->port()));
    clients.back()->send(get("/v1/models"));
  }
  ASSERT_TRUE(one.wait_requests(1));
  EXPECT_TRUE(clients.back()->silent_for(50ms));
  one.release();
  for (const auto& client : clients) EXPECT_EQ(ids_in(client->read_response().body), "m two/m");
  EXPECT_EQ(one.requests().size(), 1u);
  EXPECT_EQ(two.requests().size(), 1u);
}

TEST_F(UpstreamModels, AreAskedForByTheNextWhenTheFirstLeaves) {
  one.expect_request().expect_end();
  one.answer_always(models("m"));
  two.answer_always(models("two/m"));
  proxy.emplace(settings);
  RawClient first(proxy->port()), next(proxy->port());
  first.send(get("/v1/models"));
  ASSERT_TRUE(one.wait_requests(1));
  next.send(get("/v1/models"));
  EXPECT_TRUE(next.silent_for(50ms));
  first.close();
  EXPECT_EQ(ids_in(next.read_response().body), "m two/m");
}

// Whoever has used up all the time is not asked by the next, who hears of the others.
TEST_F(UpstreamModels, HaveOneDeadlineTogether) {
  one.expect_request().expect_end();
  two.answer_always(models("two/m"));
  EXPECT_EQ(list(), "");
  EXPECT_EQ(two.requests().size(), 0u);
  EXPECT_EQ(list(), "two/m");
  EXPECT_EQ(one.requests().size(), 1u);
}

TEST_F(UpstreamModels, CountAsARequest) {
  settings.upstreams[0].limits.rpm = 10;
  one.answer_always(models("m"));
  two.answer_always(models("two/m"));
  EXPECT_EQ(list(), "m two/m");
  RawClient operators(proxy->operators_port());
  operators.send(get("/weir/budgets"));
  const std::string budgets = operators.read_response().body;
  EXPECT_NE(budgets.find(R"("rpm":{"limit":10,"used":1,)"), std::string::npos) << budgets;
}

TEST_F(UpstreamModels, AreNotAskedForWhereTheLimitIsUsedUp) {
  settings.upstreams[0].limits.rpm = 1;
  one.answer_always(json_answer("{}"));
  two.answer_always(models("two/m"));
  proxy.emplace(settings);
  RawClient client(proxy->port());
  client.send(post("/v1/chat/completions", R"({"model":"m","messages":[]})"));
  EXPECT_EQ(client.read_response().status(), 200);
  EXPECT_EQ(list(), "two/m");
  EXPECT_EQ(one.requests().size(), 1u);
}

TEST_F(UpstreamModels, AreNotAskedForWhileTheAccountIsLeftAlone) {
  one.answer_always(models("m"));
  two.answer_always(models("two/m"));
  proxy.emplace(settings);
  leave_alone("one");
  EXPECT_EQ(list(), "two/m");
  EXPECT_EQ(one.connections(), 0u);
}

// A reload asks anew, as far as the accounts may be asked.
TEST_F(UpstreamModels, AreThoseLastKnownWhereThereIsNoAnswer) {
  one.expect_request().send(models("m")).expect_end();
  one.answer_always(answer_with("503 Service Unavailable\r\n", "{}"));
  two.answer_always(models("two/m"));
  EXPECT_EQ(list(), "m two/m");
  proxy->reload(settings);
  leave_alone("two");
  EXPECT_EQ(list(), "m two/m");
  EXPECT_EQ(one.requests().size(), 2u);
  EXPECT_EQ(two.requests().size(), 1u);
}

}  // namespace
}  // namespace weir::test
