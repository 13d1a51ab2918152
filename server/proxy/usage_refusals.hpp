// Which upstreams' models do not take the stream_options by which weir asks for the usage of a stream: remembered for
// an hour, and asked for less meanwhile. One for the process, thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "net/timer_wheel.hpp"
#include "protocol/error_body.hpp"

namespace weir::proxy {

// What is asked of a stream about its usage, each with what stands before it.
enum class AskUsage : std::uint8_t {
  nothing,
  total,    // at its end
  running,  // and in every chunk, so far
};

class UsageRefusals {
 public:
  // REQUIRES: `refused` is more than nothing.
  void remember(std::string_view upstream, std::string_view model, AskUsage refused, net::Instant now);
  // The most that may be asked for.
  AskUsage most(std::string_view upstream, std::string_view model, net::Instant now) const;

 private:
  mutable std::mutex mutex_;
  struct Entry {
    AskUsage most = AskUsage::running;
    net::Instant until{};
  };
  std::map<std::string, Entry, std::less<>> entries_;
  std::atomic<bool> any_{false};  // nearly always false: then nobody locks
};

// Whether an upstream says that stream_options is what it does not take.
bool refuses_stream_options(int status, const protocol::UpstreamError& error);

}  // namespace weir::proxy
