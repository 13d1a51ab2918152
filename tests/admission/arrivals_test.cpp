// Calls in order of arrival beside a sorted list of them.
#include "admission/arrivals.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <tuple>
#include <vector>

namespace weir::admission {
namespace {

TEST(Arrivals, AgreesWithASortedList) {
  std::mt19937_64 random(1);
  Arrivals arrivals;
  std::deque<Waiting> calls;
  std::vector<Waiting*> list;
  const auto earlier = [](const Waiting* a, const Waiting* b) {
    return std::tie(a->arrived, a->sequence) < std::tie(b->arrived, b->sequence);
  };
  for (std::uint64_t step = 0; step < 4'000; ++step) {
    if (list.empty() || random() % 100 < (step < 2'000 ? 60u : 40u)) {
      Waiting& call = calls.emplace_back();
      call.sequence = step;
      // Mostly behind the others.
      call.arrived = Instant(std::chrono::seconds(random() % 4 == 0 ? random() % (step + 1) : step));
      call.size = static_cast<Tokens>(random() % 100) + 1;
      call.upstream_size = static_cast<Tokens>(random() % 1'000);
      arrivals.push(call);
      list.insert(std::upper_bound(list.begin(), list.end(), &call, earlier), &call);
    } else {
      const auto gone = list.begin() + static_cast<std::ptrdiff_t>(random() % 3 == 0 ? 0 : random() % list.size());
      arrivals.remove(**gone);
      list.erase(gone);
    }
    ASSERT_EQ(arrivals.empty(), list.empty());
    if (list.empty()) continue;
    ASSERT_EQ(&arrivals.first(), list.front());
    const std::size_t place = random() % list.size();
    Amount before;
    for (std::size_t i = 0; i < place; ++i) before += list[i]->amount();
    ASSERT_EQ(arrivals.before(*list[place]), before);
    for (std::size_t i = place; i < list.size(); ++i) before += list[i]->amount();
    ASSERT_EQ(arrivals.all(), before);
  }
}

TEST(Arrivals, TellsWhoseTurnHasCome) {
  std::mt19937_64 random(2);
  Arrivals arrivals;
  std::deque<Waiting> calls(200);
  Tokens all = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].arrived = Instant(std::chrono::seconds(i));
    calls[i].sequence = random() % 400;
    calls[i].size = static_cast<Tokens>(random() % 5) + 1;
    all += calls[i].size;
    arrivals.push(calls[i]);
  }
  for (Tokens gone = -1; gone <= all + 1; ++gone) {
    Amount begun;
    Tokens before = 0;
    for (const Waiting& call : calls) {
      if (before < gone || (before == gone && call.sequence < 200)) begun += call.amount();
      before += call.size;
    }
    ASSERT_EQ(arrivals.begun(gone, 200), begun) << gone;
  }
}

TEST(Arrivals, TellsWhatIsBeforeOneThatStandsElsewhere) {
  Arrivals arrivals;
  std::deque<Waiting> calls(4);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].arrived = Instant(std::chrono::seconds(i));
    calls[i].sequence = i + 1;
    calls[i].size = 10;
  }
  for (const std::size_t i : {0u, 1u, 3u}) arrivals.push(calls[i]);
  EXPECT_EQ(arrivals.before(calls[2]), (Amount{2, 20, 0}));
}

}  // namespace
}  // namespace weir::admission
