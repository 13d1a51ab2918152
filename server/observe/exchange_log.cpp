#include "observe/exchange_log.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "observe/batching_sink.hpp"
#include "observe/json_text.hpp"
#include "observe/text_writer.hpp"

namespace weir::observe {
namespace {

bool needs_quotes(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return is_control(c) || c == ' ' || c == '"' || c == '='; });
}

// Writes `name=value` or `"name":value`, skipping what is empty.
class LineWriter {
 public:
  // Goes on behind `line`.
  LineWriter(LogFormat format, std::string line)
      : json_(format == LogFormat::json), line_(line_bytes, std::move(line)) {}

  std::string take() { return line_.take(); }

  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    begin(name);
    if (json_ && is_plain_json(value)) {
      line_.write("\"", value, "\"");
    } else if (json_ || needs_quotes(value)) {
      line_.with_string([&](std::string& out) { append_json_string(out, value); });
    } else {
      line_ << value;
    }
  }
  void yes(std::string_view name) {
    begin(name);
    line_ << "true";
  }
  void number(std::string_view name, std::uint64_t value) {
    begin(name);
    line_ << value;
  }
  void number(std::string_view name, const std::optional<std::uint64_t>& value) {
    if (value) number(name, *value);
  }
  void milliseconds(std::string_view name, const std::optional<std::chrono::microseconds>& value) {
    if (!value) return;
    begin(name);
    const auto micros = static_cast<std::uint64_t>(std::max<std::int64_t>(0, value->count()));
    line_ << micros / 1000 << '.';
    line_.digits(micros % 1000, 3);
  }

 private:
  static constexpr std::size_t line_bytes = 512;

  // Names are words of ours: nothing in them needs an escape.
  void begin(std::string_view name) {
    if (json_) {
      line_.write(first_ ? std::string_view("\"") : ",\"", name, "\":");
    } else {
      line_.write(first_ ? std::string_view() : " ", name, "=");
    }
    first_ = false;
  }
  bool json_;
  bool first_ = true;
  TextWriter line_;
};

// Tries that may have been billed and were followed by another.
std::uint64_t possible_double_charges(const std::vector<UpstreamTry>& tries) {
  if (tries.size() < 2) return 0;
  return static_cast<std::uint64_t>(
      std::count_if(tries.begin(), tries.end() - 1, [](const UpstreamTry& each) { return each.unanswered; }));
}

void append_exchange(std::string& out, const ExchangeRecord& record, LogFormat format) {
  LineWriter line(format, std::move(out));
  line.text("request_id", record.request_id);
  line.text("key", record.client);
  line.text("address", record.address);
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
  if (const auto twice = possible_double_charges(record.tries)) line.number("possible_double_charges", twice);
  line.milliseconds("duration_ms", record.duration);
  line.milliseconds("queue_ms", record.queued);
  if (record.queued_upstream.count() > 0) line.milliseconds("upstream_queue_ms", record.queued_upstream);
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
  out = line.take();
}

// The second a line is written in, as text; made once a second and thread.
struct SecondText {
  std::time_t second = -1;
  std::array<char, 20> date_time{};  // 2026-01-31T12:00:00
  std::array<char, 7> offset{};      // +01:00

  LogFormat format = LogFormat::text;

  void set(std::time_t now, LogFormat wanted) {
    if (now == second && format == wanted) return;
    second = now;
    format = wanted;
    std::tm local{};
    ::localtime_r(&now, &local);
    std::strftime(date_time.data(), date_time.size(),
                  format == LogFormat::json ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &local);
    std::array<char, 6> plain{};
    std::strftime(plain.data(), plain.size(), "%z", &local);
    offset = {plain[0], plain[1], plain[2], ':', plain[3], plain[4], '\0'};
  }
};

// What stands before the fields of an exchange: the same as the patterns below say for the server's own events.
void append_time(std::string& out, LogFormat format) {
  thread_local SecondText second;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  second.set(static_cast<std::time_t>(micros / 1'000'000), format);
  const bool json = format == LogFormat::json;
  std::array<char, 7> fraction{'.'};
  auto rest = micros % 1'000'000;
  for (std::size_t i = 6; i > 0; --i, rest /= 10) fraction[i] = static_cast<char>('0' + rest % 10);
  if (json) out += R"({"time":")";
  out += second.date_time.data();
  out.append(fraction.data(), json ? 7 : 4);
  if (json) out += second.offset.data();
}

}  // namespace

std::string format_exchange(const ExchangeRecord& record, LogFormat format) {
  std::string line;
  append_exchange(line, record, format);
  return line;
}

namespace {

// Behind the time, from the level on: `log.level` has its words, which are not those of spdlog.
std::string event_text(LogFormat format, std::string_view level, std::string_view message) {
  std::string text(level);
  if (format == LogFormat::text) return text.append(" ").append(message);
  text = R"("level":")" + text + R"(","event":"server",)";
  LineWriter line(format, std::move(text));
  line.text("message", message);
  return line.take();
}

std::string tell_dropped(LogFormat format, std::size_t lines) {
  return event_text(format, "warn", std::to_string(lines) + " lines were dropped: the log's reader was too slow");
}

}  // namespace

struct Log::Impl {
  LogFormat format;
  std::function<void(const ExchangeRecord&)> on_exchange;
  std::shared_ptr<BatchingSink> sink;
  std::shared_ptr<spdlog::logger> logger;  // of the server's own events, through the same sink

  void event(spdlog::level::level_enum level, std::string_view word, std::string_view message) {
    if (!logger->should_log(level)) return;
    logger->log(level, spdlog::string_view_t(event_text(format, word, message)));
  }
};

Log::Log(const LogOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->format = options.format;
  impl_->on_exchange = options.on_exchange;
  const int descriptor = options.to_stdout ? STDOUT_FILENO : STDERR_FILENO;
  impl_->sink = std::make_shared<BatchingSink>(
      descriptor, [format = options.format](std::size_t lines) { return tell_dropped(format, lines); });
  impl_->sink->set_pattern(options.format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z",%v})"
                                                             : "%Y-%m-%d %H:%M:%S.%e %v");
  impl_->logger = std::make_shared<spdlog::logger>("weir", impl_->sink);
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
  const bool json = impl_->format == LogFormat::json;
  thread_local std::string line;  // its memory is used again
  line.clear();
  append_time(line, impl_->format);
  line += json ? R"(","level":"info","event":"exchange",)" : " info ";
  append_exchange(line, record, impl_->format);
  line += json ? "}\n" : "\n";
  impl_->sink->add(line);
}

void Log::info(std::string_view message) {
  impl_->event(spdlog::level::info, "info", message);
}
void Log::warn(std::string_view message) {
  impl_->event(spdlog::level::warn, "warn", message);
}
void Log::error(std::string_view message) {
  impl_->event(spdlog::level::err, "error", message);
}

}  // namespace weir::observe
