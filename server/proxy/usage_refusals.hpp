// Which upstreams' models do not take stream_options, by which weir asks for the usage of a stream: remembered for an
// hour, and called without meanwhile. One for the process, thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "net/timer_wheel.hpp"
#include "protocol/error_body.hpp"

namespace weir::proxy {

class UsageRefusals {
 public:
  void remember(std::string_view upstream, std::string_view model, net::Instant now);
  bool knows(std::string_view upstream, std::string_view model, net::Instant now) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, net::Instant, std::less<>> until_;
  std::atomic<bool> any_{false};  // nearly always false: then nobody locks
};

// Whether an upstream says that stream_options is what it does not take.
bool refuses_stream_options(int status, const protocol::UpstreamError& error);

}  // namespace weir::proxy
