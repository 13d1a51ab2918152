// The last fifteen minutes in steps of five seconds, what each key spent per model, and the latest errors: what the
// status page draws. Bounded whatever happens; thread-safe. Time is an argument.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "observe/exchange_record.hpp"

namespace weir::observe {

class History {
 public:
  using Time = std::chrono::system_clock::time_point;
  static constexpr std::chrono::seconds step{5};
  static constexpr std::size_t steps = 180;
  static constexpr std::size_t errors_max = 50;  // as many as a person reads
  static constexpr std::size_t spenders_max = 1000;

  explicit History(Time started) : started_(started) {}

  void exchange(const ExchangeRecord& record, Time now);
  // {"schema":1,"now":...,"started":...,"step_seconds":5,"steps":[...],"spent":[...],"errors":[...]}; times are seconds
  // since 1970, steps from the oldest to the one under way.
  std::string json(Time now) const;

 private:
  struct Step {
    std::int64_t number = -1;  // since 1970, in steps; what stands in its place is of another time
    std::uint64_t requests = 0, failed = 0, input_tokens = 0, output_tokens = 0;
    double wait_sum = 0, wait_max = 0;  // seconds in line
  };
  struct Spent {
    std::uint64_t requests = 0, input_tokens = 0, cached_tokens = 0, output_tokens = 0, reasoning_tokens = 0;
    double cost = 0;
    bool priced = true;  // every request had a known price
  };
  struct Error {
    Time at;
    std::string key, model, upstream, code, words;
  };
  Step& step_at(Time now);
  void note_spent(const ExchangeRecord& record);

  const Time started_;
  mutable std::mutex mutex_;
  std::array<Step, steps> steps_{};
  std::map<std::tuple<std::string, std::string, std::string>, Spent> spent_;  // key, model, currency
  std::deque<Error> errors_;
};

}  // namespace weir::observe
