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
#include <variant>
#include <vector>

#include "admission/scheduler.hpp"

namespace weir::admission::test {

using namespace std::chrono_literals;

const Instant start = Instant(640h);

inline BudgetLimits limited(Scope scope, std::string name, std::vector<std::pair<Meter, Tokens>> limits,
                            std::int64_t weight = 0) {
  BudgetLimits made;
  made.scope = scope;
  made.name = std::move(name);
  for (const auto& [meter, limit] : limits) made.limits[static_cast<std::size_t>(meter)] = limit;
  made.weight = weight;
  return made;
}

inline BudgetLimits account(std::vector<std::pair<Meter, Tokens>> limits, std::string name = "up") {
  return limited(Scope::account, std::move(name), std::move(limits));
}
inline BudgetLimits key(std::string name, std::vector<std::pair<Meter, Tokens>> limits, std::int64_t weight = 1) {
  return limited(Scope::key, std::move(name), std::move(limits), weight);
}

inline Limits all_of(std::vector<BudgetLimits> budgets) {
  Limits limits;
  limits.budgets = std::move(budgets);
  return limits;
}

inline const char* word(Refusal refusal) {
  constexpr const char* words[] = {"queue_full", "bytes_full", "deadline", "day", "oversize"};
  return words[static_cast<std::size_t>(refusal)];
}

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
inline std::vector<Decision> dispatch_all(Scheduler& scheduler, Instant now) {
  std::vector<Decision> all;
  do {
    const std::vector<Decision> some = scheduler.dispatch(now);
    all.insert(all.end(), some.begin(), some.end());
  } while (scheduler.next_wakeup() && *scheduler.next_wakeup() <= now);
  return all;
}

class Desk {
 public:
  explicit Desk(Limits limits, Instant begin = start) : now(begin), scheduler(std::move(limits), begin) {}
  ~Desk() { EXPECT_EQ(scheduler.verify(now), ""); }

  // "" when it waits, else why not.
  std::string submit(const std::string& name, const Request& request) {
    Submission s;
    s.key = scheduler.budget(Scope::key, request.key);
    if (!request.team.empty()) s.team = scheduler.budget(Scope::team, request.team);
    s.account = scheduler.budget(Scope::account, request.account);
    if (!request.model.empty()) s.model = scheduler.budget(Scope::model, request.model);
    s.sub_lane = request.lane;
    s.priority = request.priority;
    s.own.tokens = s.own.input = request.tokens;
    s.own.later = request.later;
    if (request.later == LaterCharge::at_end) {
      s.own.tokens = s.own.input = 0;
      s.own.later_input = request.tokens;
    }
    s.own.later_output = request.output;
    s.own.output_max = request.output_max;
    s.own.lump = request.lump;
    s.own.corrects = request.corrects;
    s.upstream = s.own;
    s.pace = request.pace;
    s.bytes = request.bytes;
    s.arrived = request.arrived.value_or(now);
    s.not_before = request.not_before;
    s.ramps = request.ramps;
    s.again = request.again;
    if (request.patience) s.deadline = now + *request.patience;
    const auto answer = scheduler.submit(std::move(s), now);
    check();
    if (const auto* rejection = std::get_if<Rejection>(&answer)) {
      rejected = *rejection;
      return word(rejection->reason);
    }
    tickets[name] = std::get<Ticket>(answer);
    names[std::get<Ticket>(answer).index] = name;
    return "";
  }

  // Names of those admitted, in order; "!name" for one whose time is over.
  std::string dispatch() {
    std::string text;
    for (const Decision& decision : dispatch_all(scheduler, now)) {
      if (!text.empty()) text += ' ';
      if (decision.rejection) {
        rejected = *decision.rejection;
        text += '!';
      }
      text += names[decision.ticket.index];
    }
    check();
    return text;
  }
  // The same, each sent at once.
  std::string pass() {
    std::string text;
    for (const Decision& decision : dispatch_all(scheduler, now)) {
      if (!text.empty()) text += ' ';
      text += (decision.rejection ? "!" : "") + names[decision.ticket.index];
      if (!decision.rejection) scheduler.sent(decision.ticket, now);
    }
    check();
    return text;
  }
  // Sleeps from wake-up to wake-up until something is admitted, or until `patience` is over.
  std::string pass_when_woken(Duration patience = 10min) {
    const Instant end = now + patience;
    for (;;) {
      if (const std::string text = pass(); !text.empty()) return text;
      const auto next = scheduler.next_wakeup();
      if (!next || *next > end) return "";
      if (*next <= now) {
        ADD_FAILURE() << "a wake-up that does not move on";
        return "";
      }
      now = *next;
    }
  }

  void send(const std::string& name) {
    scheduler.sent(tickets.at(name), now);
    check();
  }
  void produce(const std::string& name, Tokens output) {
    scheduler.progress(tickets.at(name), output, now);
    check();
  }
  void measure(const std::string& name, Tokens input, Tokens cached = 0) {
    scheduler.measured(tickets.at(name), input, cached, now);
    check();
  }
  void withdraw(const std::string& name) {
    scheduler.withdraw(tickets.at(name), now);
    check();
  }
  void settle(const std::string& name, std::optional<Usage> usage = {}, Ending ending = Ending::complete) {
    scheduler.settle(tickets.at(name), usage.value_or(Usage{}), ending, now);
    check();
  }
  void reconfigure(Limits limits) {
    scheduler.reconfigure(std::move(limits), now);
    check();
  }

  MeterView view(Scope scope, const std::string& name, Meter meter) {
    return scheduler.view(scheduler.budget(scope, name), meter, now);
  }
  Tokens used(Meter meter = Meter::tokens) { return view(Scope::account, "up", meter).used; }
  Tokens reserved(Meter meter = Meter::tokens) { return view(Scope::account, "up", meter).reserved; }

  void check() {
    if (checks) {
      EXPECT_EQ(scheduler.verify(now), "");
    }
  }

  bool checks = true;  // after every step; else at the end

  Instant now;
  Scheduler scheduler;
  Rejection rejected;  // the last one
  std::map<std::string, Ticket> tickets;
  std::map<std::uint32_t, std::string> names;
};

inline Usage used(Tokens input, Tokens output, Tokens cached = 0) {
  return {true, input, cached, output};
}

}  // namespace weir::admission::test
