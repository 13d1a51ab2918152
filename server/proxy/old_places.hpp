// Where callers stood that were refused: an SDK that comes back with the same request takes its old place in the line
// instead of the last one. Remembers arrivals by key and body for two minutes, a bounded number of them. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "net/timer_wheel.hpp"

namespace weir::proxy {

class OldPlaces {
 public:
  static constexpr std::chrono::minutes kept_for{2};  // the longest hint an SDK follows
  static constexpr std::size_t places_max = 10'000;   // as many as may wait

  void remember(std::string_view key, std::string_view body, net::Instant arrived, net::Instant now);
  // When this request first arrived, if it was refused lately; forgets it.
  std::optional<net::Instant> take(std::string_view key, std::string_view body, net::Instant now);

 private:
  struct Place {
    std::uint64_t hash;
    net::Instant refused_at;
  };
  void forget_old(net::Instant now);
  static std::uint64_t hash_of(std::string_view key, std::string_view body);

  std::mutex mutex_;
  std::unordered_map<std::uint64_t, net::Instant> arrivals_;
  std::deque<Place> order_;
};

}  // namespace weir::proxy
