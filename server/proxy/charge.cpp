#include "proxy/charge.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace weir::proxy {
namespace {

using protocol::Api;
using protocol::RequestView;
using Count = std::uint64_t;
using MaybeCount = std::optional<Count>;

// Numbers come from outside: sums and products stop at the top instead of wrapping around.
Count plus(Count a, Count b) {
  return a > std::numeric_limits<Count>::max() - b ? std::numeric_limits<Count>::max() : a + b;
}
Count times(Count a, Count b) {
  return b != 0 && a > std::numeric_limits<Count>::max() / b ? std::numeric_limits<Count>::max() : a * b;
}

bool produces_output(Api api) {
  return api == Api::chat || api == Api::completions || api == Api::responses || api == Api::messages;
}

Count choices(const RequestView& view) {
  return std::max<Count>({view.n, view.best_of, 1});
}

struct SentCap {
  const char* parameter;
  MaybeCount tokens;
};
std::array<SentCap, 3> sent_caps(const RequestView& view) {
  return {{{"max_tokens", view.max_tokens},
           {"max_completion_tokens", view.max_completion_tokens},
           {"max_output_tokens", view.max_output_tokens}}};
}

// The largest cap as sent: what providers that charge for caps look at.
MaybeCount sent_cap(const RequestView& view) {
  MaybeCount largest;
  for (const SentCap& cap : sent_caps(view)) {
    if (cap.tokens) largest = std::max(largest.value_or(0), *cap.tokens);
  }
  return largest;
}

bool includes_thinking(const char* parameter, const Upstream& upstream, const ModelProfile* model) {
  const auto& caps = model != nullptr && !model->output_caps.empty() ? model->output_caps : upstream.output_caps;
  const auto cap = std::find_if(caps.begin(), caps.end(), [&](const OutputCap& c) { return c.parameter == parameter; });
  return cap == caps.end() || cap->includes_thinking;
}

// What the model itself cannot exceed, answer and thinking; nullopt: not known.
MaybeCount model_bound(const ModelProfile* model, MaybeCount answer) {
  if (model == nullptr || !answer) return std::nullopt;
  return plus(*answer, model->thinking_tokens_max.value_or(0));
}

// One choice. Of two caps the looser counts: which one the provider obeys is not known.
MaybeCount choice_bound(const RequestView& view, const Upstream& upstream, const ModelProfile* model) {
  const MaybeCount answer_max = model != nullptr ? model->output_tokens_max : std::nullopt;
  MaybeCount loosest;
  bool capped = false;
  for (const SentCap& cap : sent_caps(view)) {
    if (!cap.tokens) continue;
    MaybeCount bound = cap.tokens;
    if (!includes_thinking(cap.parameter, upstream, model)) {
      const MaybeCount thinking = model != nullptr ? model->thinking_tokens_max : std::nullopt;
      bound = thinking ? MaybeCount(plus(std::min(*cap.tokens, answer_max.value_or(*cap.tokens)), *thinking))
                       : std::nullopt;
    }
    if (!bound) return model_bound(model, answer_max);
    loosest = capped ? std::max(*loosest, *bound) : *bound;
    capped = true;
  }
  const MaybeCount by_model = model_bound(model, answer_max);
  if (capped) return by_model ? std::min(*loosest, *by_model) : loosest;
  if (model != nullptr && model->output_tokens_default) return model_bound(model, model->output_tokens_default);
  return by_model;
}

// What the rules that charge for caps take. A cap beyond what the model can produce is turned away, or means that much:
// as a charge of its own it would hold the account up for windows.
Count charged_cap(const RequestView& view, const InputTokens& input, const ModelProfile* model, ChargeRule rule) {
  if (const auto sent = sent_cap(view)) {
    MaybeCount most = model_bound(model, model != nullptr ? model->output_tokens_max : std::nullopt);
    if (!most && model != nullptr) most = model->context_tokens;
    return std::min(*sent, most.value_or(*sent));
  }
  if (model == nullptr) return 0;
  if (model->output_tokens_default) return *model->output_tokens_default;
  // Cerebras: the length of the model less the input.
  if (rule == ChargeRule::estimate_plus_max && model->context_tokens)
    return *model->context_tokens - std::min(*model->context_tokens, input.expected);
  return 0;
}

Count charged_on_arrival(const RequestView& view, const InputTokens& input, const ModelProfile* model,
                         ChargeRule rule) {
  const Count output = produces_output(view.api) ? times(charged_cap(view, input, model, rule), choices(view)) : 0;
  switch (rule) {
    case ChargeRule::max_or_estimate:
      return std::max(output, input.on_arrival);
    case ChargeRule::estimate_plus_max:
      return plus(output, input.on_arrival);
    case ChargeRule::input_then_output:
      return input.on_arrival;
    case ChargeRule::actual:
    case ChargeRule::none:
      return 0;
  }
  return 0;
}

}  // namespace

MaybeCount output_bound(const RequestView& view, const InputTokens& input, const Upstream& upstream,
                        const ModelProfile* model) {
  if (view.api == Api::embeddings || view.api == Api::models) return 0;
  if (!produces_output(view.api)) return std::nullopt;
  MaybeCount one = choice_bound(view, upstream, model);
  if (!one && model != nullptr && model->context_tokens)
    one = *model->context_tokens - std::min(*model->context_tokens, input.expected);
  if (!one) return std::nullopt;
  return times(*one, choices(view));
}

ChargePlan plan_charge(const RequestView& view, const InputTokens& input, const Upstream& upstream,
                       const ModelProfile* model) {
  const Charge charge = model != nullptr && model->charge ? *model->charge : upstream.charge;
  ChargePlan plan;
  plan.rule = charge.rule;
  plan.input_tokens = input.expected;
  plan.input_upper = input.upper;
  plan.output_cap = output_bound(view, input, upstream, model);
  plan.fixed_on_arrival = charged_on_arrival(view, input, model, charge.rule);
  plan.output_as_produced = charge.rule == ChargeRule::input_then_output;
  plan.cached_free = charge.cached_input_free;
  return plan;
}

MaybeCount input_of_requested(const ChargePlan& plan, const RequestView& view, Count requested) {
  const Count output = times(sent_cap(view).value_or(0), choices(view));
  switch (plan.rule) {
    case ChargeRule::max_or_estimate:
      if (requested <= output) return std::nullopt;
      return requested;
    case ChargeRule::estimate_plus_max:
      if (requested < output) return std::nullopt;
      return requested - output;
    case ChargeRule::input_then_output:
      return requested;
    case ChargeRule::actual:
    case ChargeRule::none:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace weir::proxy
