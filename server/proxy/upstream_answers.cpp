#include "proxy/upstream_answers.hpp"

#include "protocol/error_body.hpp"
#include "proxy/budgets.hpp"
#include "proxy/cause.hpp"
#include "proxy/duration_in_words.hpp"

namespace weir::proxy {
namespace {

using protocol::json_quote;

constexpr std::size_t shown_troubled_max = 100;

std::string in_a_row(unsigned times) {
  return times == 1 ? "once" : std::to_string(times) + " times in a row";
}

void append_account(std::string& out, const std::string& name, const Upstream& upstream,
                    const std::optional<AccountHealth::State>& state, net::Instant now,
                    const std::string& learned = {}) {
  out += out.back() == '[' ? "{" : ",{";
  out += R"("name":)" + json_quote(name) + R"(,"address":)" +
         json_quote((upstream.tls ? "https://" : "http://") + upstream.authority) + R"(,"state":")";
  out += breaker_state(state, now);
  out += R"(","state_words":)" + json_quote(state_in_words(name, state, now));
  if (state) {
    out += R"(,"refusals":)" + std::to_string(state->refusals) + R"(,"failures":)" + std::to_string(state->failures) +
           R"(,"without_money":)" + (state->without_money ? "true" : "false") + R"(,"refuses_key":)" +
           (state->refuses_key ? "true" : "false") + R"(,"last":{"status":)" + std::to_string(state->last.status) +
           R"(,"cause":)" + json_quote(name_of(state->last.cause)) + R"(,"code":)" + json_quote(state->last.code) +
           R"(,"message":)" + json_quote(state->last.message) + "}";
    if (state->rests_until > now) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(state->rests_until - now);
      out += R"(,"rests_for_ms":)" + std::to_string(left.count());
    }
  }
  if (!learned.empty()) out += R"(,"learned":[)" + learned + ']';
  out += '}';
}

}  // namespace

std::string in_words(const Symptom& last) {
  std::string text = last.status == 0 ? "no answer" : "status " + std::to_string(last.status);
  if (!last.code.empty()) text += ", " + last.code;
  if (!last.message.empty()) text += ": " + last.message;
  if (text.back() == '.') text.pop_back();  // the sentence goes on
  return text;
}

std::string_view breaker_state(const std::optional<AccountHealth::State>& state, net::Instant now) {
  if (!state) return "closed";
  if (state->rests_until > now) return "open";
  const bool troubled = state->failures > 0 || state->refusals > 0 || state->without_money || state->refuses_key;
  return troubled ? "half-open" : "closed";
}

std::string state_in_words(const std::string& name, const std::optional<AccountHealth::State>& state,
                           net::Instant now) {
  const std::string_view breaker = breaker_state(state, now);
  if (breaker == "closed") return name + " is ready.";
  std::string text = name;
  if (state->without_money) {
    text += " has no money or quota left";
  } else if (state->refuses_key) {
    text += " does not take the key that weir has for it";
  } else if (state->failures > 0) {
    text += " failed " + in_a_row(state->failures);
  } else {
    text += " turned calls away " + in_a_row(state->refusals);
  }
  text += " (" + in_words(state->last) + ")";
  if (breaker == "half-open") return text + "; the next call finds out.";
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(state->rests_until - now);
  return text + "; it is left alone for " + duration_in_words(left) + ".";
}

std::string upstreams_json(const Settings& settings, const AccountHealth& health, net::Instant now,
                           const std::vector<LearnedAt>& learned) {
  std::string out = R"({"schema":1,"upstreams":[)";
  for (const Upstream& upstream : settings.upstreams) {
    append_account(out, upstream.name, upstream, health.state(upstream.name), now,
                   learned_json(learned, upstream.name, now));
    // Its parts by model, and the accounts that callers brought.
    for (const std::string& prefix : {upstream.name + '/', callers_account(upstream.name, "")}) {
      for (const std::string& name : health.troubled_below(prefix, shown_troubled_max)) {
        append_account(out, name, upstream, health.state(name), now);
      }
    }
  }
  return out + "]}";
}

}  // namespace weir::proxy
