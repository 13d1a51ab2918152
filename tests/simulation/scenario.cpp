#include "simulation/scenario.hpp"

#include <cmath>
#include <utility>

namespace weir::simulation {
namespace {

using admission::BudgetLimits;
using admission::Meter;
using admission::Scope;
using simulator::Charge;
using simulator::Limiter;
using std::chrono::milliseconds;

constexpr std::size_t clients = 1000;

std::uint64_t up_to(std::uint64_t most, Rng& rng) {
  return rng() % (most + 1);
}
double between(double least, double most, Rng& rng) {
  return least + (most - least) * uniform(rng);
}

void limit(BudgetLimits& budget, Meter meter, double tokens) {
  budget.limits[static_cast<std::size_t>(meter)] = std::max<Tokens>(1, static_cast<Tokens>(tokens));
}

// What a request is like here, before its sizes are drawn.
struct Shape {
  Mix mix;
  double cap_factor = 2;  // the caps that are sent are so much larger than the answers
  double choices = 0;     // part of the calls with n > 1
  double estimate_error = 0;
  std::uint32_t keys = 1, teams = 1, models = 1, lanes = 1;
  bool priorities = false;
  bool paced = false;        // the provider limits slices of the window that weir is told
  bool oversize = false;     // some keys may use less than a large call in a window
  Instant midnight = never;  // days are limited too
};

// The window of a paced account is so many of the provider's.
constexpr int slices = 10;

Call draw(const Shape& shape, std::uint32_t key, std::uint32_t lane, Rng& rng) {
  Call call = sample_call(shape.mix, rng);
  call.key = key;
  call.team = key % shape.teams;
  call.model = static_cast<std::uint32_t>(up_to(shape.models - 1, rng));
  call.lane = lane;
  if (shape.priorities) call.priority = static_cast<std::uint8_t>(up_to(2, rng));
  if (chance(shape.choices, rng)) call.choices = 2 + static_cast<Tokens>(up_to(2, rng));
  const double cap = double(call.output) / double(call.choices) * (1 + uniform(rng) * (shape.cap_factor - 1));
  call.cap = std::max<Tokens>(1, static_cast<Tokens>(std::ceil(cap)));
  if (shape.estimate_error > 0) {
    const double factor = std::exp((2 * uniform(rng) - 1) * shape.estimate_error);
    call.estimate = std::max<Tokens>(1, static_cast<Tokens>(double(call.input) * factor));
  }
  return call;
}

double expected_charge(const Shape& shape, Charge charge) {
  // The mean over many draws: the limits are set so that the demand takes several windows.
  Rng rng(7);
  double sum = 0;
  constexpr int draws = 2000;
  for (int i = 0; i < draws; ++i) {
    const Call call = draw(shape, 0, 0, rng);
    const Tokens capped = call.cap * call.choices;
    sum += charge == Charge::max_or_estimate     ? double(std::max(capped, call.input))
           : charge == Charge::estimate_plus_max ? double(capped + call.input)
                                                 : double(call.input + call.output);
  }
  return sum / draws;
}

void add_outages(Scenario& scenario, Duration lasts, Rng& rng) {
  const auto kind = [&] { return static_cast<Outage::Kind>(up_to(2, rng)); };
  const Instant begin = world_begins() + simulation::between(Duration::zero(), lasts, rng);
  auto& outages = scenario.provider.outages;
  switch (up_to(3, rng)) {
    case 0:  // all of it, for a while
      outages.push_back({kind(), begin, begin + lasts / 8, 1, chance(0.5, rng)});
      break;
    case 1:  // part of it, for longer
      outages.push_back({kind(), begin, begin + lasts / 3, between(0.05, 0.6, rng)});
      break;
    case 2: {  // on and off
      const Outage::Kind same = kind();
      const Duration period = lasts / 40;
      for (int i = 0; i < 12; ++i) outages.push_back({same, begin + i * period, begin + i * period + period / 2, 1});
      break;
    }
    default:
      break;
  }
}

admission::Limits make_limits(const Scenario& scenario, const Shape& shape, double tokens, Rng& rng) {
  const simulator::Options& options = scenario.provider.options;
  admission::Limits limits;
  limits.age_step = chance(0.5, rng) ? std::chrono::seconds(30) : std::chrono::seconds(2);
  if (chance(0.15, rng)) limits.requests_max = 300;
  BudgetLimits account;
  account.scope = Scope::account;
  account.name = account_budget;
  account.window = options.window;
  if (options.tpm > 0) limit(account, Meter::tokens, double(options.tpm));
  if (options.rpm > 0) limit(account, Meter::requests, double(options.rpm));
  if (options.concurrency > 0) limit(account, Meter::in_flight, double(options.concurrency));
  if (options.burst < 1 && options.tpm > 0) account.burst = static_cast<Tokens>(double(options.tpm) * options.burst);
  if (shape.paced) {
    account.pacing = std::exchange(account.window, options.window * slices);
    for (const Meter meter : {Meter::requests, Meter::tokens}) {
      if (auto& most = account.limits[static_cast<std::size_t>(meter)]) *most *= slices;
    }
  }
  limits.budgets.push_back(account);
  const auto own = [&](Scope scope, std::string name, double share) {
    BudgetLimits budget;
    budget.scope = scope;
    budget.name = std::move(name);
    budget.window = options.window;
    if (chance(0.4, rng)) limit(budget, Meter::tokens, tokens * share * between(0.3, 3, rng));
    if (chance(0.2, rng)) limit(budget, Meter::requests, 20 + 400 * share);
    if (chance(0.2, rng)) limit(budget, Meter::in_flight, 2 + 100 * share);
    budget.weight = 1 + static_cast<std::int64_t>(up_to(3, rng));
    if (shape.oversize && scope == Scope::key && chance(0.5, rng))
      limit(budget, Meter::tokens, double(shape.mix.huge_input) * between(0.05, 1, rng));
    if (shape.midnight != never && scope != Scope::model) {
      budget.day_resets = shape.midnight;
      if (chance(0.5, rng)) limit(budget, Meter::requests_day, 10 + double(clients) * share * between(0.3, 3, rng));
      if (chance(0.3, rng)) limit(budget, Meter::tokens_day, tokens * share * between(1, 6, rng));
    }
    limits.budgets.push_back(budget);
  };
  for (std::uint32_t i = 0; i < shape.keys; ++i) own(Scope::key, key_budget(i), 2.0 / shape.keys);
  for (std::uint32_t i = 0; i < shape.teams; ++i) own(Scope::team, team_budget(i), 1.5 / shape.teams);
  for (std::uint32_t i = 0; i < shape.models; ++i) own(Scope::model, model_budget(i), 1.5 / shape.models);
  return limits;
}

}  // namespace

Instant world_begins() {
  return Instant(std::chrono::hours(640));
}

Scenario make_scenario(const Kind& kind, std::uint64_t seed) {
  const std::uint64_t number =
      seed * 1000 + static_cast<std::uint64_t>(kind.limiter) * 10 + static_cast<std::uint64_t>(kind.charge);
  Rng rng(number);
  Rng more(~number);  // for what only some worlds have: the others do not change with it
  Scenario scenario;
  scenario.kind = kind;

  auto shape = std::make_shared<Shape>();
  shape->mix.input = {between(30, 800, rng), 0, 0};
  shape->mix.input.p99 = shape->mix.input.median * between(4, 30, rng);
  shape->mix.output = {between(20, 300, rng), 0, 0};
  shape->mix.output.p99 = shape->mix.output.median * between(3, 15, rng);
  shape->mix.input.cap = static_cast<Tokens>(shape->mix.input.p99 * 3);
  shape->mix.output.cap = static_cast<Tokens>(shape->mix.output.p99 * 2);
  shape->cap_factor = between(1, 6, rng);
  shape->choices = chance(0.3, rng) ? 0.1 : 0;
  shape->keys = 1 + static_cast<std::uint32_t>(up_to(40, rng));
  shape->teams = 1 + static_cast<std::uint32_t>(up_to(4, rng));
  shape->models = 1 + static_cast<std::uint32_t>(up_to(3, rng));
  shape->lanes = 1 + static_cast<std::uint32_t>(up_to(3, rng));
  shape->priorities = chance(0.4, rng);
  // Where the limits of tokens rest on guesses, wrong ones may be refused; everything else has to hold all the same.
  if (chance(0.4, rng)) shape->estimate_error = between(0.05, 0.5, rng);

  shape->oversize = chance(0.2, more);
  if (shape->oversize) {
    shape->mix.huge_share = 0.02;
    shape->mix.huge_input = shape->mix.input.cap;
  }

  const double calls_each = between(1, 5, rng);
  const double total = expected_charge(*shape, kind.charge) * double(clients) * calls_each;
  const double windows = between(2, 6, rng);
  const Duration window = std::chrono::seconds(std::array{2, 10, 60}[up_to(2, rng)]);
  // No request is larger than the whole limit, and none larger than a burst.
  const double largest = double(shape->mix.input.cap) + double(shape->mix.output.cap) * shape->cap_factor * 1.1 + 10;
  scenario.provider.options.limiter = kind.limiter;
  scenario.provider.options.charge = kind.charge;
  scenario.provider.options.window = window;
  const double tokens = std::max(total / windows, largest * 1.2);
  simulator::Options& options = scenario.provider.options;
  if (kind.charge != Charge::none) options.tpm = static_cast<std::uint64_t>(tokens);
  if (kind.limiter == Limiter::bucket && kind.charge != Charge::none && chance(0.3, rng)) {
    options.burst = std::clamp(between(0.05, 0.5, rng), std::min(1.0, largest * 1.1 / tokens), 1.0);
  }
  if (options.burst >= 1 && chance(0.4, rng))
    options.rpm = static_cast<std::uint64_t>(double(clients) * calls_each / windows * between(0.5, 2, rng)) + 1;
  if (kind.charge == Charge::none || chance(0.3, rng)) options.concurrency = 5 + up_to(150, rng);

  scenario.provider.way_varies = milliseconds(up_to(50, rng));
  scenario.provider.first_after = milliseconds(50 + up_to(1500, rng));
  scenario.provider.tokens_per_second = between(30, 400, rng) * 60 / double(window / std::chrono::seconds(1));
  scenario.provider.speed_varies = between(0, 0.8, rng);
  scenario.provider.chunk = seconds(double(shape->mix.output.median) / scenario.provider.tokens_per_second);
  scenario.provider.hints = chance(0.5, rng);
  const Duration lasts = window * 8;
  add_outages(scenario, lasts, rng);

  const bool on_arrival = kind.charge == Charge::max_or_estimate || kind.charge == Charge::estimate_plus_max;
  shape->paced = on_arrival && options.burst >= 1 && chance(0.3, more);
  if (chance(0.2, more)) shape->midnight = world_begins() + simulation::between(Duration::zero(), lasts / 2, more);
  if (chance(0.3, more)) scenario.gateway.stale = between(0.01, 0.3, more);

  scenario.gateway.rule = kind.charge;
  scenario.gateway.with_teams = chance(0.5, rng);
  scenario.gateway.with_models = chance(0.5, rng);
  scenario.gateway.connect_max = milliseconds(up_to(200, rng));
  scenario.gateway.wait_max = chance(0.2, rng) ? window : window * 200;
  scenario.gateway.reserves_cap = chance(0.2, rng);
  scenario.gateway.limits = make_limits(scenario, *shape, tokens, rng);
  for (std::uint64_t i = up_to(2, rng); i > 0; --i) {
    admission::Limits limits = make_limits(scenario, *shape, tokens, rng);
    auto& account = limits.budgets.front();
    if (auto& most = account.limits[static_cast<std::size_t>(Meter::tokens)];
        most && !account.burst && chance(0.5, rng))
      most = std::max<Tokens>(static_cast<Tokens>(largest), *most / 2);
    scenario.reloads.push_back({world_begins() + simulation::between(Duration::zero(), lasts, rng), limits});
  }
  if (chance(0.25, rng)) {
    scenario.restarts.push_back({world_begins() + simulation::between(Duration::zero(), lasts / 2, rng),
                                 chance(0.5, rng) ? Gateway::Memory::kept : Gateway::Memory::lost});
  }

  // What days and debts come to can be told from outside where nothing changes and nothing is refused.
  if ((shape->oversize || shape->midnight != never) && chance(0.8, more)) {
    scenario.reloads.clear();
    scenario.restarts.clear();
    scenario.provider.outages.clear();
  }

  const bool input_counts = kind.charge != Charge::none;
  const double leaves = chance(0.5, rng) ? between(0, 0.25, rng) : 0;
  // What is produced and never heard of is charged by the provider alone.
  const bool all_is_heard = leaves == 0 && scenario.provider.outages.empty() && scenario.restarts.empty();
  const bool reserved = scenario.gateway.reserves_cap && all_is_heard && options.burst >= 1;
  const bool computable = on_arrival || reserved;
  scenario.exact = !input_counts || (computable && shape->estimate_error == 0);
  for (std::size_t i = 0; i < clients; ++i) {
    Agent agent;
    // A few keys have most of the callers.
    const auto key = static_cast<std::uint32_t>(double(shape->keys) * uniform(rng) * uniform(rng));
    const auto lane = static_cast<std::uint32_t>(up_to(shape->lanes - 1, rng));
    agent.make = [shape, key, lane](Rng& random) { return draw(*shape, key, lane, random); };
    agent.sdk = static_cast<Sdk>(up_to(sdk_count - 1, rng));
    agent.think = window / 4;
    agent.begins_after = simulation::between(Duration::zero(), window, rng);
    agent.calls = 1 + static_cast<std::int64_t>(up_to(static_cast<std::uint64_t>(2 * (calls_each - 1)), rng));
    agent.leaves = leaves;
    agent.leaves_after = window / 2;
    scenario.agents.push_back(std::move(agent));
  }
  scenario.gateway.running_usage = chance(0.5, rng);
  return scenario;
}

}  // namespace weir::simulation
