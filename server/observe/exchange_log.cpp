#include "observe/exchange_log.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "observe/batching_sink.hpp"
#include "observe/json_text.hpp"

namespace weir::observe {
namespace {

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
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
    digits(value);
  }
  void number(std::string_view name, const std::optional<std::uint64_t>& value) {
    if (value) number(name, *value);
  }
  void milliseconds(std::string_view name, const std::optional<std::chrono::microseconds>& value) {
    if (!value) return;
    begin(name);
    const auto micros = static_cast<std::uint64_t>(std::max<std::int64_t>(0, value->count()));
    digits(micros / 1000);
    line_ += '.';
    for (std::uint64_t place = 100; place > 0; place /= 10) line_ += static_cast<char>('0' + micros / place % 10);
  }
  std::string take() { return std::move(line_); }

 private:
  // Names are words of ours: nothing in them needs an escape.
  void begin(std::string_view name) {
    if (!line_.empty()) line_ += json_ ? ',' : ' ';
    if (json_) line_ += '"';
    line_ += name;
    line_ += json_ ? "\":" : "=";
  }
  void digits(std::uint64_t value) {
    std::array<char, 20> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    line_.append(text.data(), end);
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

namespace {

std::string event_fields(LogFormat format, std::string_view message) {
  if (format == LogFormat::text) return std::string(message);
  LineWriter line(format);
  line.text("message", message);
  return line.take();
}

std::string tell_dropped(LogFormat format, std::size_t lines) {
  const std::string message = std::to_string(lines) + " lines were dropped: the log's reader was too slow";
  return (format == LogFormat::json ? R"("event":"server",)" : "") + event_fields(format, message);
}

}  // namespace

struct Log::Impl {
  LogFormat format;
  std::function<void(const ExchangeRecord&)> on_exchange;
  std::shared_ptr<spdlog::logger> logger;

  void event(spdlog::level::level_enum level, std::string_view message) {
    if (!logger->should_log(level)) return;
    write(level, "server", event_fields(format, message));
  }
  void write(spdlog::level::level_enum level, std::string_view kind, const std::string& fields) {
    if (format == LogFormat::json) {
      std::string line;
      line.reserve(fields.size() + 32);
      line.append("\"event\":\"").append(kind).append("\",").append(fields);
      logger->log(level, spdlog::string_view_t(line));
    } else {
      logger->log(level, spdlog::string_view_t(fields));
    }
  }
};

Log::Log(const LogOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->format = options.format;
  impl_->on_exchange = options.on_exchange;
  const int descriptor = options.to_stdout ? STDOUT_FILENO : STDERR_FILENO;
  auto sink = std::make_shared<BatchingSink>(
      descriptor, [format = options.format](std::size_t lines) { return tell_dropped(format, lines); });
  sink->set_pattern(options.format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z","level":"%l",%v})"
                                                      : "%Y-%m-%d %H:%M:%S.%e %l %v");
  impl_->logger = std::make_shared<spdlog::logger>("weir", std::move(sink));
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
