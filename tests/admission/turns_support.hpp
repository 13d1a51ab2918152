// What tests of turns have in common: one call at a time, so that the order can be read off.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "admission/admission_support.hpp"

namespace weir::admission::test {

inline Limits one_at_a_time(std::vector<BudgetLimits> more = {}) {
  more.push_back(account({{Meter::in_flight, 1}}));
  return all_of(std::move(more));
}

// Lets so many of 10 tokens through, one after the other.
inline std::string turns(Desk& desk, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const std::string next = desk.pass_when_woken();
    if (next.empty()) return text + "|";
    text += (i > 0 ? " " : "") + next;
    desk.settle(next, used(10, 0));
  }
  return text;
}

// Lets all through; tokens by the first letter of their names, among the first `tokens` of them.
inline std::map<char, int> shares(Desk& desk, int size, int tokens) {
  std::map<char, int> got;
  for (int sum = 0; sum < tokens; sum += size) {
    const std::string next = desk.pass();
    if (next.empty()) break;
    got[next.front()] += size;
    desk.settle(next, used(size, 0));
  }
  return got;
}

inline void fill(Desk& desk, const std::string& prefix, int count, Request request) {
  for (int i = 0; i < count; ++i) desk.submit(prefix + std::to_string(i), request);
}

inline Request of_team(const std::string& team, const std::string& key) {
  return {.key = key, .team = team, .tokens = 10};
}

// A model is held up.
inline void pause(Desk& desk, const std::string& model, Duration time) {
  Rng rng(1);
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::model, model);
  report.pause_until = desk.now + time;
  desk.scheduler.observe(report, desk.now, rng);
}

}  // namespace weir::admission::test
