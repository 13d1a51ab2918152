#include "net/hex.hpp"

#include <gtest/gtest.h>

#include <array>

namespace weir::net {
namespace {

TEST(Hex, ValuesAreThoseOfDigitsInEitherCase) {
  constexpr std::string_view digits = "0123456789abcdefABCDEF";
  for (int c = -128; c < 128; ++c) {
    const auto at = digits.find(static_cast<char>(c));
    const int value = at == std::string_view::npos ? -1 : static_cast<int>(at < 16 ? at : at - 6);
    EXPECT_EQ(hex_value(static_cast<char>(c)), value) << c;
  }
}

TEST(Hex, BytesAreTwoDigitsEach) {
  EXPECT_EQ(to_hex(std::array<std::uint8_t, 4>{0x00, 0x0f, 0xa5, 0xff}), "000fa5ff");
  EXPECT_EQ(to_hex({}), "");
}

TEST(Hex, PercentEscapesAreUndoneAndWhatIsNoneStays) {
  const std::pair<std::string_view, std::string_view> rows[] = {{"", ""},
                                                                {"plain", "plain"},
                                                                {"a%20b", "a b"},
                                                                {"%2fx%2F", "/x/"},
                                                                {"%41", "A"},
                                                                {"%C3%A9", "\xC3\xA9"},
                                                                {"100%", "100%"},
                                                                {"%4", "%4"},
                                                                {"%4g%g4", "%4g%g4"},
                                                                {"%+1%-1% 1", "%+1%-1% 1"},
                                                                {"%%41", "%A"},
                                                                {"%2541", "%41"}};
  for (const auto& [text, decoded] : rows) EXPECT_EQ(percent_decoded(text), decoded) << text;
  EXPECT_EQ(percent_decoded("a%00b"), std::string_view("a\0b", 3));
}

}  // namespace
}  // namespace weir::net
