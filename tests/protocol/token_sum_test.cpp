// The fast sum against the slow one: each character counted, each count weighed.
#include "protocol/token_sum.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "estimate/text_profile.hpp"
#include "protocol/ascii_block.hpp"
#include "protocol/counted_texts.hpp"

namespace weir::protocol {
namespace {

// All tokens of the text, in thousandths.
template <bool escaped>
std::int64_t weighed(std::string_view text, const TokenWeights& weights) {
  const auto profile = std::make_unique<TextProfile>(profile_of<escaped>(text));
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < profile->pairs.size(); ++i) sum += std::int64_t{profile->pairs[i]} * weights.pairs[i];
  for (std::size_t i = 0; i < profile->runs.size(); ++i)
    sum += std::int64_t{profile->runs[i]} * weights.places[i / run_positions][i % run_positions];
  return sum;
}

std::int64_t in_thousandths(const TokenSum& sum) {
  TokenFeatures features{};
  sum.add_to(features, 1000);
  double all = 0;
  for (const float feature : features) all += static_cast<double>(feature);
  return std::llround(all);
}

template <bool escaped>
std::int64_t summed(std::string_view text, const TokenWeights& weights) {
  TokenSum sum(weights);
  escaped ? sum.read_json(text) : sum.read_plain(text);
  return in_thousandths(sum);
}

// A text of pieces at random: words, runs of any length, escapes, several scripts, bytes that are no character.
std::string text_at_random(std::mt19937& rng) {
  static const std::vector<std::string> pieces{"word",
                                               "a",
                                               "The",
                                               "QUIC",
                                               " ",
                                               "  ",
                                               ". ",
                                               ",",
                                               "=>",
                                               "42",
                                               "1234567",
                                               "_",
                                               "\t",
                                               "\n",
                                               "\x7F",
                                               "\"",
                                               "'",
                                               "\\n",
                                               "\\\"",
                                               "\\\\",
                                               "\\u00e9",
                                               "\\u4f60",
                                               "\\ud83d\\ude00",
                                               "\\ud83d",
                                               "\\",
                                               "\\u12",
                                               "\xC3\xA9",
                                               "\xE4\xBD\xA0\xE5\xA5\xBD",
                                               "\xD0\xBF\xD1\x80",
                                               "\xE3\x81\x82",
                                               "\xED\x95\x9C",
                                               "\xF0\x9F\x98\x80",
                                               "\x80",
                                               "\xFF",
                                               "\xE4\xBD"};
  std::string text;
  const std::size_t count = rng() % 40;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& piece = pieces[rng() % pieces.size()];
    const std::size_t times = rng() % 8 == 0 ? rng() % 90 : 1;
    for (std::size_t k = 0; k < times; ++k) text += piece;
  }
  return text;
}

TEST(TokenSum, IsWhatTheCountsWeighWhateverTheText) {
  std::mt19937 rng(11);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = text_at_random(rng);
    const TokenWeights& weights = weights_of(static_cast<TokenizerFamily>(rng() % tokenizer_family_count));
    ASSERT_EQ(summed<true>(text, weights), weighed<true>(text, weights)) << text;
    ASSERT_EQ(summed<false>(text, weights), weighed<false>(text, weights)) << text;
  }
}

TEST(TokenSum, IsWhatTheCountsWeighWhereverATextIsCut) {
  const TokenWeights& weights = weights_of(TokenizerFamily::o200k);
  for (const CountedText& text : counted_texts) {
    const std::string_view whole = text.text;
    for (std::size_t end = 0; end <= std::min<std::size_t>(whole.size(), 70); ++end) {
      ASSERT_EQ(summed<false>(whole.substr(0, end), weights), weighed<false>(whole.substr(0, end), weights)) << end;
      ASSERT_EQ(summed<false>(whole.substr(end), weights), weighed<false>(whole.substr(end), weights)) << end;
    }
  }
}

// Sums of letters, digits and marks share an integer for a while: the heaviest and the lightest pairs, many of them.
TEST(TokenSum, KeepsItsLanesApartOnTheMostExtremePairs) {
  for (std::size_t family = 0; family < tokenizer_family_count; ++family) {
    const TokenWeights& weights = weights_of(static_cast<TokenizerFamily>(family));
    for (const std::string_view pair : {"1x", "_\"", "9]", "Zz", "aq", "\n\x01", "@7"}) {
      std::string text;
      while (text.size() < 5'000) text += pair;
      EXPECT_EQ(summed<false>(text, weights), weighed<false>(text, weights)) << pair;
    }
  }
}

// The whole is the sum of its parts, if each knows what stands before it.
TEST(TokenSum, OfAStretchGoesOnFromItsLead) {
  const TokenWeights& weights = weights_of(TokenizerFamily::deepseek);
  for (const CountedText& text : counted_texts) {
    const std::string_view whole = text.text;
    for (std::size_t cut = 1; cut < whole.size(); ++cut) {
      if ((static_cast<unsigned char>(whole[cut]) & 0xC0U) == 0x80U) continue;  // within a character
      TokenSum first(weights), second(weights);
      first.read_plain(whole.substr(0, cut));
      second.read_plain(whole.substr(cut), whole.substr(0, cut));
      ASSERT_EQ(in_thousandths(first) + in_thousandths(second), summed<false>(whole, weights)) << text.name << cut;
    }
  }
}

TEST(TokenSum, PutsEachKindOfTextWithItsOwn) {
  const auto share = [](std::string_view text, TokenClass of) {
    TokenSum sum(weights_of(TokenizerFamily::o200k));
    sum.read_plain(text);
    TokenFeatures features{};
    sum.add_to(features, 1);
    return features[static_cast<std::size_t>(of)];
  };
  EXPECT_GT(share("words", TokenClass::words), 0);
  EXPECT_EQ(share("words", TokenClass::digits), 0);
  EXPECT_EQ(share("words", TokenClass::han), 0);
  EXPECT_GT(share("a 1234", TokenClass::digits), 0);
  EXPECT_GT(share("a, b", TokenClass::marks), 0);
  EXPECT_GT(share("\xE4\xBD\xA0\xE5\xA5\xBD", TokenClass::han), 0);
  EXPECT_EQ(share("\xE4\xBD\xA0\xE5\xA5\xBD", TokenClass::words), 0);
}

TEST(AsciiBlock, IsTheSameSixteenAtOnceAndOneByOne) {
  std::mt19937 rng(5);
  for (int round = 0; round < 50'000; ++round) {
    std::array<char, AsciiBlock::size> bytes{};
    const bool plain = rng() % 2 == 0;  // else of all bytes
    for (char& byte : bytes) byte = static_cast<char>(plain ? rng() % 128 : rng() % 256);
    if (rng() % 4 == 0) bytes.fill(bytes[0]);
    const auto kind = static_cast<unsigned>(rng() % char_kind_count);
    const std::size_t length = 1 + rng() % AsciiBlock::open_run_max;
    std::array<std::uint8_t, AsciiBlock::size> places{}, places_one_by_one{};
    const AsciiBlock at_once = look_at(bytes.data(), kind, length, places.data());
    const AsciiBlock one_by_one = look_at_each(bytes.data(), kind, length, places_one_by_one.data());
    ASSERT_EQ(at_once.plain, one_by_one.plain);
    for (std::size_t i = 0; i < at_once.plain; ++i) ASSERT_EQ(places[i], places_one_by_one[i]) << i;
    if (at_once.plain > 0) {
      ASSERT_EQ(at_once.run_length, one_by_one.run_length);
    }
  }
}

}  // namespace
}  // namespace weir::protocol
