#include "simulation/hidden_limit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "simulation/agents.hpp"
#include "simulation/gateway.hpp"
#include "simulation/provider.hpp"
#include "simulation/scenario.hpp"

namespace weir::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Duration period = 30min;
constexpr Duration sampled_every = 100ms;
// The calls that were on their way when the first was refused have been answered.
constexpr Duration settled_after = 1s;

}  // namespace

std::uint64_t HiddenLimit::at(Duration since_start) const {
  const double first = static_cast<double>(at_first);
  const double periods = std::chrono::duration<double>(since_start) / std::chrono::duration<double>(period);
  switch (moves) {
    case Moves::drifts:
      return std::max<std::uint64_t>(
          1, static_cast<std::uint64_t>(first * (1 + 0.5 * std::sin(2 * std::numbers::pi * periods))));
    case Moves::jumps:
      return static_cast<std::int64_t>(periods * 6) % 2 == 0 ? at_first : std::max<std::uint64_t>(1, at_first / 2);
    case Moves::not_at_all:
      break;
  }
  return at_first;
}

Found find_hidden_limit(const HiddenLimit& limit) {
  EventLoop loop(world_begins());
  // It stands still until it is found: the swing begins then.
  Instant swings_from = never;
  const auto limit_at = [&](Instant now) { return limit.at(now > swings_from ? now - swings_from : Duration::zero()); };
  ProviderSettings settings;
  settings.way = limit.way;
  settings.way_varies = 40ms;
  settings.first_after = limit.call_takes;
  settings.concurrency_at = limit_at;
  Provider provider(loop, settings, limit.seed);
  GatewaySettings gateway_settings;
  gateway_settings.rule = simulator::Charge::none;
  gateway_settings.ramps = true;
  Gateway gateway(loop, provider, gateway_settings, limit.seed + 1);
  Agents callers(loop, gateway, limit.seed + 2);
  for (std::uint64_t i = 0; i < limit.at_first * 2 + 50; ++i) {
    Agent agent;
    agent.make = [](Rng&) {
      Call call;
      call.output = 1;
      return call;
    };
    callers.add(agent);
  }

  Found found;
  while (provider.books().refused == 0) loop.run_until(loop.now() + sampled_every);
  found.found_after = loop.now() - world_begins();
  loop.run_until(loop.now() + settled_after);
  found.refusals_to_find = provider.books().refused;
  swings_from = loop.now();
  const std::uint64_t arrived = provider.books().arrived;
  double in_flight = 0, allowed = 0;
  while (loop.now() < swings_from + period) {
    loop.run_until(loop.now() + sampled_every);
    const std::uint64_t most = limit_at(loop.now());
    in_flight += static_cast<double>(std::min(provider.in_flight(), most));
    allowed += static_cast<double>(most);
  }
  found.calls = provider.books().arrived - arrived;
  found.refusals = provider.books().refused - found.refusals_to_find;
  found.used = in_flight / allowed;
  found.failed = callers.counts().failed;
  return found;
}

std::string in_words(const HiddenLimit& limit, const Found& found) {
  constexpr std::array<const char*, 3> moves{"stays", "drifts", "jumps"};
  std::array<char, 160> line{};
  std::snprintf(line.data(), line.size(), "| %5llu | %-6s | %6.1f s | %llu | %8llu | %5.2f | %5.1f %% |",
                static_cast<unsigned long long>(limit.at_first), moves[static_cast<std::size_t>(limit.moves)],
                std::chrono::duration<double>(found.found_after).count(),
                static_cast<unsigned long long>(found.refusals_to_find), static_cast<unsigned long long>(found.calls),
                found.refusals_per_1000(), 100 * found.used);
  return line.data();
}

}  // namespace weir::simulation
