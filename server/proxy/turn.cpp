#include "proxy/turn.hpp"

#include <algorithm>

#include "proxy/admission_refusal.hpp"
#include "proxy/heartbeat.hpp"

namespace weir::proxy {

using admission::Meter;
using admission::Scope;
using net::Clock;

admission::Submission Turn::submission(admission::Scheduler& scheduler, net::Instant not_before) const {
  admission::Submission submission;
  submission.key = scheduler.budget(Scope::key, request_.names.key);
  if (!request_.names.team.empty()) submission.team = scheduler.budget(Scope::team, request_.names.team);
  submission.account = scheduler.budget(Scope::account, request_.names.account);
  if (!request_.names.model.empty()) submission.model = scheduler.budget(Scope::model, request_.names.model);
  submission.sub_lane = request_.sub_lane;
  submission.priority = request_.priority;
  submission.own = request_.own;
  submission.upstream = request_.upstream;
  submission.pace = request_.pace;
  submission.bytes = request_.bytes;
  submission.arrived = request_.arrived;
  submission.not_before = not_before;
  // With no time to wait it may still go at once.
  submission.deadline = std::max(deadline(), Clock::now() + std::chrono::milliseconds(1));
  return submission;
}

net::Task<std::optional<Refusal>> Turn::take(net::Instant not_before, Heartbeat& beat) {
  const net::Instant began = Clock::now();
  session_.signal().clear(Session::wake);
  admission_ = session_.context().shared.gate.submit(
      session_.context().worker, session_.bell(Session::wake), request_.owner,
      [&](admission::Scheduler& scheduler) { return submission(scheduler, not_before); });
  while (admission_.look() == Admission::State::waiting) {
    session_.arm(beat.next());
    session_.client().wire().wait_readable(session_.bell(Session::client_in));
    const net::Signal::Bits rang = co_await session_.wait(Session::wake | Session::time | Session::stop);
    if (session_.gone()) {
      admission_ = {};
      co_return std::nullopt;
    }
    if ((rang & Session::stop) != 0) {
      // Nothing was sent: the caller can go to another instance at once.
      admission_ = {};
      co_return shutting_down();
    }
    if ((rang & Session::time) != 0) beat.while_queued(Clock::now(), admission_.place());
  }
  session_.disarm();
  queued_ += std::chrono::duration_cast<Duration>(Clock::now() - began);
  if (admission_.state() == Admission::State::given_up) co_return given_up_by_owner();
  if (admission_.state() == Admission::State::rejected) co_return refusal(Clock::now());
  co_return std::nullopt;
}

void Turn::pause(net::Instant until, bool of_model) {
  AdmissionGate& gate = session_.context().shared.gate;
  admission::UpstreamReport report;
  report.budget = gate.with([&](admission::Scheduler& scheduler) {
    const bool model = of_model && !request_.names.model.empty();
    return model ? scheduler.budget(Scope::model, request_.names.model)
                 : scheduler.budget(Scope::account, request_.names.account);
  });
  report.pause_until = until;
  report.probe = true;
  gate.observe(report);
}

Refusal Turn::refusal(net::Instant now) {
  const admission::Rejection& rejection = admission_.rejection();
  return session_.context().shared.gate.with([&](admission::Scheduler& scheduler) {
    AdmissionFacts facts;
    if (rejection.budget != admission::no_budget) {
      facts.budget = &scheduler.limits_of(rejection.budget);
      const admission::MeterView view = scheduler.view(rejection.budget, rejection.meter, now);
      facts.taken = view.used + view.reserved;
    }
    facts.wait_bound = request_.wait_bound;
    facts.waiting = scheduler.queued();
    return refuse_admission(rejection, facts, now);
  });
}

std::string Turn::header_lines() {
  std::string lines = "x-weir-queue-ms: " + std::to_string(queued_.count()) + "\r\n";
  if (const std::uint64_t tokens = reserved(); tokens > 0)
    lines += "x-weir-reserved-tokens: " + std::to_string(tokens) + "\r\n";
  // The caller's own budget: its key's, else its team's.
  lines += session_.context().shared.gate.with([&](admission::Scheduler& scheduler) {
    const auto now = Clock::now();
    const auto view = [&](Meter meter) {
      admission::MeterView seen = scheduler.view(scheduler.budget(Scope::key, request_.names.key), meter, now);
      if (!seen.limit && !request_.names.team.empty()) {
        seen = scheduler.view(scheduler.budget(Scope::team, request_.names.team), meter, now);
      }
      return seen;
    };
    return rate_limit_lines(view(Meter::requests), view(Meter::tokens));
  });
  has_own_limits_ = lines.find("x-ratelimit-") != std::string::npos;
  return lines;
}

}  // namespace weir::proxy
