#include "proxy/turn.hpp"

#include <algorithm>

#include "observe/text_writer.hpp"
#include "proxy/admission_refusal.hpp"
#include "proxy/heartbeat.hpp"

namespace weir::proxy {

using admission::Meter;
using net::Clock;

namespace {

using LimitedMeter = std::optional<admission::MeterView>;

// The one of which the smaller part is left.
LimitedMeter fuller(LimitedMeter a, LimitedMeter b) {
  if (!a || !b) return a ? a : b;
  const auto part_left = [](const admission::MeterView& view) {
    const auto left = static_cast<double>(*view.limit - view.used - view.reserved);
    return left / static_cast<double>(std::max<admission::Tokens>(1, *view.limit));
  };
  return part_left(*b) < part_left(*a) ? b : a;
}

}  // namespace

admission::Submission Turn::submission(const Request& request, const BudgetIds& ids) {
  admission::Submission submission;
  submission.key = ids.key;
  submission.team = ids.team;
  submission.account = ids.account;
  submission.model = ids.model;
  submission.ramps = request.ramps;
  submission.sub_lane = request.sub_lane;
  submission.priority = request.priority;
  submission.own = request.own;
  submission.upstream = request.upstream;
  submission.pace = request.pace;
  submission.bytes = request.bytes;
  submission.arrived = request.arrived;
  return submission;
}

const BudgetIds& Turn::ids(admission::Scheduler& scheduler) {
  if (!ids_) ids_ = budget_ids(request_.names, scheduler);
  return *ids_;
}

net::Instant Turn::predicted_start(const Request& request) {
  return session_.context().shared.gate.quietly([&](admission::Scheduler& scheduler) {
    return scheduler.predicted_start(submission(request, budget_ids(request.names, scheduler)), Clock::now());
  });
}

net::Instant Turn::starts_at() const {
  const auto place = admission_.place();
  return place ? place->starts_at : Clock::now();
}

net::Task<MaybeRefusal> Turn::take(net::Instant not_before, net::Instant look_up, Heartbeat& beat) {
  const net::Instant began = Clock::now();
  const auto count_wait = [&] { queued_ += std::chrono::duration_cast<Duration>(Clock::now() - began); };
  if (!waiting()) {
    session_.signal().clear(Session::wake);
    if (had_place_) ids_.reset();  // the budget of a model that only calls name may be another one by now
    admission_ = session_.context().shared.gate.submit(
        session_.context().worker, session_.bell(Session::wake), request_.owner, [&](admission::Scheduler& scheduler) {
          admission::Submission made = submission(request_, ids(scheduler));
          made.not_before = not_before;
          made.again = had_place_;
          // With no time to wait it may still go at once, however long it took to come here.
          made.deadline = std::max(deadline(), Clock::now() + std::chrono::milliseconds(1));
          return made;
        });
    had_place_ |= admission_.state() != Admission::State::rejected;
  }
  while (admission_.look() == Admission::State::waiting && Clock::now() < look_up) {
    session_.arm(std::min(beat.next(), look_up));
    const net::Signal::Bits rang = co_await session_.wait(Session::wake | Session::time | Session::stop);
    if (session_.gone()) {
      count_wait();
      admission_ = {};
      co_return std::nullopt;
    }
    if ((rang & Session::stop) != 0) {
      // Nothing was sent: the caller can go to another instance at once.
      count_wait();
      admission_ = {};
      co_return shutting_down();
    }
    if ((rang & Session::time) != 0) beat.while_queued(Clock::now(), admission_.place());
  }
  session_.disarm();
  count_wait();
  if (admission_.state() == Admission::State::given_up) co_return given_up_by_owner();
  if (admission_.state() == Admission::State::rejected) co_return refusal(Clock::now());
  co_return std::nullopt;
}

void Turn::progress(std::uint64_t output_tokens) {
  if (output_tokens <= told_) return;
  admission_.progress(output_tokens);
  session_.context().shared.outputs.progress(request_.owner.client, request_.output_model, told_, output_tokens);
  told_ = output_tokens;
}

void Turn::leave_unanswered() {
  const Duration running = std::chrono::floor<Duration>(Clock::now() - sent_at_ - request_.pace.first_after);
  const admission::Tokens expected = std::max(request_.own.later_output, request_.upstream.later_output);
  admission::Usage used;
  used.known = true;
  used.input = input();
  used.output = std::clamp<admission::Tokens>(running.count() * request_.pace.per_second / 1000, 0, expected);
  admission_.settle(used, admission::Ending::cut_off);
}

void Turn::measured(std::uint64_t input_tokens, std::uint64_t cached_tokens) {
  if (measured_) return;
  measured_ = true;
  admission_.measured(admission::tokens_of(input_tokens), admission::tokens_of(cached_tokens));
}

void Turn::pause(net::Instant until, bool of_model, Afterwards afterwards) {
  AdmissionGate& gate = session_.context().shared.gate;
  admission::UpstreamReport report;
  report.budget = gate.quietly([&](admission::Scheduler& scheduler) {
    const BudgetIds& budgets = ids(scheduler);
    return of_model && budgets.model != admission::no_budget ? budgets.model : budgets.account;
  });
  report.pause_until = until;
  report.afterwards = afterwards;
  gate.observe(report);
}

// By the upstream, for the account or its model.
Duration Turn::asked_pause(net::Instant now) const {
  Duration asked{0};
  for (const std::string* name : {&request_.names.account, &request_.names.model}) {
    const auto state = session_.context().shared.health.state(*name);
    if (state && now < state->asked_until) asked = std::max(asked, state->asked);
  }
  return asked;
}

Refusal Turn::refusal(net::Instant now) {
  const admission::Rejection& rejection = admission_.rejection();
  // What fills the queue may wait for another account.
  const Duration asked = rejection.reason == admission::Refusal::deadline ? asked_pause(now) : Duration(0);
  return session_.context().shared.gate.quietly([&](admission::Scheduler& scheduler) {
    AdmissionFacts facts;
    if (rejection.budget != admission::no_budget) {
      facts.budget = &scheduler.limits_of(rejection.budget);
      const admission::MeterView view = scheduler.view(rejection.budget, rejection.meter, now);
      facts.taken = view.used + view.reserved;
      const bool own = facts.budget->scope == admission::Scope::key || facts.budget->scope == admission::Scope::team;
      const admission::Cost& cost = own ? request_.own : request_.upstream;
      const bool part = rejection.meter == Meter::input || rejection.meter == Meter::output;
      if (rejection.room_at <= scheduler.left_alone_until(rejection.budget)) facts.pause = UpstreamPause{asked};
      // Nobody goes into debt for what is charged later.
      const admission::Tokens later_input = rejection.most > 0 ? 0 : cost.later_input;
      const admission::Tokens later_output = rejection.most > 0 || !cost.lump ? 0 : cost.later_output;
      facts.asked = !part                             ? cost.tokens + later_input + later_output
                    : rejection.meter == Meter::input ? cost.input + later_input
                                                      : cost.output + later_output;
    }
    facts.wait_bound = request_.wait_bound;
    facts.bounded_by = request_.bounded_by;
    facts.waiting = scheduler.queued();
    return refuse_admission(rejection, facts, now);
  });
}

std::string Turn::header_lines(Duration elsewhere) {
  const std::string own = own_limit_lines();
  has_own_limits_ = !own.empty();
  observe::TextWriter lines(384);  // all of them
  lines << "x-weir-queue-ms: " << static_cast<std::uint64_t>((queued_ + elsewhere).count()) << "\r\n";
  if (const std::uint64_t tokens = reserved(); tokens > 0) lines << "x-weir-reserved-tokens: " << tokens << "\r\n";
  lines << own;
  return lines.take();
}

std::string Turn::own_limit_lines() {
  LimitedMeter requests, tokens;
  session_.context().shared.gate.quietly([&](admission::Scheduler& scheduler) {
    const auto now = Clock::now();
    const BudgetIds& budgets = ids(scheduler);
    const admission::BudgetId brought = request_.names.account_like.empty() ? admission::no_budget : budgets.account;
    // Of the first that has a limit.
    for (const admission::BudgetId budget : {budgets.key, budgets.team, brought}) {
      if (budget == admission::no_budget) continue;
      const auto limited = [&](Meter meter) -> LimitedMeter {
        const admission::MeterView view = scheduler.view(budget, meter, now);
        return view.limit ? LimitedMeter(view) : std::nullopt;
      };
      if (!requests) requests = limited(Meter::requests);
      if (!requests) requests = limited(Meter::requests_day);
      if (!tokens) tokens = limited(Meter::tokens);
      if (!tokens) tokens = fuller(limited(Meter::input), limited(Meter::output));
      if (!tokens) tokens = limited(Meter::tokens_day);
    }
  });
  return rate_limit_lines(requests, tokens);
}

}  // namespace weir::proxy
