// Framing alone: which blocks a stream has, and what their fields are.
#include "protocol/sse_parser.hpp"

#include <gtest/gtest.h>

#include "protocol/reference_sse.hpp"
#include "protocol/stream_samples.hpp"

namespace weir::protocol {
namespace {

struct Block {
  std::string text, name, data;
  bool has_data;
  bool operator==(const Block&) const = default;
};

std::ostream& operator<<(std::ostream& stream, const Block& block) {
  return stream << testing::PrintToString(block.text) << " name=" << block.name << " data=" << block.data;
}

std::vector<Block> blocks_of(std::string_view bytes, std::size_t piece) {
  SseParser parser(1 << 20);
  std::vector<Block> blocks;
  SseItem item;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    parser.feed(bytes.substr(at, piece));
    while (parser.next(item)) {
      parser.read_fields(item);
      EXPECT_EQ(item.kind, SseItem::Kind::event);
      blocks.push_back({std::string(item.text), std::string(item.name), std::string(item.data), item.has_data});
    }
  }
  return blocks;
}

TEST(SseParser, FindsTheBlocksAndFieldsOfEverySample) {
  for (const StreamSample& sample : stream_samples()) {
    std::vector<Block> expected;
    for (const reference::Event& event : reference::read(sample.bytes).blocks) {
      expected.push_back({reference::write(event), event.type, event.data, event.has_data});
    }
    for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, sample.bytes.size()}) {
      EXPECT_EQ(blocks_of(sample.bytes, piece), expected) << sample.name << " in pieces of " << piece;
    }
  }
}

TEST(SseParser, ReturnsAViewOfTheInputWhereNothingNeedsToChange) {
  const std::string bytes = "data: a\n\n: c\nid: 1\ndata: b\n\ndata: c\r\n\r\ndata: d\n: c\n\n";
  SseParser parser(1 << 20);
  parser.feed(bytes);
  SseItem item;
  const char* const texts[] = {"data: a\n\n", "id: 1\ndata: b\n\n", "data: c\n\n", "data: d\n\n"};
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(parser.next(item));
    EXPECT_EQ(item.text, texts[i]);
    EXPECT_EQ(item.in_input, i < 2);
  }
  EXPECT_FALSE(parser.next(item));
  EXPECT_EQ(parser.comments(), 2u);
}

TEST(SseParser, PassesAnEventAboveTheLimitOnAsItArrives) {
  SseParser parser(10);
  SseItem item;
  parser.feed("event: x\n");
  EXPECT_FALSE(parser.next(item));
  parser.feed("data: a");
  ASSERT_TRUE(parser.next(item));
  EXPECT_EQ(item.kind, SseItem::Kind::fragment);
  EXPECT_EQ(item.text, "event: x\ndata: a");
  EXPECT_EQ(item.name, "x");
  EXPECT_TRUE(item.first);
  EXPECT_FALSE(item.last);
  EXPECT_FALSE(parser.next(item));
  EXPECT_TRUE(parser.mid_event());

  parser.feed("b\r\n: dropped\r\nid: 1\r\n\r\ndata: c\n\n");
  std::string text;
  bool last = false;
  while (!last && parser.next(item)) {
    EXPECT_FALSE(item.first);
    text += item.text;
    last = item.last;
  }
  EXPECT_EQ(text, "b\nid: 1\n\n");
  EXPECT_FALSE(parser.mid_event());
  ASSERT_TRUE(parser.next(item));
  EXPECT_EQ(item.kind, SseItem::Kind::event);
  EXPECT_EQ(item.text, "data: c\n\n");
}

TEST(SseParser, ClosesWhatIsUnfinishedOnlyWhenToldThatTheStreamEnded) {
  SseParser parser(1 << 20);
  SseItem item;
  parser.feed("data: a");
  EXPECT_FALSE(parser.next(item));
  ASSERT_TRUE(parser.finish(item));
  EXPECT_EQ(item.text, "data: a\n\n");
  SseParser empty(1 << 20);
  empty.feed(": comment");
  EXPECT_FALSE(empty.next(item));
  EXPECT_FALSE(empty.finish(item));
}

}  // namespace
}  // namespace weir::protocol
