// Which upstream issued an id (a file, a batch, a stored response), so that later calls about it go where it lives.
// Shared by all workers; bounded: the oldest are forgotten.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace weir::proxy {

class IssuedIds {
 public:
  // Enough for a busy day of batches and agents; about 150 bytes each.
  static constexpr std::size_t ids_max = 100'000;
  static constexpr std::size_t id_bytes_max = 128;

  void remember(std::string_view id, std::string_view upstream);
  std::optional<std::string> upstream_of(std::string_view id) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::string> upstreams_;
  std::deque<std::string> order_;
};

}  // namespace weir::proxy
