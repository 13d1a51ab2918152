#include "simulation/traffic.hpp"

#include <cmath>
#include <numbers>

namespace weir::simulation {
namespace {

constexpr double sigmas_of_p99 = 2.3263478740;

}  // namespace

double uniform(Rng& rng) {
  return static_cast<double>(rng() >> 11) * 0x1.0p-53;
}

bool chance(double probability, Rng& rng) {
  return uniform(rng) < probability;
}

double normal(Rng& rng) {
  const double radius = std::sqrt(-2 * std::log(1 - uniform(rng)));
  return radius * std::cos(2 * std::numbers::pi * uniform(rng));
}

Duration seconds(double count) {
  return Duration(static_cast<Duration::rep>(count * 1e9));
}

Duration between(Duration least, Duration most, Rng& rng) {
  return least + Duration(static_cast<Duration::rep>(uniform(rng) * static_cast<double>((most - least).count())));
}

Duration exponential(Duration mean, Rng& rng) {
  return Duration(static_cast<Duration::rep>(-std::log(1 - uniform(rng)) * static_cast<double>(mean.count())));
}

Tokens Sizes::sample(Rng& rng) const {
  const double sigma = std::log(p99 / median) / sigmas_of_p99;
  const double size = median * std::exp(sigma * normal(rng));
  return std::clamp<Tokens>(static_cast<Tokens>(std::llround(std::min(size, 1e9))), 1, cap);
}

Mix agent_mix() {
  Mix mix;
  mix.input = {800, 20'000, 96'000};
  mix.output = {300, 4'000, 32'000};
  return mix;
}

Mix agent_mix_with_huge(Tokens limit) {
  Mix mix = agent_mix();
  mix.huge_share = 0.01;
  mix.huge_input = limit / 50;
  return mix;
}

Mix embedding_mix() {
  Mix mix;
  mix.input = {800, 20'000, 96'000};
  mix.output = {0, 0, 0};
  return mix;
}

Call sample_call(const Mix& mix, Rng& rng) {
  Call call;
  call.input = chance(mix.huge_share, rng) ? mix.huge_input : mix.input.sample(rng);
  call.estimate = call.input;
  call.replies = mix.output.median > 0;
  call.output = call.replies ? mix.output.sample(rng) : 0;
  call.bytes = static_cast<std::size_t>(call.input) * 4;
  return call;
}

}  // namespace weir::simulation
