#include "proxy/usage_refusals.hpp"

namespace weir::proxy {
namespace {

constexpr std::chrono::hours kept{1};  // servers are updated
constexpr std::size_t entries_max = 1000;

std::string name_of(std::string_view upstream, std::string_view model) {
  return std::string(upstream).append("/").append(model);
}

bool mentions(const std::string& text) {
  return text.find("stream_options") != std::string::npos || text.find("include_usage") != std::string::npos;
}

}  // namespace

void UsageRefusals::remember(std::string_view upstream, std::string_view model, net::Instant now) {
  const std::lock_guard lock(mutex_);
  if (until_.size() >= entries_max) until_.clear();
  until_[name_of(upstream, model)] = now + kept;
  any_ = true;
}

bool UsageRefusals::knows(std::string_view upstream, std::string_view model, net::Instant now) const {
  if (!any_.load(std::memory_order_relaxed)) return false;
  const std::lock_guard lock(mutex_);
  const auto found = until_.find(name_of(upstream, model));
  return found != until_.end() && now < found->second;
}

bool refuses_stream_options(int status, const protocol::UpstreamError& error) {
  return (status == 400 || status == 422) && (mentions(error.param) || mentions(error.message));
}

}  // namespace weir::proxy
