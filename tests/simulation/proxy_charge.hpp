// What weir's proxy asks the scheduler for on behalf of a call: the charge by the rule of the provider, and the
// forecast of its output, learned from the answers that came before. The proxy's own functions, without its bodies.
#pragma once

#include <memory>

#include "admission/units.hpp"
#include "simulation/traffic.hpp"
#include "simulator/options.hpp"

namespace weir::simulation {

class ProxyCharge {
 public:
  // `reserves_cap`: hold the most a call can produce instead of what it is expected to.
  ProxyCharge(simulator::Charge rule, bool reserves_cap);
  ~ProxyCharge();

  struct Costs {
    admission::Cost own, upstream;
  };
  Costs of(const Call& call);
  void progress(const Call& call, Tokens before, Tokens now);
  void learn(const Call& call, Tokens output, Tokens told);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::simulation
