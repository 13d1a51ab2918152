#include "observe/text_writer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace weir::observe {
namespace {

TEST(TextWriter, WritesPiecesNumbersAndDigits) {
  TextWriter out(64);
  out.write("host", ": ", std::string("example"), "\r\n") << 'x' << std::uint64_t{0} << ',';
  out << std::numeric_limits<std::uint64_t>::max() << std::string_view();
  out.digits(7, 3).digits(1234, 2);
  EXPECT_EQ(out.take(), "host: example\r\nx0,1844674407370955161500734");
}

TEST(TextWriter, GoesOnBehindWhatStandsThere) {
  TextWriter out(1, "before ");
  out << "after";
  EXPECT_EQ(out.take(), "before after");
}

TEST(TextWriter, TakesMoreThanWasExpected) {
  TextWriter out(1);
  std::string expected;
  for (std::uint64_t i = 0; i < 2'000; ++i) {
    out << i;
    expected += std::to_string(i);
  }
  out.with_string([](std::string& text) { text += std::string(5'000, 'y'); });
  out << "end";
  EXPECT_EQ(out.take(), expected + std::string(5'000, 'y') + "end");
}

TEST(TextWriter, IsEmptyAtFirst) {
  TextWriter out(100);
  EXPECT_EQ(out.take(), "");
}

}  // namespace
}  // namespace weir::observe
