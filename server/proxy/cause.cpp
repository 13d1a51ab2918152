#include "proxy/cause.hpp"

#include <algorithm>
#include <cctype>

#include "protocol/rate_limit_headers.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {
namespace {

using std::chrono::milliseconds;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool fits(const std::string& pattern, const std::string& text) {
  return pattern.empty() || matches_pattern(pattern, text);
}

// "Please try again in 1.798s", "Please retry in 36.9s.", "in 496ms": what some say only in words.
std::optional<milliseconds> hint_in_words(const std::string& message) {
  for (const std::string_view marker : {"try again in ", "retry in ", "retry after "}) {
    const auto at = message.find(marker);
    if (at == std::string::npos) continue;
    std::string_view rest = std::string_view(message).substr(at + marker.size());
    std::size_t size = 0;
    while (size < rest.size() && (std::isdigit(static_cast<unsigned char>(rest[size])) || rest[size] == '.' ||
                                  rest[size] == 'h' || rest[size] == 'm' || rest[size] == 's')) {
      ++size;
    }
    rest = rest.substr(0, size);
    while (rest.ends_with('.')) rest.remove_suffix(1);
    if (const auto duration = protocol::parse_duration(rest)) return duration;
    // "try again in 20 seconds"
    if (message.find("second", at) != std::string::npos) {
      if (const auto duration = protocol::parse_duration(std::string(rest) + "s")) return duration;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Cause cause) {
  constexpr std::string_view names[] = {"minute-budget", "ramp", "concurrency", "overload", "quota", "caller", "fault"};
  return names[static_cast<std::size_t>(cause)];
}

Diagnosis diagnose(int status, const net::MessageHead& head, const protocol::UpstreamError& error,
                   const std::vector<ErrorRule>& rules, std::chrono::system_clock::time_point now) {
  Diagnosis diagnosis;
  const std::string message = lower(error.message);
  diagnosis.cause = status == 200 ? Cause::fault : status >= 400 && status < 500 ? Cause::caller : Cause::fault;
  for (const ErrorRule& rule : rules) {
    // An error inside a 200 has no status of its own: its code and words have to tell.
    const bool told_by_body = !rule.code.empty() || !rule.type.empty() || !rule.words.empty() || !rule.source.empty();
    if (status == 200 ? !told_by_body : rule.status && *rule.status != status) continue;
    if (!fits(rule.code, error.code) || !fits(rule.type, error.type) || !fits(rule.source, error.limit_source))
      continue;
    if (!rule.words.empty() && message.find(rule.words) == std::string::npos) continue;
    diagnosis.cause = rule.cause;
    diagnosis.of_model = rule.scope == "model";
    diagnosis.meter = rule.meter;
    break;
  }
  protocol::HeaderFields fields;
  for (const net::Field& field : head.fields) fields.emplace_back(field.name, field.value);
  const auto headers = protocol::parse_rate_limit_headers(fields, std::chrono::floor<milliseconds>(now));
  diagnosis.hint = headers.retry_after;
  if (!diagnosis.hint) diagnosis.hint = headers.next_window;
  if (!diagnosis.hint && !error.retry_delay.empty()) diagnosis.hint = protocol::parse_duration(error.retry_delay);
  if (!diagnosis.hint) diagnosis.hint = hint_in_words(message);
  // An upstream that says itself that coming back is pointless is believed.
  if (headers.should_retry == false && diagnosis.cause != Cause::quota) diagnosis.cause = Cause::caller;
  return diagnosis;
}

}  // namespace weir::proxy
