#include "net/body_decoder.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>

#include "support/seed.hpp"

namespace weir::net {
namespace {

using Kind = BodyFraming::Kind;

struct Decoded {
  std::string data;
  std::string left_over;  // of the last feed, not consumed
  bool complete = false;
  bool wrong = false;
  friend bool operator==(const Decoded&, const Decoded&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Decoded& decoded) {
    return out << "'" << decoded.data << "' left '" << decoded.left_over << "'" << (decoded.complete ? " complete" : "")
               << (decoded.wrong ? " wrong" : "");
  }
};

// Feeds the pieces of `bytes` that the cuts make, as a connection would: nothing more once it is complete or wrong.
Decoded decode(BodyFraming framing, std::string_view bytes, const std::vector<std::size_t>& cuts = {}) {
  BodyDecoder decoder(framing);
  Decoded decoded;
  std::size_t at = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : bytes.size();
    const std::string_view piece = bytes.substr(at, end - at);
    std::vector<std::string_view> out;
    const std::size_t consumed = decoder.feed(piece, out);
    EXPECT_LE(consumed, piece.size());
    for (const std::string_view data : out) {
      EXPECT_FALSE(data.empty());
      EXPECT_TRUE(data.data() >= piece.data() && data.data() + data.size() <= piece.data() + consumed) << "not a slice";
      decoded.data += data;
    }
    at += consumed;
    if (decoder.complete() || decoder.wrong()) break;
    EXPECT_EQ(consumed, piece.size()) << "an unfinished body takes all";
  }
  decoded.complete = decoder.complete();
  decoded.wrong = decoder.wrong();
  if (decoded.complete) decoded.left_over = bytes.substr(at);
  return decoded;
}

Decoded chunked(std::string_view bytes, const std::vector<std::size_t>& cuts = {}) {
  return decode({Kind::chunked, 0}, bytes, cuts);
}

TEST(BodyByLength, TakesExactlyItsBytes) {
  EXPECT_EQ(decode({Kind::length, 5}, "helloGET /"), (Decoded{"hello", "GET /", true, false}));
  EXPECT_EQ(decode({Kind::length, 5}, "hell"), (Decoded{"hell", "", false, false}));
  EXPECT_EQ(decode({Kind::length, 5}, "hello", {0, 1, 1, 4}), (Decoded{"hello", "", true, false}));
}

TEST(BodyByLength, TellsHowMuchIsMissing) {
  BodyDecoder decoder(BodyFraming{Kind::length, 5'000'000'000});
  std::vector<std::string_view> out;
  decoder.feed("hello", out);
  EXPECT_EQ(decoder.remaining(), 4'999'999'995u);
}

TEST(BodyByLength, OfZeroIsCompleteFromTheStart) {
  EXPECT_EQ(decode({Kind::length, 0}, "GET /"), (Decoded{"", "GET /", true, false}));
  EXPECT_TRUE(BodyDecoder(BodyFraming{Kind::length, 0}).complete());
}

TEST(NoBody, LeavesEverythingToTheNextMessage) {
  EXPECT_EQ(decode({}, "GET /"), (Decoded{"", "GET /", true, false}));
  EXPECT_TRUE(BodyDecoder().complete());
}

TEST(BodyUntilClose, TakesEverythingAndNeverCompletes) {
  const BodyFraming framing{Kind::until_close, 0};
  EXPECT_EQ(decode(framing, "0\r\n\r\nmore", {3}), (Decoded{"0\r\n\r\nmore", "", false, false}));
  EXPECT_TRUE(BodyDecoder(framing).ends_with_connection());
}

struct ChunkedRow {
  const char* name;
  std::string bytes;
  Decoded expected;
  friend std::ostream& operator<<(std::ostream& out, const ChunkedRow& row) { return out << row.name; }
};

class ChunkedBody : public ::testing::TestWithParam<ChunkedRow> {};

TEST_P(ChunkedBody, IsReadWhole) {
  EXPECT_EQ(chunked(GetParam().bytes), GetParam().expected);
}

TEST_P(ChunkedBody, IsReadAlikeAtEverySplitInTwo) {
  for (std::size_t cut = 0; cut <= GetParam().bytes.size(); ++cut) {
    EXPECT_EQ(chunked(GetParam().bytes, {cut}), GetParam().expected) << cut;
  }
}

TEST_P(ChunkedBody, IsReadAlikeByteByByte) {
  std::vector<std::size_t> cuts;
  for (std::size_t cut = 1; cut < GetParam().bytes.size(); ++cut) cuts.push_back(cut);
  EXPECT_EQ(chunked(GetParam().bytes, cuts), GetParam().expected);
}

Decoded whole(std::string data, std::string left_over = "") {
  return {std::move(data), std::move(left_over), true, false};
}
Decoded part(std::string data) {
  return {std::move(data), "", false, false};
}
Decoded wrong(std::string data = "") {
  return {std::move(data), "", false, true};
}

template <class Test>
std::string row_name(const ::testing::TestParamInfo<Test>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Valid, ChunkedBody,
    ::testing::Values(ChunkedRow{"One", "5\r\nhello\r\n0\r\n\r\n", whole("hello")},
                      ChunkedRow{"Two", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", whole("hello world")},
                      ChunkedRow{"Empty", "0\r\n\r\n", whole("")},
                      ChunkedRow{"EmptyOfManyZeros", "0000\r\n\r\n", whole("")},
                      ChunkedRow{"CrLfInTheData", "4\r\n\r\n\r\n\r\n0\r\n\r\n", whole("\r\n\r\n")},
                      ChunkedRow{"SizeInAnyCase", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
                                 whole("01234567890123456789")},
                      ChunkedRow{"ZerosBeforeTheSize", "0005\r\nhello\r\n0\r\n\r\n", whole("hello")},
                      ChunkedRow{"Extension", "5;name=value\r\nhello\r\n0;last\r\n\r\n", whole("hello")},
                      ChunkedRow{"ExtensionInQuotes", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", whole("hello")},
                      ChunkedRow{"SpaceBeforeExtension", "5 ;ext\r\nhello\r\n0\r\n\r\n", whole("hello")},
                      ChunkedRow{"TabBeforeExtension", "5\t;ext\r\nhello\r\n0\r\n\r\n", whole("hello")},
                      ChunkedRow{"SizePaddedWithSpaces", "5   \r\nhello\r\n0  \r\n\r\n", whole("hello")},
                      ChunkedRow{"Trailers", "5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", whole("hello")},
                      ChunkedRow{"NextMessageBehindIt", "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                                 whole("hello", "GET / HTTP/1.1\r\n\r\n")},
                      ChunkedRow{"NextMessageBehindTrailers", "0\r\nX: 1\r\n\r\n0\r\n\r\n", whole("", "0\r\n\r\n")}),
    row_name<ChunkedRow>);

INSTANTIATE_TEST_SUITE_P(Unfinished, ChunkedBody,
                         ::testing::Values(ChunkedRow{"Nothing", "", part("")}, ChunkedRow{"HalfASize", "5", part("")},
                                           ChunkedRow{"HalfAChunk", "5\r\nhel", part("hel")},
                                           ChunkedRow{"NoLastChunk", "5\r\nhello\r\n", part("hello")},
                                           ChunkedRow{"NoEndOfTrailers", "5\r\nhello\r\n0\r\n", part("hello")},
                                           ChunkedRow{"HalfATrailer", "0\r\nX: 1\r\n", part("")}),
                         row_name<ChunkedRow>);

INSTANTIATE_TEST_SUITE_P(
    Wrong, ChunkedBody,
    ::testing::Values(
        ChunkedRow{"Prefix0x", "0x5\r\nhello\r\n0\r\n\r\n", wrong()},
        ChunkedRow{"Negative", "-1\r\nhello\r\n", wrong()}, ChunkedRow{"Plus", "+5\r\nhello\r\n", wrong()},
        ChunkedRow{"SpaceBeforeSize", " 5\r\nhello\r\n", wrong()},
        ChunkedRow{"LineBeforeSize", "\r\n5\r\nhello\r\n", wrong()}, ChunkedRow{"NoSize", ";ext\r\n", wrong()},
        ChunkedRow{"NoHex", "g\r\n", wrong()}, ChunkedRow{"HexThenNoHex", "5g\r\n", wrong()},
        ChunkedRow{"Fraction", "5.0\r\nhello\r\n", wrong()}, ChunkedRow{"List", "5,5\r\nhello\r\n", wrong()},
        ChunkedRow{"TwoSizes", "5 0\r\nhello\r\n", wrong()},
        ChunkedRow{"WordAfterSize", "5 hello\r\nhello\r\n", wrong()},
        ChunkedRow{"SizeThenBareLf", "5\nhello\r\n0\r\n\r\n", wrong()},
        ChunkedRow{"SizeThenBareCr", "5\rhello\r\n0\r\n\r\n", wrong()},
        ChunkedRow{"SizeThenTwoCrs", "5\r\r\nhello\r\n0\r\n\r\n", wrong()},
        ChunkedRow{"SpaceThenBareLf", "5 \nhello\r\n0\r\n\r\n", wrong()},
        ChunkedRow{"ExtensionThenBareLf", "5;a\nhello\r\n0\r\n\r\n", wrong()},
        ChunkedRow{"ExtensionWithBareCr", "5;a\rb\r\nhello\r\n0\r\n\r\n", wrong()},
        ChunkedRow{"NoCrLfAfterData", "5\r\nhello0\r\n\r\n", wrong("hello")},
        ChunkedRow{"BareLfAfterData", "5\r\nhello\n0\r\n\r\n", wrong("hello")},
        ChunkedRow{"BareCrAfterData", "5\r\nhello\r0\r\n\r\n", wrong("hello")},
        ChunkedRow{"MoreDataThanSaid", "5\r\nhello!\r\n0\r\n\r\n", wrong("hello")},
        ChunkedRow{"BareLfEndsTrailers", "0\r\n\n", wrong()},
        ChunkedRow{"BareLfInTrailers", "0\r\nX: 1\n\r\n", wrong()},
        ChunkedRow{"BareCrInTrailers", "0\r\nX: 1\rY: 2\r\n\r\n", wrong()},
        ChunkedRow{"SizeOf64Bits", "ffffffffffffffff\r\n", wrong()},
        ChunkedRow{"SizeBeyond64Bits", "10000000000000005\r\nhello\r\n", wrong()},
        ChunkedRow{"EndlessZeros", std::string(100, '0') + "5\r\nhello\r\n", wrong()},
        ChunkedRow{"Nul", std::string("5\0\r\nhello\r\n", 10), wrong()}),
    row_name<ChunkedRow>);

TEST(ChunkExtensions, AreBounded) {
  EXPECT_TRUE(chunked("5;" + std::string(4000, 'x') + "\r\nhello\r\n0\r\n\r\n").complete);
  EXPECT_TRUE(chunked("5;" + std::string(5000, 'x')).wrong);
  EXPECT_TRUE(chunked("5" + std::string(5000, ' ')).wrong) << "spaces count too";
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "1;" + std::string(60, 'x') + "\r\na\r\n";
  EXPECT_TRUE(chunked(many).wrong) << "a way to send without sending";
}

// The bug: the bound held for the whole body, so that a long upload with a signature in every chunk, or a long stream
// whose server pads its sizes, broke in the middle.
TEST(ChunkExtensions, OfALongBodyArePaidForByItsData) {
  std::string body;
  for (int i = 0; i < 10'000; ++i) {
    body += "40;chunk-signature=" + std::string(64, 'f') + "\r\n" + std::string(64, 'd') + "\r\n";
    body += "1   \r\nd\r\n";
  }
  EXPECT_TRUE(chunked(body + "0\r\n\r\n").complete);
}

TEST(ChunkTrailers, AreBounded) {
  EXPECT_TRUE(chunked("0\r\nX: " + std::string(16'000, 'x') + "\r\n\r\n").complete);
  EXPECT_TRUE(chunked("0\r\nX: " + std::string(20'000, 'x')).wrong);
  std::string many = "0\r\n";
  for (int i = 0; i < 5000; ++i) many += "X: y\r\n";
  EXPECT_TRUE(chunked(many).wrong);
}

TEST(ChunkedBody, IsReadAlikeAtRandomSplits) {
  const test::Seed seed;
  std::mt19937_64 random(seed.value);
  for (int round = 0; round < 300; ++round) {
    std::string data, bytes;
    for (std::uint64_t n = random() % 8; n > 0; --n) {
      const std::string piece(1 + random() % 300, static_cast<char>('a' + random() % 26));
      ChunkHeader header;
      bytes += std::string(header.write(piece.size())) + piece + "\r\n";
      data += piece;
    }
    bytes += "0\r\n\r\nnext";
    std::vector<std::size_t> cuts;
    for (std::size_t at = random() % 50; at < bytes.size(); at += random() % 50) cuts.push_back(at);
    ASSERT_EQ(chunked(bytes, cuts).data, data);
    ASSERT_TRUE(chunked(bytes, cuts).complete);
  }
}

TEST(ChunkHeader, IsTheSizeInHexadecimal) {
  ChunkHeader header;
  EXPECT_EQ(header.write(1), "1\r\n");
  EXPECT_EQ(header.write(500), "1f4\r\n");
  EXPECT_EQ(header.write(65536), "10000\r\n");
  EXPECT_EQ(header.write(~std::size_t{0}), "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace weir::net
