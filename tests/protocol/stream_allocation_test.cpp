// A stream in its stride allocates nothing and copies nothing that can cross as it is.
#include <gtest/gtest.h>

#include <string>

#include "protocol/allocation_count.hpp"
#include "protocol/stream_filter.hpp"

namespace weir::protocol {
namespace {

std::string chat_chunk(int number) {
  return "data: "
         "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
         "\"word " +
         std::to_string(number) + "\"},\"finish_reason\":null}],\"usage\":null}\n\n";
}

std::string bulk_of(int chunks) {
  std::string bulk;
  for (int i = 0; i < chunks; ++i) bulk += chat_chunk(i) + (i % 5 == 0 ? ": keep-alive\n\n" : "");
  return bulk;
}

std::size_t allocations_of(const FilterOptions& options, std::string_view bytes, std::size_t piece) {
  StreamFilter filter(options);
  std::vector<std::string_view> out;
  std::size_t before = 0;
  for (int round = 0; round < 4; ++round) {
    if (round == 2) before = allocation_count();  // by now every buffer has the size it needs
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      out.clear();
      filter.feed(bytes.substr(at, piece), out);
    }
  }
  return allocation_count() - before;
}

TEST(StreamAllocation, IsNoneInSteadyState) {
  const std::string bulk = bulk_of(200);
  for (const HideUsage hide : {HideUsage::nothing, HideUsage::all, HideUsage::running}) {
    for (const std::size_t piece : {bulk.size(), std::size_t{4096}, std::size_t{333}, std::size_t{7}}) {
      EXPECT_EQ(allocations_of({Api::chat, hide}, bulk, piece), 0u)
          << "hide " << static_cast<int>(hide) << " piece " << piece;
    }
  }
}

TEST(StreamSlices, AreOneForNeighbouringUnchangedEvents) {
  const std::string bulk = chat_chunk(1) + chat_chunk(2) + chat_chunk(3);
  StreamFilter filter({Api::chat});
  std::vector<std::string_view> out;
  filter.feed(bulk, out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].data(), bulk.data());
  EXPECT_EQ(out[0].size(), bulk.size());
}

TEST(StreamSlices, LeaveTheMomentTheirEventIsComplete) {
  const std::string bytes = "data: a\n\ndata: b\n";
  StreamFilter filter({Api::chat});
  std::vector<std::string_view> out;
  filter.feed(bytes, out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], "data: a\n\n");
  out.clear();
  filter.feed("\r", out);  // ends the event at once: whether an LF follows is asked later
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], "data: b\n\n");
  out.clear();
  filter.feed("\ndata: c\n\n", out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], "data: c\n\n");
}

}  // namespace
}  // namespace weir::protocol
