// However a stream is cut into packets, the client gets the same bytes and weir draws the same facts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "protocol/filter_support.hpp"
#include "protocol/reference_sse.hpp"
#include "protocol/stream_samples.hpp"

namespace weir::protocol {
namespace {

struct Setting {
  const char* name;
  HideUsage hide_usage;
  std::size_t event_bytes_max;
};
constexpr Setting settings[] = {{"plain", HideUsage::nothing, 1 << 20},
                                {"hiding usage", HideUsage::all, 1 << 20},
                                {"hiding running usage", HideUsage::running, 1 << 20},
                                {"hiding the total", HideUsage::total, 1 << 20},
                                {"tiny events", HideUsage::nothing, 12}};

// Calls `check(sample, options, ending)` for each sample under each setting and either way the stream can end.
template <class Check>
void for_each_case(Check check) {
  for (const StreamSample& sample : stream_samples()) {
    for (const Setting& setting : settings) {
      for (const Ending ending : {Ending::clean, Ending::cut}) {
        SCOPED_TRACE(std::string(sample.name) + ", " + setting.name + (ending == Ending::clean ? "" : ", cut"));
        check(sample.bytes, FilterOptions{sample.api, setting.hide_usage, setting.event_bytes_max}, ending);
      }
    }
  }
}

unsigned seed_of_this_run() {
  const char* const given = std::getenv("WEIR_TEST_SEED");
  return given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
}

std::vector<std::size_t> random_cuts(std::mt19937& random, std::size_t size) {
  std::vector<std::size_t> cuts(random() % 12);
  for (std::size_t& cut : cuts) cut = random() % (size + 1);
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

TEST(StreamSplit, IsTheSameCutAtEveryByte) {
  for_each_case([](const std::string& bytes, const FilterOptions& options, Ending ending) {
    const Observed whole = run_filter(options, bytes, {}, ending);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      ASSERT_EQ(run_filter(options, bytes, {cut}, ending), whole) << "cut at " << cut;
    }
  });
}

TEST(StreamSplit, IsTheSameInSingleBytes) {
  for_each_case([](const std::string& bytes, const FilterOptions& options, Ending ending) {
    EXPECT_EQ(run_filter(options, bytes, every_byte(bytes.size()), ending), run_filter(options, bytes, {}, ending));
  });
}

TEST(StreamSplit, IsTheSameInRandomPieces) {
  const unsigned seed = seed_of_this_run();
  SCOPED_TRACE("WEIR_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for_each_case([&](const std::string& bytes, const FilterOptions& options, Ending ending) {
    const Observed whole = run_filter(options, bytes, {}, ending);
    for (int round = 0; round < 50; ++round) {
      const std::vector<std::size_t> cuts = random_cuts(random, bytes.size());
      ASSERT_EQ(run_filter(options, bytes, cuts, ending), whole) << "cuts " << testing::PrintToString(cuts);
    }
  });
}

TEST(StreamSplit, AgreesWithTheReferenceParser) {
  for_each_case([](const std::string& bytes, const FilterOptions& options, Ending ending) {
    if (options.hide_usage != HideUsage::nothing || options.event_bytes_max < 100)
      return;  // the reference knows neither
    EXPECT_EQ(run_filter(options, bytes, {}, ending).output, reference::relay(bytes, ending == Ending::clean));
  });
}

TEST(StreamSplit, LeavesNothingToDoForASecondPass) {
  for_each_case([](const std::string& bytes, const FilterOptions& options, Ending ending) {
    if (ending == Ending::cut || options.event_bytes_max < 100) return;  // an open event has no second pass
    const Observed first = run_filter(options, bytes, {}, ending);
    const Observed second = run_filter(options, first.output, {}, ending);
    EXPECT_EQ(second.output, first.output);
    EXPECT_EQ(second.events, first.events);
    EXPECT_EQ(second.keepalives, 0u);
  });
}

// Line ends, comments and marks in every order, far beyond the samples.
TEST(StreamSplit, AgreesWithTheReferenceParserOnRandomStreams) {
  const unsigned seed = seed_of_this_run();
  SCOPED_TRACE("WEIR_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view words[] = {"\n",     "\r",           "\r\n",     "\n\n",    ":", "data", "data:",
                                    "data: ", "event: ping",  "event: x", "id: 1",   " ", "{}",   "{\"type\":\"ping\"}",
                                    "a",      "\xEF\xBB\xBF", "\xEF",     "retry: 1"};
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (std::size_t i = random() % 25; i > 0; --i) bytes += words[random() % std::size(words)];
    const std::vector<std::size_t> cuts = random_cuts(random, bytes.size());
    const Observed seen = run_filter({Api::chat, HideUsage::nothing, 1 << 20}, bytes, cuts, Ending::clean);
    ASSERT_EQ(seen.output, reference::relay(bytes, true))
        << testing::PrintToString(bytes) << " cuts " << testing::PrintToString(cuts);
  }
}

}  // namespace
}  // namespace weir::protocol
