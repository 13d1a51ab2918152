#include "simulator/behaviour.hpp"

#include <array>
#include <charconv>

#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

// An answer that does not stream is put together in memory.
constexpr std::uint64_t output_tokens_max = 10'000'000;

// Each of these reads one header's value; false: it makes no sense.
bool read(std::string_view text, Duration& value) {
  const auto parsed = parse_duration(text);
  if (parsed) value = *parsed;
  return parsed.has_value();
}
bool read(std::string_view text, std::uint64_t& value) {
  const auto parsed = parse_count(text);
  if (parsed) value = *parsed;
  return parsed.has_value();
}
bool read(std::string_view text, std::optional<std::uint64_t>& value) {
  return read(text, value.emplace());
}
bool read(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 1e9;
}
bool read(std::string_view text, bool& value) {
  value = text == "1" || text == "true" || text == "on";
  return value || text == "0" || text == "false" || text == "off";
}
bool read(std::string_view text, std::string& value) {
  value = text;
  return true;
}
bool read(std::string_view text, int& status) {
  std::uint64_t value = 0;
  if (!read(text, value) || value < 200 || value > 599) return false;
  status = static_cast<int>(value);
  return true;
}
bool read(std::string_view text, std::optional<FailFirst>& value) {
  return (value = parse_fail_first(text)).has_value();
}

bool read(std::string_view text, FailRate& value) {
  const auto parsed = parse_fail_rate(text);
  if (parsed) value = *parsed;
  return parsed.has_value();
}

bool read(std::string_view text, Cutting& cutting) {
  if (text == "each" || text == "merge") {
    cutting.mode = text == "each" ? Cutting::Mode::each : Cutting::Mode::merge;
    return true;
  }
  const auto bytes = parse_count(text);
  if (!bytes || *bytes == 0 || *bytes > 64 * 1024) return false;
  cutting = {Cutting::Mode::bytes, static_cast<std::size_t>(*bytes)};
  return true;
}

bool read_drop(std::string_view text, Faults& faults) {
  faults.drop_after_head = text == "head";
  return faults.drop_after_head || read(text, faults.drop_after);
}

// "crlf", "lf", "close", "chunked", or several with commas between.
bool read_framing(std::string_view text, Behaviour& behaviour) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == "crlf") {
      behaviour.crlf = true;
    } else if (item == "close") {
      behaviour.until_close = true;
    } else if (item == "chunked") {
      behaviour.chunked = true;
    } else if (item != "lf") {
      return false;
    }
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return true;
}

struct Header {
  std::string_view name;  // without x-sim-
  bool (*read)(std::string_view text, Behaviour& behaviour);
};
constexpr std::array headers{
    Header{"ttft", [](std::string_view t, Behaviour& b) { return read(t, b.ttft); }},
    Header{"tokens-per-second", [](std::string_view t, Behaviour& b) { return read(t, b.tokens_per_second); }},
    Header{"output-tokens",
           [](std::string_view t, Behaviour& b) {
             return read(t, b.output_tokens) && b.output_tokens <= output_tokens_max;
           }},
    Header{"reasoning-tokens", [](std::string_view t, Behaviour& b) { return read(t, b.reasoning_tokens); }},
    Header{"cached-tokens", [](std::string_view t, Behaviour& b) { return read(t, b.cached_tokens); }},
    Header{"keepalive-every", [](std::string_view t, Behaviour& b) { return read(t, b.keepalive_every); }},
    Header{"early-head", [](std::string_view t, Behaviour& b) { return read(t, b.early_head); }},
    Header{"scenario", [](std::string_view t, Behaviour& b) { return read(t, b.scenario); }},
    Header{"fail-first", [](std::string_view t, Behaviour& b) { return read(t, b.fail_first); }},
    Header{"fail-rate", [](std::string_view t, Behaviour& b) { return read(t, b.fail_rate); }},
    Header{"fault-count", [](std::string_view t, Behaviour& b) { return read(t, b.fault_count); }},
    Header{"status", [](std::string_view t, Behaviour& b) { return read(t, b.faults.status); }},
    Header{"error-code", [](std::string_view t, Behaviour& b) { return read(t, b.error_code); }},
    Header{"error-message", [](std::string_view t, Behaviour& b) { return read(t, b.error_message); }},
    Header{"error-body", [](std::string_view t, Behaviour& b) { return read(t, b.error_body); }},
    Header{"retry-after", [](std::string_view t, Behaviour& b) { return read(t, b.retry_after); }},
    Header{"stall-after", [](std::string_view t, Behaviour& b) { return read(t, b.faults.stall_after); }},
    Header{"drop-after", [](std::string_view t, Behaviour& b) { return read_drop(t, b.faults); }},
    Header{"end-after", [](std::string_view t, Behaviour& b) { return read(t, b.faults.end_after); }},
    Header{"error-after", [](std::string_view t, Behaviour& b) { return read(t, b.faults.error_after); }},
    Header{"error-in-200", [](std::string_view t, Behaviour& b) { return read(t, b.faults.error_in_200); }},
    Header{"chunking", [](std::string_view t, Behaviour& b) { return read(t, b.cutting); }},
    Header{"framing", [](std::string_view t, Behaviour& b) { return read_framing(t, b); }},
    Header{"encoding", [](std::string_view t, Behaviour& b) { return (b.gzip = t == "gzip") || t == "identity"; }},
    Header{"close-after", [](std::string_view t, Behaviour& b) { return read(t, b.close_after); }},
};

}  // namespace

Duration Behaviour::token_interval() const {
  return tokens_per_second > 0 ? Duration(static_cast<Duration::rep>(1e9 / tokens_per_second)) : Duration(0);
}

std::variant<Behaviour, std::string> read_behaviour(const Options& options, const net::RequestHead& head) {
  constexpr std::string_view prefix = "x-sim-";
  Behaviour behaviour;
  behaviour.ttft = options.ttft;
  behaviour.tokens_per_second = options.tokens_per_second;
  behaviour.output_tokens = options.output_tokens;
  behaviour.keepalive_every = options.keepalive_every;
  behaviour.fail_rate = options.fail_rate;
  for (const net::Field& field : head.fields) {
    if (field.name.size() <= prefix.size() || !net::equals_ignoring_case(field.name.substr(0, prefix.size()), prefix))
      continue;
    const std::string_view name = field.name.substr(prefix.size());
    const Header* known = nullptr;
    for (const Header& header : headers) {
      if (net::equals_ignoring_case(header.name, name)) known = &header;
    }
    if (!known) return join("the simulated provider does not know the header ", field.name);
    if (!known->read(field.value, behaviour))
      return join("'", field.value, "' is no value for the header ", field.name);
  }
  return behaviour;
}

}  // namespace weir::simulator
