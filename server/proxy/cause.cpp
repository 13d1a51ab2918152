#include "proxy/cause.hpp"

#include <algorithm>
#include <cctype>

#include "protocol/rate_limit_headers.hpp"
#include "protocol/wait_in_words.hpp"
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

// The status that an error inside a 200 carries as its code, as OpenRouter's and vLLM's do; 0: none.
int status_in(const std::string& code) {
  const bool is_status = code.size() == 3 && (code[0] == '4' || code[0] == '5') &&
                         std::all_of(code.begin(), code.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return is_status ? std::stoi(code) : 0;
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
  if (const int told = status_in(error.code); status == 200 && told != 0) status = told;
  diagnosis.cause = status == 200 ? Cause::fault : status >= 400 && status < 500 ? Cause::caller : Cause::fault;
  for (const ErrorRule& rule : rules) {
    // An error inside a 200 without a status of its own: its code and words have to tell.
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
  if (!diagnosis.hint) diagnosis.hint = protocol::wait_in_words(message);
  // Mistral: no minute brings back what is left of the month. It counts by model.
  if (diagnosis.cause == Cause::minute_budget && headers.tokens_of_month.remaining == 0u) {
    diagnosis = Diagnosis{.cause = Cause::quota, .of_model = true, .meter = {}, .hint = {}};
  }
  // An upstream that says itself that coming back is pointless is believed.
  if (headers.should_retry == false && diagnosis.cause != Cause::quota) diagnosis.cause = Cause::caller;
  return diagnosis;
}

}  // namespace weir::proxy
