#include "proxy/usage_refusals.hpp"

#include <algorithm>

#include "protocol/request_view.hpp"

namespace weir::proxy {
namespace {

constexpr std::chrono::hours refused_for{1};  // servers are updated
constexpr std::size_t entries_max = 1000;

std::string name_of(std::string_view upstream, std::string_view model) {
  return std::string(upstream).append("/").append(model);
}

bool mentions(const std::string& text) {
  return text.find("stream_options") != std::string::npos || text.find("include_usage") != std::string::npos ||
         std::any_of(protocol::running_usage_options.begin(), protocol::running_usage_options.end(),
                     [&](std::string_view option) { return text.find(option) != std::string::npos; });
}

}  // namespace

void UsageRefusals::remember(std::string_view upstream, std::string_view model, AskUsage refused, net::Instant now) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= entries_max) entries_.clear();
  const AskUsage most = refused == AskUsage::running ? AskUsage::total : AskUsage::nothing;
  entries_[name_of(upstream, model)] = {most, now + refused_for};
  any_ = true;
}

AskUsage UsageRefusals::most(std::string_view upstream, std::string_view model, net::Instant now) const {
  if (!any_.load(std::memory_order_relaxed)) return AskUsage::running;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name_of(upstream, model));
  return found != entries_.end() && now < found->second.until ? found->second.most : AskUsage::running;
}

bool refuses_stream_options(int status, const protocol::UpstreamError& error) {
  return (status == 400 || status == 422) && (mentions(error.param) || mentions(error.message));
}

}  // namespace weir::proxy
