#include "proxy/duration_in_words.hpp"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

TEST(DurationInWords, IsInSecondsToTwoMinutesAndInAPersonsUnitsAbove) {
  EXPECT_EQ(duration_in_words(-5ms), "0 s");
  EXPECT_EQ(duration_in_words(250ms), "0.3 s");
  EXPECT_EQ(duration_in_words(8s), "8 s");
  EXPECT_EQ(duration_in_words(120s), "120 s");
  EXPECT_EQ(duration_in_words(120'001ms), "2 min 1 s");
  EXPECT_EQ(duration_in_words(10min), "10 min");
  EXPECT_EQ(duration_in_words(3599s), "59 min 59 s");
  EXPECT_EQ(duration_in_words(1h), "1 h");
  EXPECT_EQ(duration_in_words(76'732'800ms), "21 h 19 min");
  EXPECT_EQ(duration_in_words(47h + 59min + 30s), "48 h");
  EXPECT_EQ(duration_in_words(48h), "2 d");
  EXPECT_EQ(duration_in_words(75h + 1s), "3 d 4 h");
}

}  // namespace
}  // namespace weir::proxy
