// Where a request stands in line: the lane inside its key, its class, and what it reserves.
#include "proxy/submission.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

using test::head_with;

using admission::Priority;

std::string lane(std::vector<net::Field> fields, std::string user, KeyOf key, const char* address = "10.0.0.1") {
  protocol::RequestView view;
  view.user = std::move(user);
  return sub_lane_of(head_with(std::move(fields)), view, key, address);
}

TEST(SubLane, IsNamedByTheCallerElseByTheEndUserElseByTheAddressWhereAKeyIsShared) {
  EXPECT_EQ(lane({{"x-weir-lane", "agent-7"}}, "eve", KeyOf::each_account), "lane:agent-7");
  EXPECT_EQ(lane({}, "eve", KeyOf::each_account), "user:eve");
  EXPECT_EQ(lane({}, "", KeyOf::each_account), "from:10.0.0.1");
  EXPECT_EQ(lane({}, "", KeyOf::one), "") << "one key, one lane";
  EXPECT_NE(lane({{"x-weir-lane", "eve"}}, "", KeyOf::one), lane({}, "eve", KeyOf::one)) << "of two kinds";
  EXPECT_EQ(lane({{"x-weir-lane", std::string(500, 'x')}}, "", KeyOf::one).size(), 5 + 128u);
  EXPECT_EQ(lane({}, std::string(500, 'x'), KeyOf::one).size(), 5 + 128u);
}

// A machine that invented 200 names used to get 200 shares beside one of its neighbour.
TEST(SubLane, IsTheAddressWhereEverybodySharesTheKeySaveOnThisMachine) {
  EXPECT_EQ(lane({{"x-weir-lane", "agent-7"}}, "eve", KeyOf::everybody), "from:10.0.0.1");
  EXPECT_EQ(lane({}, "eve", KeyOf::everybody), "from:10.0.0.1");
  EXPECT_EQ(lane({{"x-weir-lane", "agent-7"}}, "", KeyOf::everybody, "127.0.0.1"), "lane:agent-7");
  EXPECT_EQ(lane({}, "", KeyOf::everybody, "::1"), "from:::1");
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
