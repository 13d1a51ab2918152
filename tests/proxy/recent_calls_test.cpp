// What an SDK that comes back finds again.
#include "proxy/recent_calls.hpp"

#include <gtest/gtest.h>

#include <string>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

const net::Instant start = net::Instant(1000s);

CallName chat_call(std::string_view key, std::string_view body) {
  return {key, "/v1/chat/completions", "", body};
}

TEST(RecentCalls, RemembersByCallerAndBodyForAWhile) {
  RecentCalls<int> calls(60s, 10);
  calls.remember(chat_call("alice", "body"), 1, start);
  EXPECT_EQ(calls.find(chat_call("alice", "body"), start + 60s), 1);
  EXPECT_EQ(calls.find(chat_call("bob", "body"), start), std::nullopt);
  EXPECT_EQ(calls.find(chat_call("alice", "other"), start), std::nullopt);
  EXPECT_EQ(calls.find(chat_call("alice", "body"), start + 60001ms), std::nullopt);
}

TEST(RecentCalls, TheFirstValueStands) {
  RecentCalls<int> calls(60s, 10);
  calls.remember(chat_call("alice", "body"), 1, start);
  calls.remember(chat_call("alice", "body"), 2, start + 50s);
  EXPECT_EQ(calls.find(chat_call("alice", "body"), start + 50s), 1);
  EXPECT_EQ(calls.find(chat_call("alice", "body"), start + 61s), std::nullopt);
}

TEST(RecentCalls, TheOldestGoesWhenThereAreTooMany) {
  RecentCalls<int> calls(60s, 3);
  for (int i = 0; i < 5; ++i) calls.remember(chat_call("alice", std::to_string(i)), i, start);
  EXPECT_EQ(calls.find(chat_call("alice", "4"), start), 4);
  EXPECT_EQ(calls.find(chat_call("alice", "0"), start), std::nullopt);
}

TEST(RecentCalls, ThePartsOfANameDoNotRunIntoEachOther) {
  EXPECT_NE(hash_of_call({"a", "", "", "bc"}), hash_of_call({"ab", "", "", "c"}));
  EXPECT_NE(hash_of_call({"a", "/x", "", "b"}), hash_of_call({"a", "", "/x", "b"}));
  EXPECT_NE(hash_of_call({"a", "/x", "", "b"}), hash_of_call({"a", "/y", "", "b"}));
  EXPECT_EQ(hash_of_call({"a", "/x", "u", "b"}), hash_of_call({"a", "/x", "u", "b"}));
}

}  // namespace
}  // namespace weir::proxy
