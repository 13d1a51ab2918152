#include "observe/exchange_log.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace weir::observe {
namespace {

// Lines waiting for the writer. spdlog's default of 8192 slots takes 3.3 MB at start; a kilobyte-line burst of this
// size is a tenth of a second at the highest rate measured.
constexpr std::size_t queue_lines = 2048;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// How many bytes the character at the start of `text` has; 0: they are not UTF-8.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Forms that are longer than needed, halves of pairs, and what is beyond Unicode.
  if (first < 0xC2 || first > 0xF4) return 0;
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
  if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

// Paths and names come from outside: a line must stay one line of valid JSON whatever bytes they hold.
void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      out += "\\ufffd";
    } else if (is_control(c)) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escaped.data();
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

bool needs_quotes(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return is_control(c) || c == ' ' || c == '"' || c == '='; });
}

// Writes `name=value` or `"name":value`, skipping what is empty.
class LineWriter {
 public:
  explicit LineWriter(LogFormat format) : json_(format == LogFormat::json) { line_.reserve(512); }

  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    begin(name);
    if (json_ || needs_quotes(value)) {
      append_json_string(line_, value);
    } else {
      line_ += value;
    }
  }
  void yes(std::string_view name) {
    begin(name);
    line_ += "true";
  }
  void number(std::string_view name, std::uint64_t value) {
    begin(name);
    line_ += std::to_string(value);
  }
  void number(std::string_view name, const std::optional<std::uint64_t>& value) {
    if (value) number(name, *value);
  }
  void milliseconds(std::string_view name, const std::optional<std::chrono::microseconds>& value) {
    if (!value) return;
    begin(name);
    std::array<char, 32> digits{};
    std::snprintf(digits.data(), digits.size(), "%.3f", static_cast<double>(value->count()) / 1000.0);
    line_ += digits.data();
  }
  std::string take() { return std::move(line_); }

 private:
  void begin(std::string_view name) {
    if (!line_.empty()) line_ += json_ ? ',' : ' ';
    if (json_) {
      append_json_string(line_, name);
      line_ += ':';
    } else {
      line_ += name;
      line_ += '=';
    }
  }
  bool json_;
  std::string line_;
};

}  // namespace

std::string format_exchange(const ExchangeRecord& record, LogFormat format) {
  LineWriter line(format);
  line.text("request_id", record.request_id);
  line.text("key", record.client);
  line.text("method", record.method);
  line.text("path", record.path);
  line.text("model", record.model);
  line.text("upstream", record.upstream);
  line.number("status", static_cast<std::uint64_t>(record.status));
  line.text("outcome", record.outcome);
  line.text("cause", record.cause);
  line.text("error", record.error);
  line.text("detail", record.detail);
  if (record.stream) line.yes("stream");
  line.number("attempts", record.attempts);
  line.milliseconds("duration_ms", record.duration);
  line.milliseconds("queue_ms", record.queued);
  line.milliseconds("first_byte_ms", record.first_byte);
  line.milliseconds("first_content_ms", record.first_content);
  line.number("bytes_in", record.bytes_in);
  line.number("bytes_out", record.bytes_out);
  if (record.stream) line.number("events", record.events);
  if (record.keepalives_absorbed) line.number("keepalives_absorbed", record.keepalives_absorbed);
  if (record.heartbeats_sent) line.number("heartbeats_sent", record.heartbeats_sent);
  line.number("reserved_tokens", record.reserved_tokens);
  line.number("input_tokens", record.input_tokens);
  line.number("cached_tokens", record.cached_tokens);
  line.number("output_tokens", record.output_tokens);
  line.number("reasoning_tokens", record.reasoning_tokens);
  line.text("upstream_request_id", record.upstream_request_id);
  line.text("trace_id", record.trace_id);
  return line.take();
}

struct Log::Impl {
  LogFormat format;
  std::function<void(const ExchangeRecord&)> on_exchange;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::logger> logger;

  void event(spdlog::level::level_enum level, std::string_view message) {
    if (!logger->should_log(level)) return;
    LineWriter line(format);
    line.text("message", message);
    write(level, "server", format == LogFormat::json ? line.take() : std::string(message));
  }
  void write(spdlog::level::level_enum level, std::string_view kind, const std::string& fields) {
    if (format == LogFormat::json) {
      logger->log(level, "\"event\":\"{}\",{}", kind, fields);
    } else {
      logger->log(level, "{}", fields);
    }
  }
};

Log::Log(const LogOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->format = options.format;
  impl_->on_exchange = options.on_exchange;
  impl_->pool = std::make_shared<spdlog::details::thread_pool>(queue_lines, 1);
  spdlog::sink_ptr sink;
  if (options.to_stdout) {
    sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  sink->set_pattern(options.format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z","level":"%l",%v})"
                                                      : "%Y-%m-%d %H:%M:%S.%e %l %v");
  impl_->logger =
      std::make_shared<spdlog::async_logger>("weir", sink, impl_->pool, spdlog::async_overflow_policy::overrun_oldest);
  impl_->logger->flush_on(spdlog::level::warn);
  set_level(options.level);
}

Log::~Log() {
  impl_->logger->flush();
}

void Log::set_level(std::string_view level) {
  impl_->logger->set_level(spdlog::level::from_str(std::string(level)));
}

void Log::exchange(const ExchangeRecord& record) {
  if (impl_->on_exchange) return impl_->on_exchange(record);
  if (!impl_->logger->should_log(spdlog::level::info)) return;
  impl_->write(spdlog::level::info, "exchange", format_exchange(record, impl_->format));
}

void Log::info(std::string_view message) {
  impl_->event(spdlog::level::info, message);
}
void Log::warn(std::string_view message) {
  impl_->event(spdlog::level::warn, message);
}
void Log::error(std::string_view message) {
  impl_->event(spdlog::level::err, message);
}

}  // namespace weir::observe
