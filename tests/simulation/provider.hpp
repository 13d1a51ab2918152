// The simulated provider in virtual time: the limits and charge rules of `weir simulate`, answers that take their time,
// and trouble. It keeps books of its own of what arrived, in every window, so that they can convict whoever sends.
#pragma once

#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "simulation/traffic.hpp"
#include "simulator/limits.hpp"
#include "simulator/window_log.hpp"

namespace weir::simulation {

// A time in which part of the calls fare badly.
struct Outage {
  enum class Kind : std::uint8_t {
    turns_away,  // 503 at the door: nothing was done, nothing is charged
    fails,       // 500 after a while: the input is charged
    breaks,      // the connection breaks somewhere in the answer, often before its first word
  };
  Kind kind = Kind::turns_away;
  Instant begin{}, end{};
  double share = 1;      // of the calls
  bool crowded = false;  // turns_away: "too many at once" is what it says
};

struct ProviderSettings {
  simulator::Options options;
  Duration way = std::chrono::milliseconds(10);  // one way, at least
  Duration way_varies{0};                        // by so much
  Duration first_after = std::chrono::milliseconds(800);
  double tokens_per_second = 50;
  double speed_varies = 0;                          // by so much of it, either way
  Duration chunk = std::chrono::milliseconds(100);  // how often an answer goes on
  bool hints = true;                                // a refusal says when to come back
  std::vector<Outage> outages;
  // Calls at once, where the number moves; a refusal says nothing of it.
  std::function<std::uint64_t(Instant)> concurrency_at;
};

struct Reply {
  enum class Kind : std::uint8_t {
    refused,      // 429: over a limit
    turned_away,  // 503 at the door
    failed,       // 500
    produced,     // `output` tokens in all so far, and the input as counted
    ended,        // complete: input and output as used
    broke,
  };
  Kind kind = Kind::ended;
  Tokens input = 0, output = 0;
  std::optional<Duration> hint;
  bool crowded = false;  // refused: too many at once
};

class Provider {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void reply(std::uint64_t tag, const Reply& reply) = 0;  // the last one is not `produced`
  };
  using Id = std::uint64_t;

  struct Books {
    explicit Books(Duration window) : requests(window), charged(window) {}
    simulator::WindowLog requests, charged;  // let in
    std::uint64_t arrived = 0, refused = 0, turned_away = 0;
    std::uint64_t knocks = 0;  // turned away when everybody could know that everybody is
    std::uint64_t in_flight_largest = 0;
    std::uint64_t measured = 0;  // charged since `measured_from`
    Instant measured_from{};
    // The last refusal, for whoever wants to know why.
    simulator::Verdict last_refusal;
    Instant last_refused_at{};
  };

  Provider(EventLoop& loop, ProviderSettings settings, std::uint64_t seed);

  // `listener` hears of it under this tag until it ends or is cancelled.
  Id send(const Call& call, Listener& listener, std::uint64_t tag);
  // Nothing is heard of it any more; the provider stops as soon as it learns of it.
  void cancel(Id id);

  void measure_from(Instant instant) { books_.measured_from = instant; }
  const Books& books() const { return books_; }
  std::uint64_t in_flight() const { return limits_.in_flight(); }
  // What it has charged by now of what can be charged in this time, from measure_from() on.
  double share_used(Instant until) const;

 private:
  struct Answer {
    Call call;
    Listener* listener = nullptr;  // nullptr: cancelled
    std::uint64_t tag = 0;
    Tokens produced = 0;
    Tokens breaks_at = -1;  // so many tokens into it; -1: it does not
    double tokens_per_chunk = 0;
    double exact = 0;
    bool in_flight = false;
  };

  void arrive(Id id);
  void go_on(Id id);
  void finish(Id id, const Reply& reply);
  void tell(const Answer& answer, const Reply& reply);
  void note_charge(std::uint64_t amount);
  const Outage* outage();
  Duration way();

  EventLoop& loop_;
  ProviderSettings settings_;
  simulator::Limits limits_;
  Books books_;
  Rng rng_;
  std::unordered_map<Id, Answer> answers_;
  std::unordered_map<const Outage*, Instant> first_turned_away_;
  std::unordered_map<const Outage*, Instant> second_turned_away_;
  Id last_id_ = 0;
};

}  // namespace weir::simulation
