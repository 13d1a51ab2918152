// Who may send now. Requests wait here until requests, tokens and concurrency of their key, their team, the upstream
// account and its model all have room, in one decision, fair by tokens; what was used is settled here too.
//
// One for the process, not thread-safe (the gate locks). Pure: never looks at a clock, does no I/O, has no globals; the
// same calls with the same instants and seed give the same decisions. docs/shaping.md explains the algorithm.
//
// Order: lanes of an account stand in fair order (fair_queue.hpp). The first one is asked first, and if the account has
// no room for it, nobody overtakes it: what would starve it waits. A lane that its key, its team or its model hold up
// is parked there, so that others may pass; there too the first waits for its room and is not overtaken.
//
// Told in the order of a call's life: scheduler.cpp has waiting, _dispatch deciding, _running what was admitted,
// _changes what comes from outside, _views what others see, _verify the recount.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "admission/breaker.hpp"
#include "admission/budget.hpp"
#include "admission/fair_queue.hpp"

namespace weir::admission {

enum class Oversize : std::uint8_t {
  alone,   // a request larger than a whole budget runs when nothing else counts, and leaves a debt
  refuse,  // it is refused at once
};

struct Limits {
  std::vector<BudgetLimits> budgets;             // those not named are unlimited
  std::size_t requests_max = 10'000;             // waiting; who can start at once needs no place
  std::size_t bytes_max = 256u << 20;            // of their bodies
  Duration age_step = std::chrono::seconds(30);  // waiting that long lifts a request by one class
  Oversize oversize = Oversize::alone;           // refused all the same: what would be in debt for too long
  LearnRules learn;
};

struct Submission {
  BudgetId key = no_budget, team = no_budget, account = no_budget, model = no_budget;
  std::string sub_lane;
  Priority priority = Priority::interactive;
  Cost own;       // counts against key and team
  Cost upstream;  // counts against account and model
  OutputPace pace;
  std::size_t bytes = 0;
  Instant arrived{};  // of the first try: a retry keeps its place
  Instant not_before = Instant::min();
  Instant deadline = never;  // nothing is sent at or after it
  bool again = false;        // it had a place before, and needs no new one
  bool ramps = false;        // nothing is known of the limits there: calls at once are ramped up
};

enum class Refusal : std::uint8_t { queue_full, bytes_full, deadline, day, oversize };

struct Rejection {
  Refusal reason = Refusal::deadline;
  // What there was no room in. Of a full queue: what the first of those who wait waits for; no_budget: another's.
  BudgetId budget = no_budget;
  Meter meter = Meter::requests;
  // Predicted start had it waited, or of the first of those who fill the queue; `never`: unknown.
  Instant room_at = never;
  Tokens requests_ahead = 0;
  Hold by = Hold::window;  // what of the meter's limit
  Tokens needs = 0;        // what it is expected to take of the meter; 0: not known
  Tokens most = 0;         // of one that would pay for too long: what it could pay for in that time
};

struct Decision {
  Ticket ticket;
  std::optional<Rejection> rejection;  // nullopt: admitted
};

// When an upstream is to be left alone.
struct UpstreamReport {
  BudgetId budget = no_budget;
  std::optional<Instant> pause_until;  // a 429 or 503 holds up the whole budget
  // Who may go there afterwards. Too many calls at once bring the cap down, and nobody needs to look: as long as the
  // upstream takes some in. One that turns away everything is asked by one call first.
  enum class Afterwards : std::uint8_t { all, one_first, all_if_it_serves } afterwards = Afterwards::all;
  Duration jitter{0};  // added at random, so that not all come back at once
};

// Why a call was turned away, where its calls at once are the reason.
struct Crowding {
  enum class Kind : std::uint8_t { too_many, too_steep } kind = Kind::too_many;
  std::optional<Tokens> allowed;  // too_many: the number it said
};

// What is held of an upstream beyond its configuration.
struct LearnedView {
  Meter meter = Meter::requests;
  LearnedLimit learned;
};

// For those who look on.
struct WaitingView {
  Ticket ticket;
  BudgetId key = no_budget, account = no_budget, model = no_budget;
  std::string sub_lane;
  Priority priority = Priority::interactive;
  Tokens position = 0;  // 1: next
  Instant starts_at{};  // predicted
  BudgetId blocked_on = no_budget;
  Meter meter = Meter::requests;
  Instant arrived{};
  std::size_t bytes = 0;
  Hold by = Hold::window;  // as in a Rejection
  Tokens needs = 0;
};

// What has to outlive the process.
struct Snapshot {
  struct Entry {
    Scope scope = Scope::key;
    std::string name;
    std::vector<Budget::Charge> charges;
    std::string like = {};  // the name of the budget it is like; empty: it stands on its own
  };
  std::vector<Entry> budgets;
};

class Scheduler {
 public:
  explicit Scheduler(Limits limits, Instant now);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The budget of this name; made, unlimited, if there is none. Ids stay valid for ever, but for those of models that
  // only calls name.
  BudgetId budget(Scope scope, std::string_view name);
  // The budget of this name with the limits of `like`, also when these change, and books of its own. There are
  // `likes_max` of them at most, since callers can invent names: whoever comes later shares `like` itself.
  BudgetId budget_like(std::string_view name, BudgetId like);
  static constexpr std::size_t likes_max = 1'000;
  // The budget of a model that a call names and nobody configured; no_budget: there are too many, and clients may
  // invent them. The one that was asked for longest ago makes room for another model, with all that was learned of it,
  // if it is idle and no call names it: an id is to be asked for at every submission, and good for as long as the call
  // counts in a window. What is learned of it is held over the window of its account, and with its pacing.
  BudgetId budget_of_model(std::string_view name, BudgetId account = no_budget);
  static constexpr std::size_t models_max = 256;

  std::variant<Ticket, Rejection> submit(Submission submission, Instant now);
  // Admitted in fair order, and expired: some at a time. Nothing else admits. The list is good until the next dispatch.
  const std::vector<Decision>& dispatch(Instant now);
  // Of one dispatch. It bounds how long others wait for a lock; there is more as long as next_wakeup() is not later.
  static constexpr std::size_t decisions_max = 64;
  // When dispatch() next has work; nullopt: only an event helps. Current after dispatch().
  std::optional<Instant> next_wakeup() const;

  // Left before anything was sent: costs nothing. REQUIRES: waiting or admitted.
  void withdraw(Ticket ticket, Instant now);
  // REQUIRES: admitted. The charge counts from admission on and leaves one window and guard after this instant.
  void sent(Ticket ticket, Instant now);
  // It did not get there after all, and is to be sent again: as it was before sent(). REQUIRES: sent, and nothing has
  // come back.
  void unsent(Ticket ticket, Instant now);
  // The upstream has begun to answer, and not by turning it away. REQUIRES: sent.
  void taken_in(Ticket ticket, Instant now);
  // So many tokens of output in all have come. REQUIRES: sent.
  void progress(Ticket ticket, Tokens produced, Instant now);
  // The upstream has said how much input it counts, before the end: what was charged for it by an estimate is
  // corrected. REQUIRES: sent.
  void measured(Ticket ticket, Tokens input, Tokens cached, Instant now);
  // The end. REQUIRES: admitted or sent; admitted only is a withdrawal.
  void settle(Ticket ticket, const Usage& usage, Ending ending, Instant now);

  void observe(const UpstreamReport& report, Instant now, Rng& rng);
  // What the upstream of a call said of its limits, of its model or of the account (a call without a model: of that).
  // REQUIRES: sent.
  void hear(Ticket ticket, Scope scope, const SaidOfMeter& said, Instant now);
  // It turned the call away. REQUIRES: sent, and not yet settled.
  void turned_away(Ticket ticket, Scope scope, const Crowding& crowding, Instant now);
  // Limits change; what is spent stays spent, and who waits keeps their place.
  void reconfigure(Limits limits, Instant now);
  // A start without knowledge: behaves as if the accounts' limits were used up until then.
  void assume_spent(Instant until, Instant now);

  Snapshot snapshot(Instant now);
  void restore(const Snapshot& snapshot, Duration age, Instant now);

  // Views. `at_most` bounds the work.
  std::vector<WaitingView> waiting(Instant now, std::size_t at_most);
  std::optional<WaitingView> place_of(Ticket ticket, Instant now);
  MeterView view(BudgetId budget, Meter meter, Instant now);
  std::vector<LearnedView> learned(BudgetId budget, Instant now) const;
  bool all_breakers_closed() const;
  const Breaker& breaker(BudgetId budget) const { return budgets_[budget].breaker; }
  // By observe(); an instant that has passed: it is not left alone.
  Instant left_alone_until(BudgetId budget) const;
  // When a submission could start, were it made now and stood behind all others of its account.
  Instant predicted_start(const Submission& submission, Instant now);
  const BudgetLimits& limits_of(BudgetId budget) const;
  std::size_t budget_count() const { return budgets_.size(); }
  std::size_t queued() const { return queued_; }
  std::size_t queued_bytes() const { return queued_bytes_; }
  std::size_t running() const { return running_; }

  // Counts everything again and asserts that the books agree; slow, for tests. Returns what is wrong, "" for nothing.
  std::string verify(Instant now);

 private:
  // A request from submission to settlement.
  struct Call : Waiting {
    enum class State : std::uint8_t { free, timed, queued, admitted, sent } state = State::free;
    Submission submission;
    Ticket ticket;
    SubLane* served_by = nullptr;  // admitted or sent
    Share* charged = nullptr;      // the same: whose turn it took
    Instant admitted_at{}, sent_at{}, first_output_at{};
    bool taken_in = false;
    bool runs() const { return state == State::admitted || state == State::sent; }
    Tokens produced = 0;
    Expectation own_plan, upstream_plan;
  };
  // A call's places in the heaps of instants, which write them when others move: apart from the calls, closely packed.
  struct Timed {
    Call* call = nullptr;
    std::uint32_t deadline_place = not_in_heap, start_place = not_in_heap;
  };
  // Lanes of one account that wait for room in a budget of a key, a team or a model.
  struct Parking {
    BudgetId account = no_budget;
    LaneOrder order;
    Lane* out = nullptr;  // stands in the account's order again, to be asked; those after it wait for what comes of it
  };
  // A budget, and who waits for it.
  struct Place {
    Place(BudgetId i, BudgetLimits limits);
    BudgetId id;
    BudgetId like = no_budget;        // made before it
    BudgetId of_account = no_budget;  // of a model that only calls name
    Budget budget;
    std::deque<Parking> parkings;                  // of a key, team or model, by account
    std::unique_ptr<FairQueue> queue;              // of an account
    Tokens own_guessed = 0, upstream_guessed = 0;  // of the tokens that wait in it
    Instant paused_until = Instant::min();
    Instant served_at = Instant::min(), turned_away_at = Instant::min();  // last
    Breaker breaker;
    bool invented = false;        // a model that only calls name
    std::uint64_t asked_for = 0;  // of such a one: when last, among all of them
    std::uint32_t calls = 0;      // of a model: of those that wait and run
    Instant wake = never;
    std::uint32_t wake_place = not_in_heap;
    bool marked = false;
  };
  struct Obstacle {
    BudgetId budget = no_budget;
    Blocked blocked;
    bool behind_others = false;  // not asked: somebody before it waits there
  };
  struct DeadlineOf {
    Instant operator()(const Timed& timed) const { return timed.call->submission.deadline; }
  };
  struct StartOf {
    Instant operator()(const Timed& timed) const { return timed.call->submission.not_before; }
  };
  struct WakeOf {
    Instant operator()(const Place& place) const { return place.wake; }
  };

  using Names = std::unordered_map<std::string, BudgetId, NameHash, std::equal_to<>>;

  Names& names_of(Scope scope) { return names_[static_cast<std::size_t>(scope)]; }
  void keep(Place& model);
  Place* idlest_model();
  void begin_anew(Place& model, std::string_view name);
  Call& make_call();
  void free_call(Call& call);
  Call& call_of(Ticket ticket);
  Timed& timed(const Call& call) { return timed_[call.ticket.index]; }
  static Call& head_of(const Lane& lane) { return static_cast<Call&>(lane.ready.top()->calls.first()); }
  // Calls each(place, cost, expectation) for the budgets of a call, its own first.
  template <typename AnyCall, typename Each>
  void each_budget(AnyCall& call, Each each);
  Place& place(BudgetId id) { return *places_[id]; }
  static bool counts_upstream(const Place& place) {
    const Scope scope = place.budget.limits().scope;
    return scope == Scope::account || scope == Scope::model;
  }
  BudgetLimits limits_without_own(const Place& place) const;
  FairQueue& queue_of(const Call& call) { return *place(call.submission.account).queue; }

  std::optional<Refusal> no_place(const Submission& submission) const;
  bool could_start(Call& call, Instant now);
  Rejection next_place(Call& newcomer, Instant now);
  void enqueue(Call& call);
  void leave_queue(Call& call);
  void leave_heaps(Call& call);
  void count_guessed(const Call& call, int sign);
  void expire(Instant now);
  void refuse(Call& call, const Rejection& rejection);
  std::optional<Rejection> day_over(const Call& call, Instant now);
  bool serve(Place& account, Instant now);
  std::optional<Obstacle> obstacle(const Lane& lane, Call& call, Instant now);
  std::optional<Blocked> blocked(Place& place, const Call& call, const Cost& cost, const Expectation& later,
                                 Instant now);
  bool waits_before(Place& place, const Lane& lane);
  void admit(Place& account, Lane& lane, Call& call, Instant now);
  void park(Place& account, Lane& lane, const Obstacle& obstacle);
  Parking& parking_of(Place& place, const Lane& lane);
  Lane* claimant(const Parking& parking) const;
  void release(Place& from, Instant now);
  void let_out(Place& from, Parking& parking, Lane& lane);
  Place& next_account();
  void decided(Lane& lane);
  void stand(Lane& lane);
  void moved(const Share& share);
  void caught_up(Lane& lane);
  void settle_turn(Call& call, Tokens difference);
  void wake_at(Place& place, Instant when);
  void mark(Place& place);
  void mark_budgets_of(Call& call);
  void mark_with_accounts(Place& place);
  static void believe_use(Budget& budget, const SaidOfMeter& said, Duration age, Instant now);
  Place& upstream_place(const Submission& submission, Scope scope);
  void expire_learned(Instant now);
  void change_limits(const std::function<void()>& change, Instant now);
  void forecast(Call& call, Instant now);
  Spread& spread_of(const Call& call, const Expectation& expectation) {
    return &expectation == &call.own_plan ? own_spread_ : upstream_spread_;
  }
  void plan(Call& call, Instant now);
  void unplan(Call& call);
  void give_up(Call& call, Instant now);
  void came_to_nothing(Call& call);
  void open_or_pause(Place& at, const UpstreamReport& report, Instant until, Instant now);
  Rejection predict(const Call& call, const FairQueue::Ahead& ahead, Instant now, Basis basis = Basis::guesses);
  Rejection predict(const Call& call, Instant now, Basis basis = Basis::guesses) {
    return predict(call, queue_of(call).ahead_of(call), now, basis);
  }
  WaitingView view_of(const Call& call, Instant now);

  Limits limits_;
  Instant now_{};
  std::vector<std::unique_ptr<Call>> calls_;  // by the index of the ticket
  std::deque<Timed> timed_;                   // the same
  std::vector<std::uint32_t> free_calls_;
  std::deque<Place> budgets_;
  std::vector<Place*> places_;            // of budgets_, by id
  std::array<Names, scope_count> names_;  // by scope
  std::size_t likes_ = 0, invented_ = 0;
  std::uint64_t asked_for_ = 0;
  Instant spent_until_ = Instant::min();
  std::vector<Place*> accounts_, models_;
  std::vector<Place*> marked_, marked_accounts_;      // have news since the last dispatch
  std::vector<Decision> decisions_;                   // of the last dispatch
  Spread own_spread_, upstream_spread_;               // of what was forecast or planned last
  std::vector<std::pair<Standing, Parking*>> asked_;  // of release(), kept for its memory
  IndexedHeap<Timed, &Timed::deadline_place, DeadlineOf> deadlines_;
  IndexedHeap<Timed, &Timed::start_place, StartOf> starts_;
  IndexedHeap<Place, &Place::wake_place, WakeOf> wakes_;
  IndexedHeap<Lane, &Lane::age_place, AgeOfLane> ages_;  // lanes that can become more important
  Instant learned_expires_ = never;                      // the first of what was learned
  std::uint64_t sequence_ = 0;
  std::size_t queued_ = 0;
  std::size_t queued_bytes_ = 0;
  std::size_t running_ = 0;
};

template <typename AnyCall, typename Each>
void Scheduler::each_budget(AnyCall& call, Each each) {
  const Submission& s = call.submission;
  if (s.key != no_budget) each(place(s.key), s.own, call.own_plan);
  if (s.team != no_budget) each(place(s.team), s.own, call.own_plan);
  if (s.model != no_budget) each(place(s.model), s.upstream, call.upstream_plan);
  if (s.account != no_budget) each(place(s.account), s.upstream, call.upstream_plan);
}

}  // namespace weir::admission
