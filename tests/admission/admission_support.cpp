#include "admission/admission_support.hpp"

#include <utility>
#include <variant>

namespace weir::admission::test {

BudgetLimits limited(Scope scope, std::string name, std::vector<std::pair<Meter, Tokens>> limits, std::int64_t weight) {
  BudgetLimits made;
  made.scope = scope;
  made.name = std::move(name);
  for (const auto& [meter, limit] : limits) made.limits[static_cast<std::size_t>(meter)] = limit;
  made.weight = weight;
  return made;
}

BudgetLimits account(std::vector<std::pair<Meter, Tokens>> limits, std::string name) {
  return limited(Scope::account, std::move(name), std::move(limits));
}

BudgetLimits key(std::string name, std::vector<std::pair<Meter, Tokens>> limits, std::int64_t weight) {
  return limited(Scope::key, std::move(name), std::move(limits), weight);
}

Limits all_of(std::vector<BudgetLimits> budgets) {
  Limits limits;
  limits.budgets = std::move(budgets);
  return limits;
}

const char* word(Refusal refusal) {
  constexpr const char* words[] = {"queue_full", "bytes_full", "deadline", "day", "oversize"};
  return words[static_cast<std::size_t>(refusal)];
}

Usage used(Tokens input, Tokens output, Tokens cached) {
  return {true, input, cached, output};
}

std::vector<Decision> dispatch_all(Scheduler& scheduler, Instant now) {
  std::vector<Decision> all;
  do {
    const std::vector<Decision> some = scheduler.dispatch(now);
    all.insert(all.end(), some.begin(), some.end());
  } while (scheduler.next_wakeup() && *scheduler.next_wakeup() <= now);
  return all;
}

Desk::Desk(Limits limits, Instant begin) : now(begin), scheduler(std::move(limits), begin) {}

Desk::~Desk() {
  EXPECT_EQ(scheduler.verify(now), "");
}

std::string Desk::submit(const std::string& name, const Request& request) {
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

std::string Desk::dispatch() {
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

std::string Desk::pass() {
  std::string text;
  for (const Decision& decision : dispatch_all(scheduler, now)) {
    if (!text.empty()) text += ' ';
    text += (decision.rejection ? "!" : "") + names[decision.ticket.index];
    if (!decision.rejection) scheduler.sent(decision.ticket, now);
  }
  check();
  return text;
}

std::string Desk::pass_when_woken(Duration patience) {
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

void Desk::send(const std::string& name) {
  scheduler.sent(tickets.at(name), now);
  check();
}

void Desk::produce(const std::string& name, Tokens output) {
  scheduler.progress(tickets.at(name), output, now);
  check();
}

void Desk::measure(const std::string& name, Tokens input, Tokens cached) {
  scheduler.measured(tickets.at(name), input, cached, now);
  check();
}

void Desk::withdraw(const std::string& name) {
  scheduler.withdraw(tickets.at(name), now);
  check();
}

void Desk::settle(const std::string& name, std::optional<Usage> usage, Ending ending) {
  scheduler.settle(tickets.at(name), usage.value_or(Usage{}), ending, now);
  check();
}

void Desk::reconfigure(Limits limits) {
  scheduler.reconfigure(std::move(limits), now);
  check();
}

MeterView Desk::view(Scope scope, const std::string& name, Meter meter) {
  return scheduler.view(scheduler.budget(scope, name), meter, now);
}

void Desk::check() {
  if (checks) {
    EXPECT_EQ(scheduler.verify(now), "");
  }
}

}  // namespace weir::admission::test
