#include "net/frame_pool.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "net/task.hpp"

namespace weir::net {
namespace {

#ifndef __SANITIZE_ADDRESS__
Task<int> one() {
  co_return 1;
}
Task<int> sum_of_two() {
  const int first = co_await one();
  const int second = co_await one();
  co_return first + second;
}
Task<void> store(int& into) {
  into = co_await sum_of_two();
}

TEST(FramePool, GivesTheFrameThatWasReleasedLastToTheNextOfItsSize) {
  void* const first = frame_pool::allocate(700);
  void* const second = frame_pool::allocate(700);
  frame_pool::release(first, 700);
  frame_pool::release(second, 700);
  void* const again = frame_pool::allocate(698);
  EXPECT_EQ(again, second);
  frame_pool::release(again, 698);
}

TEST(FramePool, KeepsTheFramesOfTasksForTheNextOnes) {
  int result = 0;
  spawn(store(result));
  EXPECT_EQ(result, 2);
  const std::size_t kept = frame_pool::kept_bytes();
  EXPECT_GT(kept, 0u);
  spawn(store(result));
  EXPECT_EQ(frame_pool::kept_bytes(), kept) << "the second run took the frames of the first";
}
#endif

TEST(FramePool, KeepsNoMoreThanItsBound) {
  std::vector<void*> frames;
  for (std::size_t i = 0; i < 1000; ++i) frames.push_back(frame_pool::allocate(4000));
  for (void* const frame : frames) frame_pool::release(frame, 4000);
  EXPECT_LE(frame_pool::kept_bytes(), frame_pool::kept_bytes_max);
  void* const large = frame_pool::allocate(frame_pool::frame_bytes_max + 1);
  const std::size_t kept = frame_pool::kept_bytes();
  frame_pool::release(large, frame_pool::frame_bytes_max + 1);
  EXPECT_EQ(frame_pool::kept_bytes(), kept) << "what is too large goes back to the heap";
}

}  // namespace
}  // namespace weir::net
