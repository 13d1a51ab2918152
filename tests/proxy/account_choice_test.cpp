// Which of several accounts: offers and what is chosen.
#include "proxy/account_choice.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

const net::Instant chosen_at = net::Instant(1000s);

std::string chosen(const std::vector<AccountOffer>& offers, std::uint64_t likeness = 1) {
  return std::string(offers[choose_account(offers, 50ms, likeness)].account);
}

TEST(AccountChoice, TheOneWhereItCanStartFirst) {
  for (std::uint64_t likeness = 0; likeness < 100; ++likeness) {
    EXPECT_EQ(chosen({{"a", 1, 1, chosen_at + 2s}, {"b", 1, 1, chosen_at + 1s}, {"c", 9, 1, chosen_at + 3s}}, likeness),
              "b");
  }
}

TEST(AccountChoice, AmongThoseAsGoodTheLowestOrder) {
  EXPECT_EQ(chosen({{"a", 9, 2, chosen_at}, {"b", 1, 1, chosen_at + 40ms}}), "b");
  EXPECT_EQ(chosen({{"a", 9, 2, chosen_at}, {"b", 1, 1, chosen_at + 60ms}}), "a");
}

TEST(AccountChoice, AnInstantThatNeverComesIsTheLastChoice) {
  EXPECT_EQ(chosen({{"a", 1, 1, net::Instant::max()}, {"b", 1, 2, chosen_at + 1h}}), "b");
  EXPECT_EQ(chosen({{"a", 1, 1, net::Instant::max()}}), "a");
}

TEST(AccountChoice, WeightsShareTheCalls) {
  std::array<int, 2> count{};
  const std::vector<AccountOffer> offers{{"a", 1, 1, chosen_at}, {"b", 3, 1, chosen_at}};
  for (std::uint64_t call = 0; call < 10'000; ++call) {
    ++count[choose_account(offers, 50ms, likeness_of("short", "req_" + std::to_string(call)))];
  }
  EXPECT_NEAR(count[0], 2500, 250);
  EXPECT_NEAR(count[1], 7500, 250);
}

TEST(AccountChoice, CallsThatBeginAlikeMeet) {
  const std::string prompt(5000, 'x');
  EXPECT_EQ(likeness_of(prompt + "one", "req_1"), likeness_of(prompt + "two", "req_2"));
  EXPECT_NE(likeness_of(prompt, "req_1"), likeness_of("y" + prompt, "req_1"));
  EXPECT_NE(likeness_of("short", "req_1"), likeness_of("short", "req_2"));
}

TEST(AccountChoice, AnAccountThatIsLeftOutMovesOnlyItsOwnCalls) {
  const std::vector<AccountOffer> all{{"a", 1, 1, chosen_at}, {"b", 1, 1, chosen_at}, {"c", 1, 1, chosen_at}};
  std::vector<AccountOffer> without_b = all;
  without_b[1].start = chosen_at + 1min;
  for (std::uint64_t likeness = 0; likeness < 1000; ++likeness) {
    const std::string before = chosen(all, likeness), after = chosen(without_b, likeness);
    EXPECT_TRUE(before == "b" ? after != "b" : after == before);
  }
}

}  // namespace
}  // namespace weir::proxy
