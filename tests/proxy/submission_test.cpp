// Where a request stands in line: the lane inside its key, its class, and what it reserves.
#include "proxy/submission.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

using admission::Priority;

net::MessageHead head_with(std::vector<net::Field> fields) {
  net::MessageHead head;
  head.fields = std::move(fields);
  return head;
}

std::string lane(std::vector<net::Field> fields, std::string user, bool shared_key) {
  protocol::RequestView view;
  view.user = std::move(user);
  return sub_lane_of(head_with(std::move(fields)), view, shared_key, "10.0.0.1");
}

TEST(SubLane, IsNamedByTheCallerElseByTheEndUserElseByTheAddressWhereAKeyIsShared) {
  EXPECT_EQ(lane({{"x-weir-lane", "agent-7"}}, "eve", true), "lane:agent-7");
  EXPECT_EQ(lane({}, "eve", true), "user:eve");
  EXPECT_EQ(lane({}, "", true), "from:10.0.0.1");
  EXPECT_EQ(lane({}, "", false), "") << "one key, one lane";
  EXPECT_NE(lane({{"x-weir-lane", "eve"}}, "", false), lane({}, "eve", false)) << "names of two kinds do not meet";
  EXPECT_EQ(lane({{"x-weir-lane", std::string(500, 'x')}}, "", false).size(), 5 + 128u);
  EXPECT_EQ(lane({}, std::string(500, 'x'), false).size(), 5 + 128u);
}

TEST(Priority, CanOnlyBeLoweredByTheCaller) {
  ClientKey key = test::key_for("alice", "secret");
  Client client;
  client.key = &key;
  const auto asked = [&](const char* word) { return priority_of(head_with({{"x-weir-priority", word}}), client); };
  key.priority = "normal";
  EXPECT_EQ(priority_of(head_with({}), client), Priority::normal);
  EXPECT_EQ(asked("interactive"), Priority::normal);
  EXPECT_EQ(asked("background"), Priority::background);
  EXPECT_EQ(asked("urgent"), Priority::normal);
  client.key = nullptr;
  EXPECT_EQ(priority_of(head_with({}), client), Priority::interactive);
  EXPECT_EQ(asked("background"), Priority::background);
}

// The cap where it is to be exact, the forecast where use counts.
TEST(UpstreamCost, ReservesTheCapWhereTheAccountSaysSo) {
  ChargePlan plan;
  plan.rule = ChargeRule::input_then_output;
  plan.input_upper = 100;
  plan.output_cap = 4'000;
  EXPECT_EQ(reserved_tokens(upstream_cost(plan, 300, false)), 400u);
  EXPECT_FALSE(upstream_cost(plan, 300, false).lump);
  EXPECT_EQ(reserved_tokens(upstream_cost(plan, 300, true)), 4'100u);
  EXPECT_TRUE(upstream_cost(plan, 300, true).lump);
  EXPECT_EQ(reserved_tokens(upstream_cost(plan, 9'000, false)), 4'100u) << "never more than the cap";
  plan.output_cap.reset();
  EXPECT_EQ(reserved_tokens(upstream_cost(plan, 300, true)), 400u) << "nothing bounds it";
}

}  // namespace
}  // namespace weir::proxy
