#include "observe/line_batch.hpp"

#include <gtest/gtest.h>

namespace weir::observe {
namespace {

TEST(LineBatch, HoldsLinesInOrderUntilItIsCleared) {
  LineBatch batch(8);
  EXPECT_TRUE(batch.empty());
  batch.append("one\n");
  batch.append("two\n");
  EXPECT_FALSE(batch.empty());
  EXPECT_EQ(batch.bytes(), "one\ntwo\n");
  batch.clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.bytes(), "");
}

TEST(LineBatch, DropsTheOldestBeyondItsBoundAndCountsThem) {
  LineBatch batch(3);
  for (int i = 0; i < 10; ++i) batch.append(std::to_string(i) + "\n");
  EXPECT_EQ(batch.bytes(), "7\n8\n9\n");
  EXPECT_EQ(batch.dropped(), 7u);
  batch.clear();
  EXPECT_EQ(batch.dropped(), 0u);
}

TEST(LineBatch, DoesNotGrowWhileItDrops) {
  LineBatch batch(10);
  const std::string line(100, 'x');
  for (int i = 0; i < 100'000; ++i) batch.append(line);
  EXPECT_EQ(batch.bytes().size(), 1000u);
  EXPECT_LE(batch.room(), 4000u);
}

}  // namespace
}  // namespace weir::observe
