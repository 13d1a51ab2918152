#include "app/words.hpp"

#include <algorithm>
#include <cctype>

#include "app/units.hpp"
#include "net/hex.hpp"

namespace weir::app {
namespace {

constexpr std::string_view hash_prefix = "sha256:";

WordTable<std::string> same_words(std::initializer_list<std::string> words) {
  WordTable<std::string> table;
  for (const auto& word : words) table.emplace_back(word, word);
  return table;
}

}  // namespace

const WordTable<proxy::ClientMode>& client_mode_words() {
  static const WordTable<proxy::ClientMode> table{{"keys", proxy::ClientMode::keys},
                                                  {"pass-through", proxy::ClientMode::pass_through},
                                                  {"open", proxy::ClientMode::open}};
  return table;
}

const WordTable<proxy::AuthStyle>& auth_words() {
  static const WordTable<proxy::AuthStyle> table{{"bearer", proxy::AuthStyle::bearer},
                                                 {"api-key", proxy::AuthStyle::api_key_header},
                                                 {"x-api-key", proxy::AuthStyle::x_api_key},
                                                 {"none", proxy::AuthStyle::none}};
  return table;
}

const WordTable<proxy::ParameterAction>& parameter_action_words() {
  static const WordTable<proxy::ParameterAction> table{{"forward", proxy::ParameterAction::forward},
                                                       {"ignore", proxy::ParameterAction::ignore},
                                                       {"drop", proxy::ParameterAction::drop},
                                                       {"reject", proxy::ParameterAction::reject}};
  return table;
}

const WordTable<proxy::ChargeRule>& charge_rule_words() {
  static const WordTable<proxy::ChargeRule> table{{"max-or-estimate", proxy::ChargeRule::max_or_estimate},
                                                  {"estimate-plus-max", proxy::ChargeRule::estimate_plus_max},
                                                  {"input-then-output", proxy::ChargeRule::input_then_output},
                                                  {"actual", proxy::ChargeRule::actual},
                                                  {"none", proxy::ChargeRule::none}};
  return table;
}

const WordTable<LogFormat>& log_format_words() {
  static const WordTable<LogFormat> table{
      {"auto", LogFormat::automatic}, {"text", LogFormat::text}, {"json", LogFormat::json}};
  return table;
}

const WordTable<LogStream>& log_stream_words() {
  static const WordTable<LogStream> table{{"stderr", LogStream::standard_error},
                                          {"stdout", LogStream::standard_output}};
  return table;
}

const WordTable<std::string>& log_level_words() {
  static const WordTable<std::string> table = same_words({"trace", "debug", "info", "warn", "error"});
  return table;
}

const WordTable<std::string>& priority_words() {
  static const WordTable<std::string> table = same_words({"interactive", "normal", "background"});
  return table;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

void read_limits(Section& section, LimitsConfig& into) {
  section.limit("rpm", into.rpm);
  section.limit("rpd", into.rpd);
  section.limit("tpm", into.tpm);
  section.limit("tpd", into.tpd);
  section.limit("input_tpm", into.input_tpm);
  section.limit("output_tpm", into.output_tpm);
  section.limit("concurrency", into.concurrency);
  section.duration("window", into.window, {.min = 1s, .max = 24h});
  section.duration("guard", into.guard, {.min = 0ms, .max = 10s});
  section.duration("pacing", into.pacing, {.min = 100ms, .max = 24h});
  section.limit("burst", into.burst);
  section.duration("day_reset", into.day_reset, {.min = 0ms, .max = 24h});
  const auto within_window = [&](std::string_view key, const std::optional<Duration>& said) {
    if (!said || !into.window || *said <= *into.window) return;
    section.problem(
        key, "expected at most the window of " + format_duration(*into.window) + ", found " + format_duration(*said));
  };
  within_window("guard", into.guard);
  within_window("pacing", into.pacing);
}

void read_limited_by(Section& section, LimitedBy& into) {
  section.name("tier", into.tier);
  section.section("limits", [&](Section& limits) { read_limits(limits, into.limits); });
}

void read_parameters(Section& section, std::vector<proxy::ParameterRule>& into) {
  section.section("parameters", [&](Section& parameters) {
    parameters.each_word("*", [&](const std::string& name) {
      proxy::ParameterRule rule;
      rule.name = name;
      parameters.choice(name, rule.action, parameter_action_words());
      into.push_back(std::move(rule));
    });
  });
}

std::string header_fault(const std::string& name, const std::string& value) {
  static constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  const bool token = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) || others.find(static_cast<char>(c)) != std::string_view::npos);
  });
  if (!token) return "'" + name + "' is not a header name";
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  // Framing and hop-by-hop headers belong to the connection; the key has its own setting so that it can be masked.
  for (const std::string_view own :
       {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect", "keep-alive",
        "proxy-authorization", "proxy-connection", "accept-encoding"}) {
    if (lower == own) return "'" + name + "' is set by weir itself";
  }
  if (lower == "authorization" || lower == "api-key" || lower == "x-api-key")
    return "put the key of '" + name + "' into api_key";
  if (std::any_of(value.begin(), value.end(), [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; })) {
    return "the value of '" + name + "' has a line end or a control character in it";
  }
  return {};
}

bool parse_key_hash(std::string_view text, std::array<std::uint8_t, 32>& into) {
  if (!text.starts_with(hash_prefix)) return false;
  text.remove_prefix(hash_prefix.size());
  if (text.size() != into.size() * 2) return false;
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = net::hex_value(text[2 * i]);
    const int low = net::hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  into = bytes;
  return true;
}

std::string format_key_hash(const std::array<std::uint8_t, 32>& hash) {
  return std::string(hash_prefix) + net::to_hex(hash);
}

}  // namespace weir::app
