#include "proxy/batch_service.hpp"

namespace weir::proxy {

const BatchService* batch_service_of(const Upstream& upstream, std::string_view path) {
  if (!upstream.batch || !path.starts_with(upstream.batch->path)) return nullptr;
  path.remove_prefix(upstream.batch->path.size());
  return path.empty() || path.front() == '/' ? &*upstream.batch : nullptr;
}

const UpstreamTimeouts& timeouts_of(const Destination& destination) {
  return destination.batch ? destination.batch->timeouts : destination.upstream->timeouts;
}

const std::vector<Price>& prices_of(const Destination& destination) {
  static const std::vector<Price> none;
  if (!destination.profile) return none;
  return destination.batch ? destination.profile->batch_prices : destination.profile->prices;
}

std::string batch_budget_name(std::string_view name) {
  return std::string(name) + "/batch";
}

Limits batch_part(const Limits& limits) {
  Limits part;
  part.rpd = limits.rpd;
  part.tpd = limits.tpd;
  part.day_reset = limits.day_reset;
  return part;
}

}  // namespace weir::proxy
