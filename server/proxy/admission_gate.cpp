#include "proxy/admission_gate.hpp"

#include <cassert>
#include <random>
#include <utility>

#include "proxy/budgets.hpp"

namespace weir::proxy {

using net::Clock;

// What an exchange and the gate share about one submission that waits. All but the bell, which is only touched on its
// own worker, is written under the gate's lock.
struct Admission::Wait {
  net::Worker* worker = nullptr;
  net::Bell bell;  // empty: the exchange has left
  std::string client, request_id, shown;
  admission::Ticket ticket;
  bool decided = false;
  bool given_up = false;  // decided by its owner
  std::optional<admission::Rejection> rejection;
};

Admission::~Admission() {
  if (wait_) wait_->bell = {};
  if (state_ == State::sent) {
    settle({}, admission::Ending::lost);
  } else if (state_ == State::waiting || state_ == State::admitted) {
    gate_->with([&](admission::Scheduler& scheduler) {
      if (wait_ && (wait_->rejection || wait_->given_up)) return;  // over meanwhile, and its ticket with it
      if (wait_ && !wait_->decided) gate_->waits_[ticket_.index].reset();
      scheduler.withdraw(ticket_, Clock::now());
    });
  }
}

void Admission::swap(Admission& other) noexcept {
  std::swap(gate_, other.gate_);
  std::swap(ticket_, other.ticket_);
  std::swap(state_, other.state_);
  std::swap(rejection_, other.rejection_);
  std::swap(wait_, other.wait_);
}

Admission::State Admission::look() {
  if (state_ != State::waiting) return state_;
  const std::unique_lock lock(gate_->mutex_);
  if (!wait_->decided) return state_;
  state_ = wait_->rejection ? State::rejected : wait_->given_up ? State::given_up : State::admitted;
  if (wait_->rejection) rejection_ = *wait_->rejection;
  return state_;
}

std::optional<admission::WaitingView> Admission::place() const {
  if (state_ != State::waiting) return std::nullopt;
  const std::unique_lock lock(gate_->mutex_);
  if (wait_->decided) return std::nullopt;
  return gate_->scheduler_.place_of(ticket_, Clock::now());
}

void Admission::mark_sent() {
  if (state_ != State::admitted) return;
  state_ = State::sent;
  gate_->quietly([&](admission::Scheduler& scheduler) { scheduler.sent(ticket_, Clock::now()); });
}

void Admission::mark_unsent() {
  if (state_ != State::sent) return;
  state_ = State::admitted;
  gate_->quietly([&](admission::Scheduler& scheduler) { scheduler.unsent(ticket_, Clock::now()); });
}

void Admission::taken_in() {
  // While all is well this is nobody's news.
  if (state_ != State::sent || !gate_->probing_.load(std::memory_order_relaxed)) return;
  gate_->with([&](admission::Scheduler& scheduler) {
    scheduler.taken_in(ticket_, Clock::now());
    if (scheduler.all_breakers_closed()) gate_->probing_ = false;
  });
}

void Admission::progress(std::uint64_t tokens) {
  if (state_ != State::sent) return;
  // What a forecast gives back is looked at within a bin anyway.
  gate_->quietly([&](admission::Scheduler& scheduler) {
    scheduler.progress(ticket_, admission::tokens_of(tokens), Clock::now());
  });
}

void Admission::measured(admission::Tokens input, admission::Tokens cached) {
  if (state_ != State::sent) return;
  gate_->with([&](admission::Scheduler& scheduler) { scheduler.measured(ticket_, input, cached, Clock::now()); });
}

void Admission::hear(admission::Scope scope, std::span<const admission::SaidOfMeter> said) {
  if (state_ != State::sent || said.empty()) return;
  gate_->with([&](admission::Scheduler& scheduler) {
    for (const admission::SaidOfMeter& each : said) scheduler.hear(ticket_, scope, each, Clock::now());
  });
}

void Admission::crowded(admission::Scope scope, const admission::Crowding& crowding) {
  if (state_ != State::sent) return;
  gate_->with([&](admission::Scheduler& scheduler) { scheduler.turned_away(ticket_, scope, crowding, Clock::now()); });
}

void Admission::settle(const admission::Usage& usage, admission::Ending ending) {
  if (state_ != State::sent && state_ != State::admitted) return;
  state_ = State::settled;
  gate_->with([&](admission::Scheduler& scheduler) { scheduler.settle(ticket_, usage, ending, Clock::now()); });
}

AdmissionGate::AdmissionGate()
    : scheduler_({}, Clock::now()), rng_(std::random_device{}()), timer_([this] { run_timer(); }) {}

AdmissionGate::~AdmissionGate() {
  stop();
}

void AdmissionGate::stop() {
  {
    const std::unique_lock lock(mutex_);
    stopping_ = true;
    for (std::shared_ptr<Admission::Wait>& each : waits_) each.reset();
  }
  changed_.notify_all();
  if (timer_.joinable()) timer_.join();
}

void AdmissionGate::reconfigure(const Settings& settings) {
  admission::Limits limits = admission_limits(settings, Clock::now(), std::chrono::system_clock::now());
  with([&](admission::Scheduler& scheduler) { scheduler.reconfigure(std::move(limits), Clock::now()); });
}

Admission AdmissionGate::enter(net::Worker& worker, net::Bell bell, const Owner& owner,
                               admission::Submission submission) {
  Admission admission;
  admission.gate_ = this;
  const net::Instant now = Clock::now();
  auto answer = scheduler_.submit(std::move(submission), now);
  if (const auto* rejection = std::get_if<admission::Rejection>(&answer)) {
    admission.state_ = Admission::State::rejected;
    admission.rejection_ = *rejection;
    return admission;
  }
  admission.ticket_ = std::get<admission::Ticket>(answer);
  if (waits_.size() <= admission.ticket_.index) waits_.resize(admission.ticket_.index + 1);
  // Most need not wait, and those need nothing to wait with.
  AtOnce at_once{admission.ticket_.index, false, std::nullopt};
  pump(now, &at_once);
  if (!at_once.decided) {
    const auto wait = std::make_shared<Admission::Wait>();
    wait->worker = &worker;
    wait->bell = bell;
    wait->client = owner.client;
    wait->request_id = owner.request_id;
    wait->shown = owner.shown;
    wait->ticket = admission.ticket_;
    waits_[admission.ticket_.index] = wait;
    admission.wait_ = wait;
    admission.state_ = Admission::State::waiting;
  } else if (at_once.rejection) {
    admission.state_ = Admission::State::rejected;
    admission.rejection_ = *at_once.rejection;
  } else {
    admission.state_ = Admission::State::admitted;
  }
  return admission;
}

void AdmissionGate::assume_spent(Duration time) {
  with([&](admission::Scheduler& scheduler) {
    const auto now = Clock::now();
    scheduler.assume_spent(now + time, now);
  });
}

void AdmissionGate::observe(const admission::UpstreamReport& report) {
  const std::unique_lock lock(mutex_);
  if (report.afterwards != admission::UpstreamReport::Afterwards::all) probing_ = true;
  scheduler_.observe(report, Clock::now(), rng_);
  pump();
}

bool AdmissionGate::give_up(const Owner& owner) {
  const std::unique_lock lock(mutex_);
  bool any = false;
  for (std::shared_ptr<Admission::Wait>& slot : waits_) {
    if (!slot || slot->request_id != owner.request_id || slot->client != owner.client) continue;
    const std::shared_ptr<Admission::Wait> wait = std::move(slot);
    scheduler_.withdraw(wait->ticket, Clock::now());
    wait->given_up = any = true;
    decide(wait);
  }
  if (any) pump();
  return any;
}

void AdmissionGate::each_waiting(
    std::string_view client, std::size_t at_most,
    const std::function<void(admission::Scheduler&, const std::string&, const admission::WaitingView&)>& each) {
  const std::unique_lock lock(mutex_);
  for (const std::shared_ptr<Admission::Wait>& wait : waits_) {
    if (at_most == 0) return;
    if (!wait || wait->client != client) continue;
    const auto place = scheduler_.place_of(wait->ticket, Clock::now());
    if (!place) continue;
    each(scheduler_, wait->request_id, *place);
    --at_most;
  }
}

Owner AdmissionGate::owner_of(admission::Ticket ticket) const {
  const Admission::Wait* wait = ticket.index < waits_.size() ? waits_[ticket.index].get() : nullptr;
  return wait ? Owner{wait->client, wait->request_id, wait->shown} : Owner{};
}

void AdmissionGate::pump(net::Instant now, AtOnce* at_once) {
  if (stopping_) return;
  for (const admission::Decision& decision : scheduler_.dispatch(now)) {
    if (at_once && decision.ticket.index == at_once->index) {
      at_once->decided = true;
      at_once->rejection = decision.rejection;
      continue;
    }
    const std::shared_ptr<Admission::Wait> wait = std::move(waits_[decision.ticket.index]);
    wait->rejection = decision.rejection;
    decide(wait);
  }
  arm();
}

void AdmissionGate::decide(const std::shared_ptr<Admission::Wait>& wait) {
  assert(wait && !wait->decided);
  wait->decided = true;
  wait->worker->post([wait] { wait->bell.ring(); });
}

void AdmissionGate::arm() {
  const auto next = scheduler_.next_wakeup().value_or(net::Instant::max());
  const bool sooner = next < armed_;
  armed_ = next;
  if (sooner) changed_.notify_all();
}

void AdmissionGate::run_timer() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (armed_ == net::Instant::max()) {
      changed_.wait(lock);
    } else if (changed_.wait_until(lock, armed_) == std::cv_status::timeout || Clock::now() >= armed_) {
      armed_ = net::Instant::max();
      pump();
    }
  }
}

}  // namespace weir::proxy
