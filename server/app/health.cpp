#include "app/health.hpp"

#include <iostream>

#include "app/ask_operator.hpp"

namespace weir::app {

Readiness ask_readiness(const ListenAddress& address, std::chrono::milliseconds patience) {
  const auto answer = ask_operator(address, {"/readyz", {}, patience});
  if (const auto* problem = std::get_if<std::string>(&answer)) return {false, *problem};
  const auto& [status, body] = std::get<OperatorAnswer>(answer);
  if (status == 200) return {true, {}};
  return {false, "not ready: " + body};
}

int run_health(const Overrides& overrides) {
  constexpr std::chrono::milliseconds patience{3000};  // container runtimes give up after a few seconds themselves
  const auto place = operator_place(overrides);
  if (const auto* problem = std::get_if<std::string>(&place)) {
    std::cerr << "weir health: " << *problem << '\n';
    return 2;
  }
  if (const std::string& doubt = std::get<OperatorPlace>(place).doubt; !doubt.empty())
    std::cerr << "weir health: " << doubt << '\n';
  const Readiness readiness = ask_readiness(std::get<OperatorPlace>(place).address, patience);
  if (!readiness.ready) std::cerr << "weir health: " << readiness.reason << '\n';
  return readiness.ready ? 0 : 1;
}

}  // namespace weir::app
