// weir in virtual time: the real scheduler, charge rules, forecasts and retry policy, with an exchange reduced to what
// it does with them. Or, told to refuse, a limiter with the same exact books that answers 429 instead of waiting.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "admission/retry_policy.hpp"
#include "admission/scheduler.hpp"
#include "simulation/path.hpp"
#include "simulation/provider.hpp"
#include "simulation/proxy_charge.hpp"

namespace weir::simulation {

// The names that budgets of a Gateway have.
std::string key_budget(std::uint32_t key);
std::string team_budget(std::uint32_t team);
std::string model_budget(std::uint32_t model);
constexpr const char* account_budget = "account";

struct GatewaySettings {
  admission::Limits limits;
  simulator::Charge rule = simulator::Charge::input_then_output;
  bool reserves_cap = false;
  bool with_teams = false, with_models = false;
  bool refuses = false;        // instead of letting wait
  bool ramps = false;          // nothing is known of the provider's limits
  double stale = 0;            // part of the calls that find the kept connection closed, and go again on another
  bool running_usage = false;  // the provider tells the usage so far: the input is settled with the first word
  Duration wait_max = std::chrono::minutes(10);
  Duration connect_max{0};  // between admission and sending
  admission::RetryRules retry;
};

class Gateway final : public Path, private Provider::Listener {
 public:
  Gateway(EventLoop& loop, Provider& provider, GatewaySettings settings, std::uint64_t seed);

  Id call(const Call& call, Instant arrived, Caller& caller, std::uint64_t tag) override;
  void leave(Id id) override;

  void reconfigure(admission::Limits limits);
  // The process ends and another one starts after `pause`: whoever waits, runs or comes meanwhile is cut off.
  enum class Memory : std::uint8_t {
    kept,  // the new one knows what the old one knew
    lost,  // it takes the limits for spent for a whole window
  };
  void restart(Memory memory, Duration pause);

  admission::Scheduler& scheduler() { return *scheduler_; }
  const GatewaySettings& settings() const { return settings_; }
  bool paused() const { return loop_.now() < paused_until_; }  // the provider asked for it
  // Not paused, and not on the way back from it.
  bool flows_freely() const {
    const admission::BudgetId account = scheduler_->budget(admission::Scope::account, account_budget);
    return !paused() && scheduler_->breaker(account).state(loop_.now()) == admission::Breaker::State::closed;
  }
  // Called after every dispatch.
  void watch(std::function<void()> watcher) { watcher_ = std::move(watcher); }

  // Calls each(call, arrived) for those in the queue that nothing but a budget holds up.
  template <typename Each>
  void each_waiting(Each each) const {
    each_exchange([&](const Exchange& exchange) {
      if (exchange.state == Exchange::State::waiting && exchange.not_before <= loop_.now()) each(exchange);
    });
  }
  template <typename Each>
  void each_exchange(Each each) const {
    for (const auto& [id, exchange] : exchanges_) each(exchange);
  }

  struct Exchange {
    enum class State : std::uint8_t { waiting, connecting, sent } state = State::waiting;
    Call call;
    Caller* caller = nullptr;
    std::uint64_t tag = 0;
    ProxyCharge::Costs costs;
    admission::Ticket ticket;
    Instant arrived{}, deadline{}, not_before = Instant::min(), sent_at{};
    Provider::Id at_provider = 0;
    Tokens produced = 0;  // as heard
    Tokens told = 0;      // of it, to the scheduler and to the forecast
    Instant told_at{};
    unsigned tries = 0, refusals = 0, in_vain = 0;
    std::uint64_t order = 0;  // of submission
  };
  // Told of every admission, before it is sent.
  void watch_admissions(std::function<void(const Exchange&)> watcher) { admission_watcher_ = std::move(watcher); }

  void watch_sendings(std::function<void(const Exchange&)> watcher) { sending_watcher_ = std::move(watcher); }

  struct Counts {
    std::uint64_t received = 0, sent = 0, repeated = 0;  // repeated: beyond refusals at the door
    std::uint64_t in_vain = 0;                           // on a connection that was closed
  };
  const Counts& counts() const { return counts_; }

 private:
  void submit(Id id, Instant not_before);
  void pump();
  void arm();
  void when_still(Exchange::State state, const Exchange& exchange, Id id, Duration time_max,
                  std::function<void()> what);
  void send(Id id);
  void send_in_vain(Id id);
  void reply(std::uint64_t tag, const Reply& reply) override;
  void settle(Id id, const admission::Usage& usage, admission::Ending ending);
  void tell_progress(Exchange& exchange);
  // Another try is on its way; else the outcome was told.
  void take_failure(Id id, admission::Trouble trouble, const Reply& reply);
  void tell(Id id, const Outcome& outcome);
  void start_again(const std::optional<admission::Snapshot>& snapshot, Duration age);

  EventLoop& loop_;
  Provider& provider_;
  GatewaySettings settings_;
  ProxyCharge charge_;
  Rng rng_;
  std::unique_ptr<admission::Scheduler> scheduler_;
  admission::RetryBudget retry_budget_;
  std::unordered_map<Id, Exchange> exchanges_;
  std::vector<Id> by_ticket_;
  Instant armed_ = never;
  Instant paused_until_ = Instant::min();
  bool down_ = false;
  Id last_id_ = 0;
  std::uint64_t submissions_ = 0;
  Counts counts_;
  std::function<void()> watcher_;
  std::function<void(const Exchange&)> admission_watcher_, sending_watcher_;
};

}  // namespace weir::simulation
