// A scheduler with names in place of tickets, so that tests read as transcripts:
//   desk.submit("a", {.tokens = 60});
//   EXPECT_EQ(desk.dispatch(), "a");
// Every step checks the books.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admission/scheduler.hpp"

namespace weir::admission::test {

using namespace std::chrono_literals;

const Instant start = Instant(640h);

BudgetLimits limited(Scope scope, std::string name, std::vector<std::pair<Meter, Tokens>> limits,
                     std::int64_t weight = 0);
BudgetLimits account(std::vector<std::pair<Meter, Tokens>> limits, std::string name = "up");
BudgetLimits key(std::string name, std::vector<std::pair<Meter, Tokens>> limits, std::int64_t weight = 1);
Limits all_of(std::vector<BudgetLimits> budgets);
const char* word(Refusal refusal);
Usage used(Tokens input, Tokens output, Tokens cached = 0);

struct Request {
  std::string key = "k";
  std::string team = {}, model = {}, account = "up";
  std::string lane = {};
  Priority priority = Priority::interactive;
  Tokens tokens = 10;  // on arrival, of input
  LaterCharge later = LaterCharge::none;
  Tokens output = 0;      // expected
  Tokens output_max = 0;  // 0: unknown
  bool lump = false;
  bool corrects = false;
  OutputPace pace = {std::chrono::seconds(1), 100, 0};
  std::size_t bytes = 100;
  std::optional<Instant> arrived = {};
  Instant not_before = Instant::min();
  std::optional<Duration> patience = {};
  bool ramps = false;
  bool again = false;
};

// All that can be decided now, however many dispatches it takes.
std::vector<Decision> dispatch_all(Scheduler& scheduler, Instant now);

class Desk {
 public:
  explicit Desk(Limits limits, Instant begin = start);
  ~Desk();

  // "" when it waits, else why not.
  std::string submit(const std::string& name, const Request& request);
  // Names of those admitted, in order; "!name" for one whose time is over.
  std::string dispatch();
  // The same, each sent at once.
  std::string pass();
  // Sleeps from wake-up to wake-up until something is admitted, or until `patience` is over.
  std::string pass_when_woken(Duration patience = 10min);

  void send(const std::string& name);
  void produce(const std::string& name, Tokens output);
  void measure(const std::string& name, Tokens input, Tokens cached = 0);
  void withdraw(const std::string& name);
  void settle(const std::string& name, std::optional<Usage> usage = {}, Ending ending = Ending::complete);
  void reconfigure(Limits limits);

  MeterView view(Scope scope, const std::string& name, Meter meter);
  Tokens used(Meter meter = Meter::tokens) { return view(Scope::account, "up", meter).used; }
  Tokens reserved(Meter meter = Meter::tokens) { return view(Scope::account, "up", meter).reserved; }

  void check();
  bool checks = true;  // after every step; else at the end

  Instant now;
  Scheduler scheduler;
  Rejection rejected;  // the last one
  std::map<std::string, Ticket> tickets;
  std::map<std::uint32_t, std::string> names;
};

}  // namespace weir::admission::test
