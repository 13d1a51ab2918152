// Callers: each asks, waits for the answer, thinks, and asks again, with its library's retries in between. Counts what
// callers notice.
#pragma once

#include <functional>
#include <vector>

#include "simulation/path.hpp"
#include "simulation/sdk_retries.hpp"

namespace weir::simulation {

struct Agent {
  std::function<Call(Rng&)> make;
  Sdk sdk = Sdk::python;
  Duration think{0};  // mean, exponentially distributed
  Duration begins_after{0};
  std::int64_t calls = -1;  // to make; -1: no end
  bool persists = false;    // a call that failed is made again after `persists_after`, until it is answered
  double leaves = 0;        // part of the calls that are given up on after a while
  Duration leaves_after = std::chrono::seconds(5);  // mean
};

class Agents final : private Path::Caller {
 public:
  static constexpr std::chrono::seconds persists_after{5};

  Agents(EventLoop& loop, Path& path, std::uint64_t seed) : loop_(loop), path_(path), rng_(seed) {}

  void add(Agent agent);
  // Nobody asks for anything new from now on.
  void stop() { stopped_ = true; }
  void measure_from(Instant instant) { measured_from_ = instant; }

  struct Counts {
    std::uint64_t calls = 0, answered = 0, failed = 0, left = 0;
    std::uint64_t tries = 0, refused = 0;  // refused: 429 seen by a library, whether or not it came back
    std::uint64_t refused_by_provider = 0;
  };
  const Counts& counts() const { return counts_; }
  // Of calls first made since measure_from(): from the first try until the one that was answered was sent.
  const std::vector<Duration>& waits() const { return waits_; }
  // Answered since then, by key.
  const std::vector<std::uint64_t>& tokens_by_key() const { return tokens_by_key_; }
  Instant last_answer() const { return last_answer_; }
  std::size_t busy() const { return busy_; }  // with a call that has not ended yet

 private:
  struct State {
    Agent agent;
    Call call;
    Instant first_try{};
    Path::Id at = 0;
    unsigned tries = 0;
    std::uint32_t turn = 0;  // tells what belongs to a call that is over
    bool on_its_way = false;
  };
  void think(std::size_t index);
  void begin(std::size_t index);
  void try_once(std::size_t index);
  void leave(std::size_t index);
  void outcome(std::uint64_t tag, const Outcome& outcome) override;
  void over(std::size_t index);

  EventLoop& loop_;
  Path& path_;
  Rng rng_;
  std::vector<State> states_;
  Instant measured_from_ = Instant::min();
  Counts counts_;
  std::vector<Duration> waits_;
  std::vector<std::uint64_t> tokens_by_key_;
  Instant last_answer_{};
  std::size_t busy_ = 0;
  bool stopped_ = false;
};

}  // namespace weir::simulation
