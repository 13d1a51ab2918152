// One structured line per exchange, always, at its end; written by a thread of its own. Never a prompt, a completion or
// a secret: the record has no field that could hold one.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace weir::observe {

struct ExchangeRecord {
  std::string request_id;
  std::string client;  // key name, "key-1a2b3c4d", "open"
  std::string method;
  std::string path;  // without the query, which may hold anything
  std::string model;
  std::string upstream;
  std::string upstream_request_id;
  std::string_view cause;  // of an upstream's refusal: a word of the provider files; a literal
  std::string error;       // weir's code; empty: none
  std::string detail;      // what went wrong in words
  std::string outcome;     // ok, refused, upstream_error, upstream_failed, client_left, shutdown
  int status = 0;
  bool stream = false;
  unsigned attempts = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t events = 0, keepalives_absorbed = 0, heartbeats_sent = 0;
  std::optional<std::uint64_t> input_tokens, cached_tokens, output_tokens, reasoning_tokens;
  std::chrono::microseconds duration{0};
  std::optional<std::chrono::microseconds> queued;  // in line for budget, over all attempts
  std::optional<std::uint64_t> reserved_tokens;
  std::optional<std::chrono::microseconds> first_byte, first_content;  // since the request's head was read
};

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
