#include "protocol/text_profile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace weir::protocol {
namespace {

TEST(TextProfile, KnowsEveryKindThatStandsInATextWhereverItBegins) {
  for (const std::string_view text :
       {"plain words", "\nbehind a line feed", "\n", "\r\n\t 42", "!? =", "\xE4\xBD\xA0\xE5\xA5\xBD",
        "\xD0\xBF\xD1\x80\xD0\xB8", "\xE3\x81\x82\xE3\x82\xA2\xED\x95\x9C", "\xF0\x9F\x98\x80", ""}) {
    const auto profile = std::make_unique<TextProfile>();
    profile->read_plain(text);
    for (std::size_t c = 0; c < char_class_count; ++c) {
      const auto row = profile->pairs.begin() + static_cast<std::ptrdiff_t>(c * char_class_count);
      const bool stands_there = std::any_of(row, row + char_class_count, [](std::uint32_t count) { return count > 0; });
      EXPECT_TRUE(!stands_there || profile->has(kind_of_class[c])) << "class " << c << " of '" << text << "'";
    }
  }
}

TEST(TextProfile, KnowsOfNoKindThatDoesNotStandThere) {
  const auto profile = std::make_unique<TextProfile>();
  profile->read_plain("plain words");
  for (const std::size_t kind : {kind_digit, kind_newline, kind_han, kind_kana, kind_other}) {
    EXPECT_FALSE(profile->has(kind)) << kind;
  }
}

}  // namespace
}  // namespace weir::protocol
