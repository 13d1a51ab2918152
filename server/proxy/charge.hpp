// What one call will count for at its upstream, by that provider's rule: what is charged on arrival, what later, and
// the most the answer can come to. Pure: a body's view, an estimate of its input and the provider's data in, a plan
// out. weir only computes with caps; it never adds or raises one.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/request_view.hpp"
#include "proxy/charge_rules.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

struct ChargePlan {
  ChargeRule rule = ChargeRule::actual;
  std::uint64_t input_tokens = 0;           // expected
  std::uint64_t input_upper = 0;            // with the learned margin
  std::optional<std::uint64_t> output_cap;  // the most the model can produce: all choices, thinking included
  std::uint64_t fixed_on_arrival = 0;       // charged when the request arrives
  bool output_as_produced = false;
  bool cached_free = false;
};

// The tokens of a prompt, as estimated.
struct InputTokens {
  std::uint64_t expected = 0;
  std::uint64_t upper = 0;       // what `usage` will say at most, with the margin's probability
  std::uint64_t on_arrival = 0;  // what the provider's own estimate will say at most
};

// `model`: what is known of the model at this upstream; nullptr: nothing.
ChargePlan plan_charge(const protocol::RequestView& view, const InputTokens& input, const Upstream& upstream,
                       const ModelProfile* model);

// The most that all choices together can produce; nullopt: nothing bounds it.
std::optional<std::uint64_t> output_bound(const protocol::RequestView& view, const InputTokens& input,
                                          const Upstream& upstream, const ModelProfile* model);

// The part of a provider's `Requested` figure (protocol/requested_figure.hpp) that is its estimate of the input;
// nullopt: the figure does not tell, because the cap was the larger.
std::optional<std::uint64_t> input_of_requested(const ChargePlan& plan, const protocol::RequestView& view,
                                                std::uint64_t requested);

}  // namespace weir::proxy
