#include "shaping/tier_run.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "simulation/direct_path.hpp"
#include "simulation/provider.hpp"

namespace weir::bench {
namespace {

using simulation::Agent;
using simulation::Agents;
using simulation::Call;
using simulation::DirectPath;
using simulation::EventLoop;
using simulation::Gateway;
using simulation::GatewaySettings;
using simulation::Instant;
using simulation::Mix;
using simulation::Provider;
using simulation::ProviderSettings;
using simulation::Rng;
using simulation::Sdk;

const Instant begin = Instant(std::chrono::hours(640));

ProviderSettings provider_of(const Run& run) {
  ProviderSettings settings;
  settings.options.tpm = static_cast<std::uint64_t>(run.tier.tpm);
  settings.options.rpm = static_cast<std::uint64_t>(run.tier.rpm);
  settings.options.limiter = run.limiter;
  settings.options.charge = run.charge;
  settings.way_varies = std::chrono::milliseconds(40);
  settings.speed_varies = 0.3;
  return settings;
}

GatewaySettings gateway_of(const Run& run) {
  GatewaySettings settings;
  admission::BudgetLimits account;
  account.scope = admission::Scope::account;
  account.name = simulation::account_budget;
  account.limits[static_cast<std::size_t>(admission::Meter::tokens)] = run.tier.tpm;
  account.limits[static_cast<std::size_t>(admission::Meter::requests)] = run.tier.rpm;
  settings.limits.budgets.push_back(account);
  for (std::uint32_t key = 0; key < run.groups.size(); ++key) {
    admission::BudgetLimits budget;
    budget.name = simulation::key_budget(key);
    budget.weight = run.groups[key].weight;
    settings.limits.budgets.push_back(budget);
  }
  settings.limits.requests_max = 1'000'000;
  settings.limits.bytes_max = std::size_t{1} << 40;
  settings.rule = run.charge;
  settings.reserves_cap = run.reserves_cap;
  settings.running_usage = run.running_usage;
  settings.refuses = run.way == Way::refusing;
  settings.wait_max = std::chrono::hours(24);
  return settings;
}

// What libraries are in use: of twenty callers ten, six, two and two.
Sdk sdk_of(std::size_t caller) {
  constexpr std::size_t until[] = {10, 16, 18, 20};
  const auto place = std::upper_bound(std::begin(until), std::end(until), caller % 20);
  return static_cast<Sdk>(place - std::begin(until));
}

Tokens scaled(Tokens tokens, double factor) {
  return std::max<Tokens>(1, std::llround(static_cast<double>(tokens) * factor));
}

void add_callers(Agents& agents, const EventLoop& loop, const Run& run, std::vector<double>& wanted) {
  Rng rng(run.seed);
  const Instant from = begin + (run.calls_each > 0 ? Duration::zero() : run.warm_up);
  std::size_t caller = 0;
  for (std::uint32_t key = 0; key < run.groups.size(); ++key) {
    const Group& group = run.groups[key];
    for (std::size_t i = 0; i < group.agents; ++i) {
      Agent agent;
      agent.make = [key, factor = group.size_factor, estimate_factor = run.estimate_factor, mix = run.mix,
                    cap = run.cap, from, &loop, &wanted](Rng& random) {
        Call call = sample_call(mix, random);
        call.key = key;
        call.input = scaled(call.input, factor);
        call.estimate = scaled(call.input, estimate_factor);
        if (call.replies) call.output = scaled(call.output, factor);
        call.cap = cap;
        if (cap > 0) call.output = std::min(call.output, cap);
        if (loop.now() >= from) wanted[key] += static_cast<double>(call.input + call.output);
        return call;
      };
      agent.sdk = run.sdk.value_or(sdk_of(caller++));
      agent.think = group.think;
      const Duration last = group.independent ? run.warm_up + run.measured : Duration(std::chrono::seconds(20));
      agent.begins_after = simulation::between(Duration::zero(), last, rng);
      agent.calls = group.independent ? 1 : run.calls_each;
      agent.persists = run.calls_each > 0;
      agents.add(std::move(agent));
    }
  }
}

Duration quantile(std::vector<Duration> values, double part) {
  if (values.empty()) return {};
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

double part_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

struct MeanCall {
  double tokens = 0;
  double answer_seconds = 0;
};

// Over many draws.
MeanCall mean_call(const Mix& mix) {
  Rng rng(7);
  constexpr int draws = 200'000;
  const ProviderSettings provider;
  MeanCall mean;
  for (int i = 0; i < draws; ++i) {
    const Call call = sample_call(mix, rng);
    mean.tokens += static_cast<double>(call.input + call.output) / draws;
    mean.answer_seconds += static_cast<double>(call.output) / provider.tokens_per_second / draws;
  }
  mean.answer_seconds += std::chrono::duration<double>(provider.first_after).count();
  return mean;
}

}  // namespace

Figures measure(const Run& run) {
  EventLoop loop(begin);
  Provider provider(loop, provider_of(run), run.seed + 1);
  std::unique_ptr<simulation::Path> path;
  if (run.way == Way::straight) {
    path = std::make_unique<DirectPath>(loop, provider);
  } else {
    path = std::make_unique<Gateway>(loop, provider, gateway_of(run), run.seed + 2);
  }
  Agents agents(loop, *path, run.seed + 3);
  Figures figures;
  figures.wanted_by_key.resize(run.groups.size());
  add_callers(agents, loop, run, figures.wanted_by_key);
  const bool jobs = run.calls_each > 0;
  const Instant from = jobs ? begin : begin + run.warm_up;
  provider.measure_from(from);
  agents.measure_from(from);
  const Instant end = from + run.measured;
  if (jobs) {
    while (loop.step(end)) continue;
  } else {
    loop.run_until(end);
  }

  figures.callers = agents.counts();
  const Provider::Books& books = provider.books();
  figures.share = provider.share_used(jobs ? agents.last_answer() : end);
  figures.largest_window = part_of(books.charged.largest(), static_cast<std::uint64_t>(run.tier.tpm));
  figures.refused_by_provider = part_of(books.refused, books.arrived);
  figures.failed = part_of(figures.callers.failed, figures.callers.calls);
  figures.wait_p50 = quantile(agents.waits(), 0.5);
  figures.wait_p99 = quantile(agents.waits(), 0.99);
  for (const std::uint64_t tokens : agents.tokens_by_key())
    figures.tokens_by_key.push_back(static_cast<double>(tokens));
  figures.tokens_by_key.resize(run.groups.size());
  const double ideal = static_cast<double>(books.charged.total()) / static_cast<double>(run.tier.tpm) * 60;
  if (jobs) figures.makespan = std::chrono::duration<double>(agents.last_answer() - begin).count() / ideal;
  return figures;
}

double tokens_per_call(const Mix& mix) {
  return mean_call(mix).tokens;
}

std::vector<Group> offer(double load, const Tier& tier, const Mix& mix, std::size_t keys) {
  const MeanCall mean = mean_call(mix);
  const double busy = mean.answer_seconds + std::chrono::duration<double>(Group().think).count();
  const double callers = load * static_cast<double>(tier.tpm) / 60 * busy / mean.tokens;
  std::vector<Group> groups(keys);
  for (std::size_t i = 0; i < keys; ++i) {
    const double until = callers * static_cast<double>(i + 1) / static_cast<double>(keys);
    const double before = callers * static_cast<double>(i) / static_cast<double>(keys);
    groups[i].agents = static_cast<std::size_t>(std::llround(until) - std::llround(before));
  }
  return groups;
}

double jain_index(const std::vector<double>& amounts) {
  const double sum = std::accumulate(amounts.begin(), amounts.end(), 0.0);
  const double squares = std::inner_product(amounts.begin(), amounts.end(), amounts.begin(), 0.0);
  return squares == 0 ? 0 : sum * sum / (static_cast<double>(amounts.size()) * squares);
}

std::vector<double> max_min_shares(const std::vector<double>& demands, double capacity) {
  std::vector<std::size_t> order(demands.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return demands[a] < demands[b]; });
  std::vector<double> shares(demands.size());
  double left = capacity;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double equal = left / static_cast<double>(order.size() - i);
    shares[order[i]] = std::min(demands[order[i]], equal);
    left -= shares[order[i]];
  }
  return shares;
}

}  // namespace weir::bench
