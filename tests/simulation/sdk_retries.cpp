#include "simulation/sdk_retries.hpp"

#include <cmath>

namespace weir::simulation {
namespace {

using namespace std::chrono_literals;

// openai-python and openai-node: half a second doubled, eight at most, up to a quarter less.
Duration doubling(unsigned tries, Rng& rng) {
  const double whole = std::min(8.0, 0.5 * std::exp2(double(tries) - 1));
  return seconds(whole * (1 - uniform(rng) / 4));
}

// What LangChain reads: Retry-After has whole seconds only.
Duration whole_seconds(Duration hint) {
  return std::chrono::ceil<std::chrono::seconds>(hint);
}

}  // namespace

std::optional<Duration> next_try(Sdk sdk, const Answered& answered, Rng& rng) {
  const unsigned tries_max = sdk == Sdk::langchain_js ? 7 : 3;
  if (answered.tries >= tries_max) return std::nullopt;
  switch (sdk) {
    case Sdk::python:
      if (answered.hint && *answered.hint > 120s) return std::nullopt;
      return answered.hint && *answered.hint > Duration::zero() ? *answered.hint : doubling(answered.tries, rng);
    case Sdk::node:
      return answered.hint && *answered.hint > Duration::zero() ? *answered.hint : doubling(answered.tries, rng);
    case Sdk::ai_sdk: {
      const Duration own = 1s * (1 << answered.tries);
      return answered.hint && (*answered.hint < 60s || *answered.hint < own) ? *answered.hint : own;
    }
    case Sdk::langchain_js: {
      if (answered.too_many && !answered.hint) return std::nullopt;
      const Duration own = seconds(std::exp2(double(answered.tries) - 1) * (1 + uniform(rng)));
      if (!answered.hint) return own;
      const Duration hint = whole_seconds(*answered.hint);
      if (hint > 60s) return std::nullopt;
      return std::max(own, hint);
    }
  }
  return std::nullopt;
}

}  // namespace weir::simulation
