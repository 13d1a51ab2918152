#include "simulation/proxy_charge.hpp"

#include <string>

#include "proxy/charge.hpp"
#include "proxy/output_forecast.hpp"
#include "proxy/submission.hpp"

namespace weir::simulation {
namespace {

proxy::ChargeRule rule_of(simulator::Charge charge) {
  switch (charge) {
    case simulator::Charge::max_or_estimate:
      return proxy::ChargeRule::max_or_estimate;
    case simulator::Charge::estimate_plus_max:
      return proxy::ChargeRule::estimate_plus_max;
    case simulator::Charge::input_then_output:
      return proxy::ChargeRule::input_then_output;
    case simulator::Charge::actual:
      return proxy::ChargeRule::actual;
    case simulator::Charge::none:
      return proxy::ChargeRule::none;
  }
  return proxy::ChargeRule::none;
}

std::string key_name(const Call& call) {
  return "key" + std::to_string(call.key);
}
std::string model_name(const Call& call) {
  return "model" + std::to_string(call.model);
}

}  // namespace

struct ProxyCharge::Impl {
  proxy::Upstream upstream;
  proxy::OutputForecast outputs;
};

ProxyCharge::ProxyCharge(simulator::Charge rule, bool reserves_cap) : impl_(std::make_unique<Impl>()) {
  impl_->upstream.charge.rule = rule_of(rule);
  impl_->upstream.reserves_cap = reserves_cap;
}
ProxyCharge::~ProxyCharge() = default;

ProxyCharge::Costs ProxyCharge::of(const Call& call) {
  protocol::RequestView view;
  view.api = call.replies ? protocol::Api::chat : protocol::Api::embeddings;
  view.n = static_cast<std::uint64_t>(call.choices);
  if (call.cap > 0) view.max_tokens = static_cast<std::uint64_t>(call.cap);
  const auto estimate = static_cast<std::uint64_t>(call.estimate);
  const proxy::ChargePlan plan = proxy::plan_charge(view, {estimate, estimate, estimate}, impl_->upstream, nullptr);
  const std::uint64_t expected = impl_->outputs.expect(key_name(call), model_name(call), plan.output_cap).mean;
  return {proxy::own_cost(plan, expected), proxy::upstream_cost(plan, expected, impl_->upstream.reserves_cap)};
}

void ProxyCharge::progress(const Call& call, Tokens before, Tokens now) {
  impl_->outputs.progress(key_name(call), model_name(call), static_cast<std::uint64_t>(before),
                          static_cast<std::uint64_t>(now));
}

void ProxyCharge::learn(const Call& call, Tokens output, Tokens told) {
  if (!call.replies) return;
  impl_->outputs.learn(key_name(call), model_name(call), static_cast<std::uint64_t>(output),
                       static_cast<std::uint64_t>(told));
}

}  // namespace weir::simulation
