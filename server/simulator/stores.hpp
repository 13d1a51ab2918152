// What the simulated provider keeps between requests: the responses it issued and the files it was sent. Bounded: the
// oldest go first. Thread-safe, since a client's next request may arrive at another worker.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "simulator/upload.hpp"

namespace weir::simulator {

// Values by id, at most so many of them and so many bytes.
template <class Value>
class Store {
 public:
  Store(std::size_t count_max, std::size_t bytes_max) : count_max_(count_max), bytes_max_(bytes_max) {}

  void put(std::string id, Value value, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_ += bytes;
    order_.emplace_back(id, bytes);
    values_.insert_or_assign(std::move(id), std::move(value));
    while (order_.size() > count_max_ || (bytes_ > bytes_max_ && order_.size() > 1)) {
      bytes_ -= order_.front().second;
      values_.erase(order_.front().first);
      order_.pop_front();
    }
  }
  std::optional<Value> get(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto place = values_.find(id);
    return place == values_.end() ? std::nullopt : std::optional<Value>(place->second);
  }
  bool has(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return values_.contains(id);
  }
  bool erase(const std::string& id) {  // its bytes stay counted until its turn comes
    const std::lock_guard lock(mutex_);
    return values_.erase(id) > 0;
  }
  std::vector<std::string> ids() {  // oldest first
    const std::lock_guard lock(mutex_);
    std::vector<std::string> ids;
    for (const auto& [id, bytes] : order_) {
      if (values_.contains(id)) ids.push_back(id);
    }
    return ids;
  }

 private:
  const std::size_t count_max_, bytes_max_;
  std::mutex mutex_;
  std::unordered_map<std::string, Value> values_;
  std::deque<std::pair<std::string, std::size_t>> order_;
  std::size_t bytes_ = 0;
};

struct StoredFile {
  UploadedFile file;
  std::int64_t created = 0;
};

struct Stores {
  Store<std::string> responses{10'000, 64u << 20};  // as JSON
  Store<StoredFile> files{1'000, 64u << 20};
};

}  // namespace weir::simulator
