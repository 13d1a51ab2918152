#include "app/upstream_in_words.hpp"

#include <algorithm>

#include "app/units.hpp"
#include "app/words.hpp"
#include "proxy/budgets.hpp"

namespace weir::app {
namespace {

std::string timeouts_text(const proxy::UpstreamTimeouts& timeouts) {
  return "{connect: " + format_duration(timeouts.connect) + ", tls: " + format_duration(timeouts.tls) +
         ", first_byte: " + format_duration(timeouts.first_byte) +
         ", first_content: " + format_duration(timeouts.first_content) +
         ", content_gap: " + format_duration(timeouts.content_gap) +
         ", byte_gap: " + format_duration(timeouts.byte_gap) + ", total: " + format_duration(timeouts.total) + "}";
}

std::string charge_text(const proxy::Charge& charge) {
  return "{rule: " + word_of(charge_rule_words(), charge.rule) +
         ", cached_input: " + (charge.cached_input_free ? "free" : "charged") + "}";
}

std::string caps_text(const std::vector<proxy::OutputCap>& caps) {
  std::vector<std::string> items;
  items.reserve(caps.size());
  for (const proxy::OutputCap& cap : caps)
    items.push_back(cap.parameter + ": " + (cap.includes_thinking ? "answer-and-thinking" : "answer"));
  const std::string list = list_of(items);
  return "{" + list.substr(1, list.size() - 2) + "}";
}

std::string parameters_text(const std::vector<proxy::ParameterRule>& rules) {
  std::string out;
  for (const proxy::ParameterRule& rule : rules)
    out += (out.empty() ? "" : ", ") + rule.name + ": " + word_of(parameter_action_words(), rule.action);
  return "{" + out + "}";
}

// What holds for this model and not for the account as a whole; empty: nothing.
std::string model_text(const proxy::ModelProfile& model, double share) {
  std::string out;
  const auto add = [&](const char* name, const std::string& value) {
    out += (out.empty() ? "" : ", ") + std::string(name) + ": " + value;
  };
  if (!model.base_model.empty()) add("base_model", model.base_model);
  if (model.limits.any()) add("limits", limits_text(model.limits, share));
  if (!model.parameters.empty()) add("parameters", parameters_text(model.parameters));
  if (model.text_only) add("text_only", "true");
  if (model.charge) add("charge", charge_text(*model.charge));
  if (!model.output_caps.empty()) add("output_cap", caps_text(model.output_caps));
  return out;
}

void describe_models(std::ostream& out, const proxy::Upstream& upstream) {
  bool first = true;
  for (const proxy::ModelProfile& model : upstream.models) {
    const std::string text = model_text(model, upstream.share);
    if (text.empty()) continue;
    out << (first ? "    models:\n" : "") << "      " << model.name << ": {" << text << "}\n";
    first = false;
  }
}

std::vector<std::string> query_names(std::string_view query) {
  std::vector<std::string> names;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    // Without a '=' it may be a secret as a whole.
    names.push_back(pair.find('=') == std::string_view::npos ? "****" : std::string(pair.substr(0, pair.find('='))));
  }
  return names;
}

}  // namespace

std::string limits_text(const proxy::Limits& limits, double share) {
  std::string out;
  const auto add = [&](const char* word, const std::string& value) {
    out += (out.empty() ? "" : ", ") + std::string(word) + ": " + value;
  };
  const auto count = [&](const char* word, const std::optional<std::uint64_t>& value) {
    if (value) add(word, std::to_string(proxy::shared_part(*value, share)));
  };
  count("rpm", limits.rpm);
  count("rpd", limits.rpd);
  count("tpm", limits.tpm);
  count("tpd", limits.tpd);
  count("input_tpm", limits.input_tpm);
  count("output_tpm", limits.output_tpm);
  count("concurrency", limits.concurrency);
  if (out.empty()) return "unlimited";
  const proxy::Limits unsaid;
  if (limits.window != unsaid.window) add("window", format_duration(limits.window));
  if (limits.guard != unsaid.guard) add("guard", format_duration(limits.guard));
  if (limits.pacing != unsaid.pacing) add("pacing", format_duration(limits.pacing));
  count("burst", limits.burst);
  if (limits.day_reset != unsaid.day_reset) add("day_reset", format_duration(limits.day_reset));
  return "{" + out + "}";
}

std::string list_of(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + item;
  return "[" + out + "]";
}

std::string base_url(const proxy::Upstream& upstream) {
  return (upstream.tls ? "https://" : "http://") + upstream.authority;
}

void describe_upstream(std::ostream& out, const proxy::Upstream& upstream) {
  out << "  - name: " << upstream.name << "\n    provider: " << upstream.provider
      << "\n    base_url: " << base_url(upstream) << "\n    api_key: "
      << (upstream.api_key.empty() ? "none (the caller's own goes upstream)" : masked(upstream.api_key))
      << "\n    auth: " << word_of(auth_words(), upstream.auth) << "\n    paths:";
  for (std::size_t i = 0; i < upstream.families.size(); ++i) {
    const auto api = static_cast<protocol::Api>(i);
    out << (i ? ", " : " ") << protocol::name_of(api) << " "
        << (upstream.families[i].served ? (upstream.families[i].prefix.empty() ? "/" : upstream.families[i].prefix)
                                        : "not served");
  }
  std::vector<std::string> headers;
  headers.reserve(upstream.headers.size());
  for (const auto& header : upstream.headers) headers.push_back(header.first);
  if (!headers.empty()) out << "\n    headers: " << list_of(headers);
  if (!upstream.query.empty()) out << "\n    query: " << list_of(query_names(upstream.query));
  if (!upstream.ca_file.empty()) out << "\n    ca_file: " << upstream.ca_file;
  if (!upstream.verify_tls) out << "\n    verify_tls: false";
  out << "\n    limits: " << limits_text(upstream.limits, upstream.share);
  if (upstream.share != 1.0) out << "   # this instance's share of " << format_fraction(upstream.share);
  out << "\n    reserve: " << (upstream.reserves_cap ? "cap" : "forecast")
      << "\n    charge: " << charge_text(upstream.charge);
  if (!upstream.output_caps.empty()) out << "\n    output_cap: " << caps_text(upstream.output_caps);
  out << "\n    timeouts: " << timeouts_text(upstream.timeouts) << "\n";
  if (upstream.batch)
    out << "    batch: {path: " << upstream.batch->path
        << ", limits: " << limits_text(upstream.batch->limits, upstream.share)
        << ", timeouts: " << timeouts_text(upstream.batch->timeouts) << "}\n";
  describe_models(out, upstream);
}

std::string masked(std::string_view secret) {
  constexpr std::size_t long_enough = 12;
  return secret.size() < long_enough ? "****" : "****" + std::string(secret.substr(secret.size() - 4));
}

}  // namespace weir::app
