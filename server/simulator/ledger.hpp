// The provider's books, shared by all workers behind one lock: limits, the log that checks them, counters, scenarios,
// and the last request. A request that was let in holds a Permit until its answer is over; the destructor books the
// end. The clock is read under the lock, so that instants in the books never go back.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "simulator/behaviour.hpp"
#include "simulator/limits.hpp"
#include "simulator/stats.hpp"
#include "simulator/window_log.hpp"

namespace weir::simulator {

class Ledger;

// Counts one request in flight. Movable; the empty one counts nothing.
class Permit {
 public:
  Permit() = default;
  Permit(Ledger& ledger, std::uint64_t input) : ledger_(&ledger), tokens_(input) {}
  Permit(Permit&& other) noexcept : ledger_(std::exchange(other.ledger_, nullptr)), tokens_(other.tokens_) {}
  Permit& operator=(Permit&& other) noexcept {
    std::swap(ledger_, other.ledger_);
    std::swap(tokens_, other.tokens_);
    return *this;
  }
  ~Permit();

  void produce(std::uint64_t tokens);  // of output
  explicit operator bool() const { return ledger_ != nullptr; }

 private:
  Ledger* ledger_ = nullptr;
  std::uint64_t tokens_ = 0;  // input and all output so far
};

struct Admission {
  Verdict verdict;
  MeterView requests, tokens;  // after it
  Permit permit;               // empty when refused
};

struct LastRequest {
  std::string head;  // as received
  std::string body;  // its data without framing, the first kept_body_max bytes
  std::uint64_t body_bytes = 0;
};

class Ledger {
 public:
  static constexpr std::size_t kept_body_max = 4u << 20;

  explicit Ledger(const Options& options);

  // REQUIRES: counted with received() before.
  Admission admit(const Claim& claim);
  bool charges_as_produced() const { return limits_.charges_as_produced(); }

  // Which request of its scenario this is, from 0. A bounded number of scenarios is remembered.
  std::uint64_t next_of_scenario(const std::string& scenario);
  std::uint64_t next_request() { return next_of_scenario({}); }
  bool roll(double probability);

  void received(Route route);
  void refused(Cause cause);
  void connection_opened();
  void connection_closed();
  void stream_opened();
  void stream_closed();
  void client_left();

  void remember(std::string_view head, std::string_view body, std::uint64_t body_bytes);
  LastRequest last_request();

  Stats stats();
  void reset();  // counters, meters, scenarios; what is in flight stays so

 private:
  friend class Permit;
  void produce(std::uint64_t tokens);
  void finish(std::uint64_t tokens);

  static constexpr std::size_t scenarios_max = 10'000;

  const Options options_;
  std::mutex mutex_;
  Limits limits_;
  Stats stats_;  // its window figures stand in the logs until somebody asks
  WindowLog requests_log_, received_log_, charged_log_, used_log_;
  std::unordered_map<std::string, std::uint64_t> scenarios_;
  std::deque<std::string> scenario_order_;
  std::mt19937_64 random_;
  LastRequest last_;
};

}  // namespace weir::simulator
