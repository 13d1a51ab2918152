#include "observe/utf8.hpp"

#include <gtest/gtest.h>

namespace weir::observe {
namespace {

TEST(CleanUtf8, KeepsWhatIsAndReplacesWhatIsNot) {
  EXPECT_EQ(clean_utf8("deepseek-chat"), "deepseek-chat");
  EXPECT_EQ(clean_utf8("模型 é 😀"), "模型 é 😀");
  EXPECT_EQ(clean_utf8("m\xED\xA0\x80"), "m\uFFFD\uFFFD\uFFFD") << "half of a pair";
  EXPECT_EQ(clean_utf8("\xFFx\xE6\xA8"), "\uFFFDx\uFFFD\uFFFD");
}

TEST(CleanUtf8, CutsBetweenCharacters) {
  EXPECT_EQ(clean_utf8("ab", 1), "a");
  EXPECT_EQ(clean_utf8("aé", 2), "a");
  EXPECT_EQ(clean_utf8("aé", 3), "aé");
  EXPECT_EQ(clean_utf8("a模b", 3), "a");
  EXPECT_EQ(clean_utf8("a\xFF", 3), "a") << "what is put in place is a character too";
}

}  // namespace
}  // namespace weir::observe
