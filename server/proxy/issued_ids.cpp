#include "proxy/issued_ids.hpp"

namespace weir::proxy {

void IssuedIds::remember(std::string_view id, std::string_view upstream) {
  if (id.empty() || id.size() > id_bytes_max) return;
  const std::lock_guard lock(mutex_);
  const auto [entry, added] = upstreams_.insert_or_assign(std::string(id), std::string(upstream));
  if (!added) return;
  order_.push_back(entry->first);
  if (order_.size() <= ids_max) return;
  upstreams_.erase(order_.front());
  order_.pop_front();
}

std::optional<std::string> IssuedIds::upstream_of(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = upstreams_.find(std::string(id));
  if (found == upstreams_.end()) return std::nullopt;
  return found->second;
}

}  // namespace weir::proxy
