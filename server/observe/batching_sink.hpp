// Where log lines go: made by the thread that logs, written by a thread of its own, many lines with one call.
// Waking that thread for every line would cost a busy proxy more than all its formatting. Lines are dropped, oldest
// first, when the reader of the log does not keep up; traffic never waits for it.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "observe/line_batch.hpp"

namespace weir::observe {

class BatchingSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // A kilobyte-line burst of this size is a tenth of a second at the highest rate measured.
  static constexpr std::size_t lines_max = 2048;

  // At its end, whoever reads has so long without taking anything until the rest is given up: the process must end.
  static constexpr std::chrono::milliseconds last_wait_max{2000};

  // `tell_dropped`: the message that says how many lines are missing where it stands.
  BatchingSink(int descriptor, std::function<std::string(std::size_t)> tell_dropped);
  ~BatchingSink() override;
  BatchingSink(const BatchingSink&) = delete;
  BatchingSink& operator=(const BatchingSink&) = delete;

  // A line as it will stand in the log, with its end.
  void add(std::string_view line);

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override;

 private:
  void run();
  std::string format(const std::string& warning);
  void write(std::string_view bytes);
  bool wait_for_room();

  const int descriptor_;
  const std::function<std::string(std::size_t)> tell_dropped_;
  std::mutex lines_mutex_;
  std::condition_variable news_;
  LineBatch lines_{lines_max};
  bool urgent_ = false, stopping_ = false;
  bool given_up_ = false;  // the writer's own
  std::thread writer_;
};

}  // namespace weir::observe
