// What of a changed file a reload leaves to the next start: the list in docs/settings.md.
#include "app/restart_needs.hpp"

#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

using Names = std::vector<std::string>;

TEST(NeedsRestart, NamesWhatWasChangedAndIsNotTakenOver) {
  const Config before = config_of("workers: 2\n");
  EXPECT_EQ(needs_restart(before, before), Names());
  EXPECT_EQ(needs_restart(before, config_of("workers: 2\nqueue: {wait_max: 1m}\nlog: {level: debug}\n")), Names());
  EXPECT_EQ(needs_restart(before, config_of("workers: 3\nlog: {format: json}\n")), (Names{"workers", "log.format"}));
  EXPECT_EQ(
      needs_restart(before, config_of("workers: 2\nlisten: localhost:9000\noperator: {listen: \"127.0.0.1:9001\"}\n"
                                      "limits: {connections_max: 5}\nlog: {stream: stdout}\n"
                                      "shutdown: {announce: 1s, drain: 2s}\nstate_file: /s\n")),
      (Names{"listen", "operator.listen", "limits.connections_max", "log.stream", "shutdown.announce", "shutdown.drain",
             "state_file"}));
}

}  // namespace
}  // namespace weir::app
