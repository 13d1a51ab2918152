// What the admission core costs: one decision beside 50,000 who wait, an exchange from submission to settlement, the
// first dispatch of a full budget, the memory of a request that waits. Virtual time, one thread, the 5M/30K tier.
//
// A bench named by its traffic: `arrival` is charged when it is sent (embeddings), `produced` has its output charged
// token by token.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "admission/scheduler.hpp"

namespace weir::admission {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t waiting_target = 50'000;
constexpr Tokens tokens_per_minute = 5'000'000;

BudgetLimits tier(Scope scope, std::string name, Tokens tokens, Tokens requests) {
  BudgetLimits made;
  made.scope = scope;
  made.name = std::move(name);
  made.limits[static_cast<std::size_t>(Meter::tokens)] = tokens;
  made.limits[static_cast<std::size_t>(Meter::requests)] = requests;
  return made;
}

Limits limits(int keys) {
  Limits limits;
  limits.requests_max = 2 * waiting_target;
  limits.bytes_max = std::size_t{1} << 40;
  limits.budgets.push_back(tier(Scope::account, "ark", tokens_per_minute, 30'000));
  limits.budgets.push_back(tier(Scope::team, "team", tokens_per_minute, 30'000));
  for (int i = 0; i < keys; ++i) limits.budgets.push_back(tier(Scope::key, std::to_string(i), 800'000, 15'000));
  return limits;
}

// A crowd of clients at one scheduler.
class Crowd {
 public:
  // `patience`: what may be too short is looked at more closely.
  explicit Crowd(LaterCharge later, int keys = 100, Duration patience = 2h)
      : later_(later), patience_(patience), scheduler_(limits(keys), now_) {
    account_ = scheduler_.budget(Scope::account, "ark");
    team_ = scheduler_.budget(Scope::team, "team");
    for (int i = 0; i < keys; ++i) keys_.push_back(scheduler_.budget(Scope::key, std::to_string(i)));
  }

  Scheduler& scheduler() { return scheduler_; }
  Instant now() const { return now_; }
  void pass(Duration time) { now_ += time; }

  // Sizes are log-normal: input with a median of 800 and a 99th percentile of 20,000, output 300 and 4,000.
  Submission next() {
    Submission s;
    s.key = keys_[random_() % keys_.size()];
    s.team = team_;
    s.account = account_;
    s.sub_lane = "user:" + std::to_string(random_() % 8);
    const Tokens output = std::clamp<Tokens>(size(300, 1.11), 1, 8'000);
    s.own.tokens = s.own.input = std::clamp<Tokens>(size(800, 1.38), 1, 96'000);
    s.own.corrects = true;
    s.own.later = later_;
    s.own.later_output = later_ == LaterCharge::none ? 0 : 300;
    s.own.output_max = 8'000;
    s.upstream = s.own;
    s.bytes = 4'000;
    s.arrived = now_;
    s.deadline = now_ + patience_;
    outputs_.push_back(output);
    return s;
  }

  void submit() { (void)scheduler_.submit(next(), now_); }
  void fill() {
    const Duration patience = std::exchange(patience_, 2h);
    while (scheduler_.queued() < waiting_target) submit();
    patience_ = patience;
  }
  // Some windows of even traffic, then the crowd.
  void settle_in(Duration step) {
    for (const Instant end = now_ + 200s; now_ < end; pass(step)) {
      submit();
      run(scheduler_.dispatch(now_));
      end_old();
    }
    fill();
  }

  void run(const std::vector<Decision>& decisions) {
    for (const Decision& decision : decisions) {
      if (decision.rejection) continue;
      scheduler_.sent(decision.ticket, now_);
      running_.push_back({decision.ticket, now_ + 10s});
    }
  }
  void end_old() {
    for (; !running_.empty() && running_.front().ends <= now_; running_.pop_front()) {
      const Usage usage{true, std::clamp<Tokens>(size(800, 1.38), 1, 96'000), 0,
                        later_ == LaterCharge::none ? 0 : outputs_[random_() % outputs_.size()]};
      scheduler_.settle(running_.front().ticket, usage, Ending::complete, now_);
    }
    if (outputs_.size() > 1'000) outputs_.resize(1'000);
  }

 private:
  struct Running {
    Ticket ticket;
    Instant ends;
  };

  Tokens size(double median, double sigma) {
    return static_cast<Tokens>(median * std::exp(sigma * std::normal_distribution<>()(random_)));
  }

  LaterCharge later_;
  Duration patience_;
  std::mt19937_64 random_{1};
  Instant now_ = Instant(640h);
  Scheduler scheduler_;
  BudgetId account_, team_;
  std::vector<BudgetId> keys_;
  std::deque<Running> running_;
  std::vector<Tokens> outputs_;
};

// Of this thread: whoever else uses the processor does not count.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void report(benchmark::State& state, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double part) {
    return 1e9 * seconds[static_cast<std::size_t>(part * static_cast<double>(seconds.size() - 1))];
  };
  state.counters["median_ns"] = at(0.5);
  state.counters["p99_ns"] = at(0.99);
  state.counters["max_ns"] = at(1);
}

// Submit one and dispatch, at a rate at which one is admitted each time, on average. `median_ns` and the others are for
// one decision: a submission, and the part of a dispatch that falls to one who is admitted.
void decision(benchmark::State& state, LaterCharge later, Duration step, int keys = 100, Duration patience = 2h) {
  Crowd crowd(later, keys, patience);
  crowd.settle_in(step);
  std::vector<double> seconds;
  std::size_t admitted = 0;
  for (auto _ : state) {
    crowd.pass(step);
    Submission submission = crowd.next();
    const auto begin = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(crowd.scheduler().submit(std::move(submission), crowd.now()));
    const double submitting = seconds_since(begin);
    const std::vector<Decision> decisions = crowd.scheduler().dispatch(crowd.now());
    const double both = seconds_since(begin);
    state.SetIterationTime(both);
    if (!decisions.empty()) seconds.push_back(submitting + (both - submitting) / static_cast<double>(decisions.size()));
    admitted += decisions.size();
    crowd.run(decisions);
    crowd.end_old();
  }
  report(state, std::move(seconds));
  state.counters["admitted"] = static_cast<double>(admitted) / static_cast<double>(state.iterations());
  state.counters["waiting"] = static_cast<double>(crowd.scheduler().queued());
}
BENCHMARK_CAPTURE(decision, arrival, LaterCharge::none, 24ms)->UseManualTime()->Iterations(50'000);
BENCHMARK_CAPTURE(decision, produced, LaterCharge::as_produced, 32ms)->UseManualTime()->Iterations(50'000);
// Some of these are turned away: their wait is doubtful, and each is predicted.
BENCHMARK_CAPTURE(decision, doubtful, LaterCharge::none, 24ms, 100, 10min)->UseManualTime()->Iterations(50'000);
BENCHMARK_CAPTURE(decision, doubtful_10000_keys, LaterCharge::none, 24ms, 10'000, 10min)
    ->UseManualTime()
    ->Iterations(50'000);

// What an operator looks at: the first 1,000 of 50,000.
void waiting(benchmark::State& state, int keys) {
  Crowd crowd(LaterCharge::as_produced, keys);
  crowd.settle_in(32ms);
  for (auto _ : state) {
    crowd.submit();
    benchmark::DoNotOptimize(crowd.scheduler().waiting(crowd.now(), 1'000));
  }
}
BENCHMARK_CAPTURE(waiting, 100_keys, 100)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(waiting, 10000_keys, 10'000)->Unit(benchmark::kMicrosecond);

// When would one more start, behind 50,000 who wait?
void prediction(benchmark::State& state) {
  Crowd crowd(LaterCharge::as_produced);
  crowd.settle_in(32ms);
  const Submission submission = crowd.next();
  for (auto _ : state) benchmark::DoNotOptimize(crowd.scheduler().predicted_start(submission, crowd.now()));
}
BENCHMARK(prediction);

// Everything the core does for one call that need not wait: submit, dispatch, sent, 20 reports of progress, settle.
void exchange(benchmark::State& state) {
  Crowd crowd(LaterCharge::as_produced);
  Scheduler& scheduler = crowd.scheduler();
  for (auto _ : state) {
    crowd.pass(100ms);
    const auto ticket = std::get<Ticket>(scheduler.submit(crowd.next(), crowd.now()));
    benchmark::DoNotOptimize(scheduler.dispatch(crowd.now()));
    scheduler.sent(ticket, crowd.now());
    for (Tokens produced = 20; produced <= 400; produced += 20) {
      crowd.pass(50ms);
      scheduler.progress(ticket, produced, crowd.now());
    }
    scheduler.settle(ticket, {true, 800, 0, 400}, Ending::complete, crowd.now());
  }
}
BENCHMARK(exchange)->Iterations(50'000);

// 50,000 wait and the whole budget is free: how long until all who fit are admitted, and the longest single dispatch,
// during which everybody else waits for the lock.
void first_dispatch(benchmark::State& state) {
  double longest = 0, admitted = 0;
  for (auto _ : state) {
    Crowd crowd(LaterCharge::as_produced);
    crowd.fill();
    double all = 0;
    do {
      const double begin = processor_seconds();
      const std::vector<Decision> decisions = crowd.scheduler().dispatch(crowd.now());
      const double seconds = processor_seconds() - begin;
      all += seconds;
      longest = std::max(longest, seconds);
      admitted += static_cast<double>(decisions.size());
    } while (crowd.scheduler().next_wakeup().value_or(never) <= crowd.now());
    state.SetIterationTime(all);
  }
  state.counters["longest_us"] = 1e6 * longest;
  state.counters["admitted"] = admitted / static_cast<double>(state.iterations());
}
BENCHMARK(first_dispatch)->UseManualTime()->Iterations(5)->Unit(benchmark::kMicrosecond);

// Heap of the core for each request that waits, its body aside.
void memory(benchmark::State& state) {
  for (auto _ : state) {
    Crowd crowd(LaterCharge::as_produced);
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    crowd.fill();
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    state.counters["bytes_each"] = static_cast<double>(after - before) / static_cast<double>(waiting_target);
  }
}
BENCHMARK(memory)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weir::admission

BENCHMARK_MAIN();
