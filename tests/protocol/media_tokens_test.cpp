#include "protocol/media_tokens.hpp"

#include <gtest/gtest.h>

#include <string>

namespace weir::protocol {
namespace {

// The bytes of a picture's head as a data: URL.
std::string url_of(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = "data:image/x;base64,";
  unsigned buffer = 0;
  int bits = 0;
  for (const char c : bytes) {
    buffer = (buffer << 8) | static_cast<unsigned char>(c);
    bits += 8;
    while (bits >= 6) out += digits[(buffer >> (bits -= 6)) & 63U];
  }
  if (bits > 0) out += digits[(buffer << (6 - bits)) & 63U];
  return out;
}

std::string size_of(std::string_view bytes) {
  const auto size = image_size(url_of(bytes));
  return size ? std::to_string(size->width) + "x" + std::to_string(size->height) : "unknown";
}

using namespace std::string_literals;

TEST(ImageSize, IsReadFromTheFirstBytes) {
  EXPECT_EQ(size_of("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\x00\0\0\x03\x00"s), "1024x768");
  EXPECT_EQ(size_of("GIF89a\x40\x01\xc8\x00"s), "320x200");
  EXPECT_EQ(size_of("RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\x03\0\xff\x02\0"s), "1024x768");
  EXPECT_EQ(size_of("RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\xff\xc3\xbf\0"s), "1024x768");
  EXPECT_EQ(size_of("\xff\xd8\xff\xe0\0\x04JF\xff\xc0\0\x11\x08\x03\x00\x04\x00\x03"s), "1024x768");
}

TEST(ImageSize, IsUnknownForAnythingElse) {
  for (const std::string& bytes :
       {""s, "text"s, "\x89PNG"s, "\xff\xd8"s, "\xff\xd8\xff\xe0\xff\xff"s, "\xff\xd8 no"s, "GIF8"s, "RIFF"s})
    EXPECT_EQ(size_of(bytes), "unknown");
  for (const char* source : {"", "data:", "data:image/png;base64,", "https://example.com/a.png", "====", "file-abc"})
    EXPECT_FALSE(image_size(source)) << source;
}

TEST(ImageTokens, FollowOpenAisExamples) {
  const ImageRule rule = image_rule_of("gpt-4o");
  EXPECT_EQ(image_tokens(rule, ImageSize{1024, 1024}, false), 765U);
  EXPECT_EQ(image_tokens(rule, ImageSize{4096, 4096}, false), 765U);
  EXPECT_EQ(image_tokens(rule, ImageSize{3000, 2000}, false), 1105U);
  EXPECT_EQ(image_tokens(rule, ImageSize{1024, 1024}, true), 85U);
}

TEST(ImageTokens, OfSmallImagesTakeTheHigherReading) {
  EXPECT_EQ(image_tokens(image_rule_of("gpt-4o"), ImageSize{512, 512}, false), 765U);
}

TEST(ImageTokens, DependOnTheModel) {
  EXPECT_EQ(image_tokens(image_rule_of("gpt-4o-mini"), ImageSize{1024, 1024}, false), 2833 + 4 * 5667U);
  EXPECT_EQ(image_tokens(image_rule_of("o1"), ImageSize{1024, 1024}, false), 75 + 4 * 150U);
  EXPECT_EQ(image_tokens(image_rule_of("gpt-4.1-mini"), ImageSize{1024, 1024}, false), 1659U);
  EXPECT_EQ(image_tokens(image_rule_of("gpt-4.1-mini"), ImageSize{9999, 9999}, false), 2488U);
  EXPECT_EQ(image_tokens(image_rule_of("claude-sonnet-4"), ImageSize{1000, 750}, false), 1000U);
  EXPECT_EQ(image_tokens(image_rule_of("claude-sonnet-4"), ImageSize{9999, 9999}, false), 1600U);
}

TEST(ImageTokens, OfAnUnknownImageAreThoseOfAUsualOne) {
  EXPECT_EQ(image_tokens(image_rule_of("gpt-4o"), std::nullopt, false), 765U);
}

TEST(MediaTokens, OfSoundGoByItsLength) {
  MediaPart second_of_wav;
  second_of_wav.kind = MediaPart::Kind::audio;
  second_of_wav.format = "wav";
  const std::string bytes(64'000, 'A');  // base64 of 48,000 bytes
  second_of_wav.source = bytes;
  EXPECT_EQ(media_tokens(second_of_wav, {}), 10U);
}

}  // namespace
}  // namespace weir::protocol
