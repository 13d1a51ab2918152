// One structured line per exchange, always, at its end; written by a thread of its own. Never a prompt, a completion or
// a secret: the record has no field that could hold one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "observe/exchange_record.hpp"

namespace spdlog {
class logger;
}

namespace weir::observe {

enum class LogFormat { text, json };

struct LogOptions {
  LogFormat format = LogFormat::text;
  std::string level = "info";
  bool to_stdout = false;
  // Takes the records instead of the writer, on the thread that logs; for tests.
  std::function<void(const ExchangeRecord&)> on_exchange;
};

// The process's log. Thread-safe; lines are dropped oldest first when the writer cannot keep up, never blocking
// traffic.
class Log {
 public:
  explicit Log(const LogOptions& options);
  ~Log();

  void exchange(const ExchangeRecord& record);
  // Events of the server itself: start, reload, shutdown.
  void info(std::string_view message);
  void warn(std::string_view message);
  void error(std::string_view message);
  void set_level(std::string_view level);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The line itself, as text or JSON; without time stamp and line end.
std::string format_exchange(const ExchangeRecord& record, LogFormat format);

}  // namespace weir::observe
