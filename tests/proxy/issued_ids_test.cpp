// The memory of who issued which id: bounded, shared by all workers.
#include "proxy/issued_ids.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace weir::proxy {
namespace {

TEST(IssuedIds, RemembersWhoIssuedAnId) {
  IssuedIds ids;
  EXPECT_FALSE(ids.upstream_of("a"));
  ids.remember("a", "up");
  EXPECT_EQ(ids.upstream_of("a"), "up");
  ids.remember("a", "other");
  EXPECT_EQ(ids.upstream_of("a"), "other");
  ids.remember("", "up");
  EXPECT_FALSE(ids.upstream_of(""));
}

TEST(IssuedIds, KeepsNoIdOfUnreasonableLength) {
  IssuedIds ids;
  ids.remember(std::string(IssuedIds::id_bytes_max, 'a'), "up");
  ids.remember(std::string(IssuedIds::id_bytes_max + 1, 'a'), "up");
  EXPECT_TRUE(ids.upstream_of(std::string(IssuedIds::id_bytes_max, 'a')));
  EXPECT_FALSE(ids.upstream_of(std::string(IssuedIds::id_bytes_max + 1, 'a')));
}

TEST(IssuedIds, ForgetsTheOldest) {
  IssuedIds ids;
  for (std::size_t i = 0; i < IssuedIds::ids_max + 10; ++i) ids.remember("id" + std::to_string(i), "up");
  EXPECT_FALSE(ids.upstream_of("id9"));
  EXPECT_TRUE(ids.upstream_of("id10"));
  EXPECT_TRUE(ids.upstream_of("id" + std::to_string(IssuedIds::ids_max + 9)));
}

TEST(IssuedIds, MayBeUsedByAllWorkersAtOnce) {
  IssuedIds ids;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        const std::string id = std::to_string(t) + "-" + std::to_string(i);
        ids.remember(id, "up");
        EXPECT_TRUE(ids.upstream_of(id));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace weir::proxy
