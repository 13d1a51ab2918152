// Durations, sizes, counts and fractions as people write them, and as they are shown again.
#include <gtest/gtest.h>

#include "app/config.hpp"
#include "app/units.hpp"

namespace weir::app {
namespace {

TEST(Units, DurationsHaveTheirUnits) {
  const std::pair<const char*, Duration> good[] = {{"15s", 15s},
                                                   {"250ms", 250ms},
                                                   {"4m", 4min},
                                                   {"1h30m", 90min},
                                                   {"2d", 48h},
                                                   {"0s", 0ms},
                                                   {"1.5s", 1500ms},
                                                   {"0.5m", 30s},
                                                   {"1m30s", 90s},
                                                   {"1h1m1s1ms", 3'661'001ms},
                                                   {"3650d", unlimited_duration}};
  for (const auto& [text, duration] : good) EXPECT_EQ(parse_duration(text), duration) << text;
  for (const char* text : {"",
                           "s",
                           "10",
                           "1.s",
                           ".5s",
                           "-1s",
                           "+1s",
                           "1S",
                           "1 s",
                           "1s ",
                           " 1s",
                           "1sec",
                           "1m1h",
                           "1s1s",
                           "1s1",
                           "1e3s",
                           "3651d",
                           "9999999999999s",
                           "999999999999d",
                           "unlimited",
                           "0x1s",
                           "1.5",
                           "1..5s",
                           "１s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Units, SizesHaveTheirUnits) {
  const std::pair<const char*, std::size_t> good[] = {
      {"0B", 0},          {"7B", 7},        {"64KiB", 65'536},  {"256MiB", 268'435'456},
      {"1GiB", 1u << 30}, {"64KB", 64'000}, {"5MB", 5'000'000}, {"2GB", 2'000'000'000}};
  for (const auto& [text, bytes] : good) EXPECT_EQ(parse_size(text), bytes) << text;
  for (const char* text :
       {"", "64", "64K", "64kb", "64Mb", "64 MiB", "1.5MiB", "-1B", "MiB", "999999999999GiB", "1MiB1B"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Units, CountsMayHaveUnderscores) {
  EXPECT_EQ(parse_count("0"), 0u);
  EXPECT_EQ(parse_count("5000000"), 5'000'000u);
  EXPECT_EQ(parse_count("5_000_000"), 5'000'000u);
  for (const char* text : {"", "_1", "1_", "1.0", "1e6", "-1", "+1", "0x10", "5M", "1,000", " 1",
                           "99999999999999999999", "100000000000000000000000"}) {
    EXPECT_EQ(parse_count(text), std::nullopt) << text;
  }
}

TEST(Units, FractionsArePlainNumbers) {
  EXPECT_EQ(parse_fraction("1"), 1.0);
  EXPECT_EQ(parse_fraction("0.25"), 0.25);
  EXPECT_EQ(parse_fraction(".5"), 0.5);
  for (const char* text : {"", ".", "1.2.3", "-1", "1e3", "nan", "inf", "25%", "1/4", "0,25"})
    EXPECT_EQ(parse_fraction(text), std::nullopt) << text;
}

TEST(Units, WhatIsShownIsReadAsTheSame) {
  for (const Duration duration : {Duration(0ms), Duration(1ms), Duration(999ms), Duration(15s), Duration(90s),
                                  Duration(4min), Duration(1h), Duration(25h)}) {
    EXPECT_EQ(parse_duration(format_duration(duration)), duration) << format_duration(duration);
  }
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{1024},
                                  std::size_t{1500}, std::size_t{64} << 20, std::size_t{3} << 30}) {
    EXPECT_EQ(parse_size(format_size(bytes)), bytes) << format_size(bytes);
  }
  EXPECT_EQ(format_duration(90s), "1m30s");
  EXPECT_EQ(format_duration(unlimited_duration), "unlimited");
  EXPECT_EQ(format_size(std::size_t{256} << 20), "256MiB");
  EXPECT_EQ(format_fraction(0.25), "0.25");
}

}  // namespace
}  // namespace weir::app
