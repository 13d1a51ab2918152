// How long a caller's library waits, as that library counts: which of its timeouts bounds the wait for a budget.
#include "proxy/patience.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;

net::MessageHead head_with(std::vector<net::Field> fields) {
  net::MessageHead head;
  head.fields = std::move(fields);
  return head;
}

struct Row {
  const char* name;
  std::vector<net::Field> fields;
  std::optional<Duration> first_beat;  // of the heartbeats
  Duration expected_answer{0};
  Duration bound{0};  // of a queue.wait_max of ten minutes
};

TEST(WaitBound, IsTheSmallestOfTheSettingTheCallerAndItsLibrary) {
  const net::Field python{"x-stainless-lang", "python"}, node{"x-stainless-lang", "js"};
  const net::Field java{"x-stainless-lang", "java"};
  const Row rows[] = {
      {"nobody says anything", {}, 5s, 0s, 10min},
      {"the caller says less", {{"x-weir-max-wait", "1.5"}}, 5s, 0s, 1500ms},
      {"the caller says more", {{"x-weir-max-wait", "3600"}}, 5s, 0s, 10min},
      {"the caller will not wait", {{"x-weir-max-wait", "0"}}, 5s, 0s, 0s},
      {"nonsense", {{"x-weir-max-wait", "soon"}}, 5s, 0s, 10min},
      {"less than nothing", {{"x-weir-max-wait", "-1"}}, 5s, 0s, 10min},
      {"another gateway's word", {{"x-litellm-max-queue-wait", "2"}}, 5s, 0s, 2s},
      {"Python: a gap between bytes, fed", {python, {"x-stainless-read-timeout", "20"}}, 5s, 0s, 10min},
      {"Python: no heartbeats", {python, {"x-stainless-read-timeout", "20"}}, {}, 0s, 19750ms},
      {"Python: they come too late", {python, {"x-stainless-read-timeout", "5"}}, 5s, 0s, 4750ms},
      {"Python: its total timeout is none", {python, {"x-stainless-timeout", "20"}}, {}, 0s, 10min},
      {"Node: the first byte, fed", {node, {"x-stainless-timeout", "20"}}, 5s, 0s, 10min},
      {"Node: no heartbeats", {node, {"x-stainless-timeout", "20"}}, {}, 0s, 19750ms},
      {"Java: wait and answer", {java, {"x-stainless-timeout", "60"}}, 5s, 12s, 47750ms},
      {"Java: no time for more than the answer", {java, {"x-stainless-timeout", "10"}}, 5s, 12s, 0s},
  };
  for (const Row& row : rows)
    EXPECT_EQ(wait_bound(head_with(row.fields), 10min, row.first_beat, row.expected_answer), row.bound) << row.name;
}

}  // namespace
}  // namespace weir::proxy
