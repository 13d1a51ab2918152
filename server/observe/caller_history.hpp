// The last calls of each caller, for GET /v1/weir/me: what an answer whose head went out early could not say, by the
// request id that it did say. Bounded in calls and callers; thread-safe. Time is an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "observe/exchange_record.hpp"

namespace weir::observe {

class CallerHistory {
 public:
  using Time = std::chrono::system_clock::time_point;
  static constexpr std::size_t calls_max = 50;     // of a caller: as many as it may have under way and look back on
  static constexpr std::size_t callers_max = 500;  // those who called last; some 300 bytes a call, 8 MB at most

  // Notes a call that was meant for an upstream; others are no calls.
  void exchange(const ExchangeRecord& record, Time now);
  // A JSON array of this caller's, the latest first.
  std::string json(std::string_view caller) const;

 private:
  struct Call {
    Time ended;
    std::string request_id, model, upstream, upstream_request_id, outcome, error;
    int status = 0;
    unsigned attempts = 0;
    std::chrono::milliseconds queued{0};  // in every line
    std::chrono::milliseconds duration{0};
    std::optional<std::uint64_t> reserved_tokens, input_tokens, output_tokens;
  };
  struct Caller {
    std::string name;
    std::deque<Call> calls;  // by their ends
  };
  std::deque<Call>& calls_of(const std::string& name);

  mutable std::mutex mutex_;
  std::list<Caller> callers_;                                                 // the last one to call first
  std::unordered_map<std::string_view, std::list<Caller>::iterator> places_;  // names are the list's
};

}  // namespace weir::observe
