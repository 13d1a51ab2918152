// The coroutine face of admission::Scheduler: one for the process, with the one lock, the one timer and the clock. An
// exchange submits, waits for its Admission to be decided, and settles it; a decision made on another thread is posted
// to the worker the exchange lives on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "admission/scheduler.hpp"
#include "net/signal.hpp"
#include "net/worker.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

class AdmissionGate;

// One submission's stay, from the queue to the last token. Its destructor does the pessimistic thing: what waits or was
// never sent is withdrawn and costs nothing, what was sent and not settled is charged in full.
class Admission {
 public:
  enum class State { none, waiting, admitted, rejected, given_up, sent, settled };

  Admission() = default;
  Admission(Admission&& other) noexcept { swap(other); }
  Admission& operator=(Admission&& other) noexcept {
    Admission gone(std::move(other));
    swap(gone);
    return *this;
  }
  ~Admission();

  State state() const { return state_; }
  const admission::Rejection& rejection() const { return rejection_; }
  // Waiting: looks whether it was decided meanwhile; the bell rings when it was.
  State look();
  // Waiting: where it stands.
  std::optional<admission::WaitingView> place() const;

  void mark_sent();
  void mark_unsent();  // it did not get there, and is admitted as before
  void taken_in();
  void progress(std::uint64_t tokens);                               // output in all so far
  void measured(admission::Tokens input, admission::Tokens cached);  // the upstream's own count of the prompt
  // Of the account or the model: what the upstream said of its limits, and that it turned this call away for being one
  // too many.
  void hear(admission::Scope scope, std::span<const admission::SaidOfMeter> said);
  void crowded(admission::Scope scope, const admission::Crowding& crowding);
  void settle(const admission::Usage& usage, admission::Ending ending);

 private:
  friend class AdmissionGate;
  struct Wait;
  void swap(Admission& other) noexcept;

  AdmissionGate* gate_ = nullptr;
  admission::Ticket ticket_;
  State state_ = State::none;
  admission::Rejection rejection_;
  std::shared_ptr<Wait> wait_;
};

// Whose a submission is, for callers who ask about their own. The strings are its maker's.
struct Owner {
  std::string_view client;
  std::string_view request_id;
  std::string_view shown;  // the client, for operators
};

class AdmissionGate {
 public:
  // Nothing is limited before the first reconfigure().
  AdmissionGate();
  ~AdmissionGate();
  AdmissionGate(const AdmissionGate&) = delete;
  AdmissionGate& operator=(const AdmissionGate&) = delete;

  // No decision is posted to a worker any more: workers are about to go. What still waits is let go of.
  void stop();

  void reconfigure(const Settings& settings);

  // The submission is made with the scheduler at hand, since it names budgets by id. The answer may be waiting,
  // admitted or rejected. `bell` is rung on `worker`, as long as the Admission lives.
  template <typename Make>
  Admission submit(net::Worker& worker, net::Bell bell, const Owner& owner, Make make) {
    const std::unique_lock lock(mutex_);
    return enter(worker, bell, owner, make(scheduler_));
  }
  // Gives up what this owner has waiting under this id, on whatever worker; false: nothing waits.
  bool give_up(const Owner& owner);

  // Runs `job` with the scheduler under the lock, then dispatches what it made possible. Keep it short.
  template <typename Job>
  auto with(Job job) {
    const std::unique_lock lock(mutex_);
    if constexpr (std::is_void_v<decltype(job(scheduler_))>) {
      job(scheduler_);
      pump();
    } else {
      auto result = job(scheduler_);
      pump();
      return result;
    }
  }
  // The same for a job that makes nothing possible.
  template <typename Job>
  auto quietly(Job job) {
    const std::unique_lock lock(mutex_);
    return job(scheduler_);
  }
  // Calls each(scheduler, request_id, place) for what the client has waiting, the first `at_most` found.
  void each_waiting(
      std::string_view client, std::size_t at_most,
      const std::function<void(admission::Scheduler&, const std::string&, const admission::WaitingView&)>& each);
  // Whose a ticket in line is; nobody's: it is not in line. REQUIRES: the caller is a job of with() or quietly().
  Owner owner_of(admission::Ticket ticket) const;
  void observe(const admission::UpstreamReport& report);
  // A start without knowledge: accounts behave as if their limits were used up for so long.
  void assume_spent(Duration time);

 private:
  friend class Admission;
  // What is decided about a submission while its maker still holds the lock.
  struct AtOnce {
    std::size_t index;  // of its ticket
    bool decided;
    std::optional<admission::Rejection> rejection;
  };
  // REQUIRES for all of these: the lock is held.
  Admission enter(net::Worker& worker, net::Bell bell, const Owner& owner, admission::Submission submission);
  void pump(net::Instant now, AtOnce* at_once = nullptr);
  void pump() { pump(net::Clock::now()); }
  void decide(const std::shared_ptr<Admission::Wait>& wait);
  void arm();
  void run_timer();

  std::mutex mutex_;
  admission::Scheduler scheduler_;
  admission::Rng rng_;
  std::vector<std::shared_ptr<Admission::Wait>> waits_;  // by index of the ticket
  std::condition_variable changed_;
  net::Instant armed_ = net::Instant::max();
  bool stopping_ = false;
  std::atomic<bool> probing_{false};  // a breaker is not closed: what becomes of calls is news
  std::thread timer_;
};

}  // namespace weir::proxy
