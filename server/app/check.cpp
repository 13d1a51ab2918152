#include "app/check.hpp"

#include <sstream>

#include "app/units.hpp"
#include "app/words.hpp"

namespace weir::app {
namespace {

std::string limits_text(const proxy::Limits& limits, double share) {
  std::string out;
  const auto add = [&](const char* word, const std::optional<std::uint64_t>& value) {
    if (!value) return;
    const auto part = static_cast<std::uint64_t>(static_cast<double>(*value) * share);
    out += (out.empty() ? "" : ", ") + std::string(word) + ": " + std::to_string(part);
  };
  add("rpm", limits.rpm);
  add("rpd", limits.rpd);
  add("tpm", limits.tpm);
  add("tpd", limits.tpd);
  add("input_tpm", limits.input_tpm);
  add("output_tpm", limits.output_tpm);
  add("concurrency", limits.concurrency);
  if (out.empty()) return "unlimited";
  if (limits.window != Duration{60'000}) out += ", window: " + format_duration(limits.window);
  return "{" + out + "}";
}

std::string base_url(const proxy::Upstream& upstream) {
  return (upstream.tls ? "https://" : "http://") + upstream.authority;
}

std::string list_of(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + item;
  return "[" + out + "]";
}

std::string addresses(const std::vector<ListenAddress>& listen) {
  std::vector<std::string> shown;
  shown.reserve(listen.size());
  for (const auto& address : listen) shown.push_back(to_string(address));
  return list_of(shown);
}

std::string target_text(const proxy::Settings& settings, const proxy::Target& target) {
  std::string out = settings.upstreams[target.upstream].name;
  if (!target.model.empty()) out += " as " + target.model;
  if (target.weight != 1) out += " (weight " + std::to_string(target.weight) + ")";
  return out;
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
  out << "\n    limits: " << limits_text(upstream.limits, upstream.share);
  if (upstream.share != 1.0) out << "   # this instance's share of " << format_fraction(upstream.share);
  if (upstream.batch)
    out << "\n    batch: {path: " << upstream.batch->path
        << ", limits: " << limits_text(upstream.batch->limits, upstream.share) << "}";
  out << "\n    timeouts: {connect: " << format_duration(upstream.timeouts.connect)
      << ", tls: " << format_duration(upstream.timeouts.tls)
      << ", first_byte: " << format_duration(upstream.timeouts.first_byte)
      << ", first_content: " << format_duration(upstream.timeouts.first_content)
      << ", content_gap: " << format_duration(upstream.timeouts.content_gap)
      << ", byte_gap: " << format_duration(upstream.timeouts.byte_gap)
      << ", total: " << format_duration(upstream.timeouts.total) << "}\n";
}

void describe_key(std::ostream& out, const proxy::ClientKey& key) {
  out << "  - name: " << key.name << "\n    limits: " << limits_text(key.limits, 1.0);
  if (!key.team.empty()) out << "\n    team: " << key.team;
  out << "\n    models: " << (key.models.empty() ? "all" : list_of(key.models)) << "\n    weight: " << key.weight
      << "\n    priority: " << key.priority << "\n";
}

}  // namespace

std::string masked(std::string_view secret) {
  constexpr std::size_t long_enough = 12;
  return secret.size() < long_enough ? "****" : "****" + std::string(secret.substr(secret.size() - 4));
}

std::string describe(const Loaded& loaded) {
  const Config& config = loaded.config;
  const proxy::Settings& settings = *loaded.settings;
  std::ostringstream out;
  out << "listen: " << addresses(config.listen) << "\noperator: {listen: " << addresses(config.operators.listen)
      << ", token: " << (config.operators.token.empty() ? "none" : masked(config.operators.token)) << "}\n"
      << "clients: {mode: " << word_of(client_mode_words(), settings.clients.mode) << "}   # " << loaded.mode_reason
      << "\n"
      << "workers: " << config.workers.value_or(1) << "\nupstreams:\n";
  for (const auto& upstream : settings.upstreams) describe_upstream(out, upstream);
  out << "models:\n";
  for (const auto& route : settings.routes) {
    out << "  " << route.pattern << ":";
    for (std::size_t i = 0; i < route.targets.size(); ++i)
      out << (i ? ", " : " ") << target_text(settings, route.targets[i]);
    out << "\n";
  }
  if (!settings.clients.keys.empty()) out << "keys:\n";
  for (const auto& key : settings.clients.keys) describe_key(out, key);
  out << "queue: {wait_max: " << format_duration(config.queue.wait_max)
      << ", requests_max: " << config.queue.requests_max
      << ", bytes_max: " << format_size(config.queue.bytes_max.value_or(0)) << "}\n"
      << "limits: {body_bytes_max: " << format_size(config.limits.body_bytes_max)
      << ", header_bytes_max: " << format_size(config.limits.header_bytes_max) << "}\n"
      << "shutdown: {announce: " << format_duration(config.shutdown.announce)
      << ", drain: " << format_duration(config.shutdown.drain) << "}\n";
  for (const auto& warning : loaded.warnings) out << "# warning: " << warning << "\n";
  return out.str();
}

std::string start_summary(const Loaded& loaded) {
  const proxy::Settings& settings = *loaded.settings;
  std::ostringstream out;
  out << "clients: " << word_of(client_mode_words(), settings.clients.mode) << " (" << loaded.mode_reason << ")\n";
  for (const auto& upstream : settings.upstreams) {
    std::vector<std::string> models;
    for (const auto& route : settings.routes) {
      for (const auto& target : route.targets) {
        if (&settings.upstreams[target.upstream] == &upstream && models.size() < 8) models.push_back(route.pattern);
      }
    }
    out << "upstream " << upstream.name << ": " << base_url(upstream) << ", provider " << upstream.provider << ", key "
        << (upstream.api_key.empty() ? "of the caller" : masked(upstream.api_key)) << ", limits "
        << limits_text(upstream.limits, upstream.share);
    if (upstream.share != 1.0) out << " (share " << format_fraction(upstream.share) << ")";
    out << ", models " << list_of(models) << "\n";
  }
  return out.str();
}

}  // namespace weir::app
