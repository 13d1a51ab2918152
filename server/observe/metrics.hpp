// What weir tells Prometheus. Counters and histograms are fed with the record of each exchange at its end, so that one
// record makes the line in the log and the figures; what has a level now (queue, budgets) is handed in when somebody
// asks. Names: docs/metrics.md. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "observe/exchange_record.hpp"

namespace weir::observe {

// Levels at the moment of asking.
struct Levels {
  struct Budget {
    std::string scope, name, meter;
    std::int64_t limit = 0, used = 0, reserved = 0, debt = 0;
  };
  std::uint64_t queue_requests = 0, queue_bytes = 0, running = 0;
  std::uint64_t kept_bodies_bytes = 0, kept_bodies_released = 0;  // now; calls, ever
  std::vector<Budget> budgets;
  struct Breaker {
    std::string upstream;
    std::string_view state;  // one of breaker_states; a literal
  };
  static constexpr std::string_view breaker_states[] = {"closed", "open", "half-open"};
  std::vector<Breaker> breakers;
  struct RetryBudget {
    std::string upstream;
    double left = 0;  // failed calls that may be repeated now
  };
  std::vector<RetryBudget> retry_budgets;
  struct Learned {
    std::string upstream, meter, source;
    std::int64_t limit = 0;
  };
  std::vector<Learned> learned;
  std::uint64_t clients = 0;                                 // connections
  std::uint64_t upstreams_idle = 0;                          // connections kept for the next call
  std::uint64_t upstreams_opened = 0, upstreams_reused = 0;  // ever
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Models of the configuration: they keep their names, whatever clients invent.
  void know_models(std::span<const std::string> names);

  void exchange(const ExchangeRecord& record);
  // A request whose head could not be read, of which there is no more to count. `code`: one of weir's.
  void refused_unread(const std::string& code);
  void heartbeat_sent();  // when it is: its call may go on for minutes
  void stream_opened();
  void stream_closed();
  void reloaded(bool successful);

  // The Prometheus text format 0.0.4.
  std::string text(const Levels& levels) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A stream that is open for as long as this lives.
class OpenStream {
 public:
  explicit OpenStream(Metrics& metrics) : metrics_(metrics) { metrics_.stream_opened(); }
  ~OpenStream() { metrics_.stream_closed(); }
  OpenStream(const OpenStream&) = delete;
  OpenStream& operator=(const OpenStream&) = delete;

 private:
  Metrics& metrics_;
};

}  // namespace weir::observe
