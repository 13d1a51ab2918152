#include "app/check.hpp"

#include <sstream>

#include "app/units.hpp"
#include "app/upstream_in_words.hpp"
#include "app/words.hpp"

namespace weir::app {
namespace {

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
  if (target.order != 1) out += " (order " + std::to_string(target.order) + ")";
  return out;
}

void describe_key(std::ostream& out, const proxy::ClientKey& key) {
  out << "  - name: " << key.name << "\n    limits: " << limits_text(key.limits, 1.0);
  if (!key.team.empty()) out << "\n    team: " << key.team;
  out << "\n    models: " << (key.models.empty() ? "all" : list_of(key.models)) << "\n    weight: " << key.weight
      << "\n    priority: " << key.priority << "\n";
  if (!key.upstreams.empty()) out << "    upstreams: " << list_of(key.upstreams) << "\n";
  if (!key.default_upstream.empty()) out << "    default_upstream: " << key.default_upstream << "\n";
  if (!key.heartbeat) out << "    heartbeat: false\n";
}

void describe_team(std::ostream& out, const proxy::Team& team) {
  out << "  " << team.name << ": {limits: " << limits_text(team.limits, 1.0);
  if (team.weight != 0) out << ", weight: " << team.weight;
  out << "}\n";
}

void describe_clients(std::ostream& out, const Loaded& loaded) {
  const proxy::ClientPolicy& clients = loaded.settings->clients;
  const ClientTls& tls = loaded.config.clients.tls;
  out << "clients: {mode: " << word_of(client_mode_words(), clients.mode);
  if (clients.open_anywhere) out << ", open: anywhere";
  if (!clients.hosts.empty()) out << ", hosts: " << list_of(clients.hosts);
  if (!clients.origins.empty()) out << ", origins: " << list_of(clients.origins);
  if (!tls.certificate.empty()) out << ", tls: {certificate: " << tls.certificate << ", key: " << tls.key << "}";
  out << "}   # " << loaded.mode_reason << "\n";
}

const char* on_off(bool on) {
  return on ? "true" : "false";
}

// How calls wait, are kept alive, are given up and tried again.
void describe_waiting(std::ostream& out, const Config& config) {
  out << "queue: {wait_max: " << format_duration(config.queue.wait_max)
      << ", requests_max: " << config.queue.requests_max
      << ", bytes_max: " << format_size(config.queue.bytes_max.value_or(0))
      << ", oversize: " << (config.queue.refuse_oversize ? "refuse" : "alone") << "}\n"
      << "heartbeat: {first_after: " << format_duration(config.heartbeat.first_after)
      << ", stream_every: " << format_duration(config.heartbeat.stream_every)
      << ", json_after: " << format_duration(config.heartbeat.json_after)
      << ", json_every: " << format_duration(config.heartbeat.json_every) << "}\n"
      << "timeouts: {client_header: " << format_duration(config.timeouts.client_header)
      << ", client_body: " << format_duration(config.timeouts.client_body)
      << ", client_idle: " << format_duration(config.timeouts.client_idle) << "}   # the others: see upstreams\n"
      << "retry: {enabled: " << on_off(config.retry.enabled)
      << ", after_send: " << (config.retry.after_send ? "budgeted" : "off") << ", tries_max: " << config.retry.tries_max
      << ", refusals_max: " << config.retry.refusals_max << ", pause_min: " << format_duration(config.retry.pause_min)
      << ", pause_max: " << format_duration(config.retry.pause_max)
      << ", kept_bodies_max: " << format_size(config.retry.kept_bodies_max.value_or(0)) << "}\n"
      << "breaker: {enabled: " << on_off(config.breaker.enabled)
      << ", wait_max: " << format_duration(config.breaker.wait_max) << "}\n"
      << "learn: {enabled: " << on_off(config.learn.enabled) << ", keep: " << format_duration(config.learn.keep)
      << ", start: " << config.learn.start << "}\n";
}

void describe_process(std::ostream& out, const Config& config) {
  out << "limits: {body_bytes_max: " << format_size(config.limits.body_bytes_max)
      << ", bodies_bytes_max: " << format_size(config.limits.bodies_bytes_max.value_or(0))
      << ", header_bytes_max: " << format_size(config.limits.header_bytes_max)
      << ", header_count_max: " << config.limits.header_count_max
      << ", json_depth_max: " << config.limits.json_depth_max << ", connections_max: " << config.limits.connections_max
      << "}\n"
      << "log: {format: " << word_of(log_format_words(), config.log.format) << ", level: " << config.log.level
      << ", stream: " << word_of(log_stream_words(), config.log.stream) << "}\n"
      << "shutdown: {announce: " << format_duration(config.shutdown.announce)
      << ", drain: " << format_duration(config.shutdown.drain) << "}\n"
      << "state_file: " << (config.state_file.empty() ? "none" : config.state_file)
      << "\nstart_guard: " << format_duration(config.start_guard) << "\n";
}

}  // namespace

std::string describe(const Loaded& loaded) {
  const Config& config = loaded.config;
  const proxy::Settings& settings = *loaded.settings;
  std::ostringstream out;
  out << "listen: " << addresses(config.listen) << "\noperator: {listen: " << addresses(config.operators.listen)
      << ", token: " << (config.operators.token.empty() ? "none" : masked(config.operators.token)) << "}\n";
  describe_clients(out, loaded);
  out << "workers: " << config.workers.value_or(1) << "\nupstreams:\n";
  for (const auto& upstream : settings.upstreams) describe_upstream(out, upstream);
  out << "models:\n";
  for (const auto& route : settings.routes) {
    out << "  " << route.pattern << ":";
    for (std::size_t i = 0; i < route.targets.size(); ++i)
      out << (i ? ", " : " ") << target_text(settings, route.targets[i]);
    out << (route.listed ? "\n" : "   # not listed\n");
  }
  if (!settings.clients.teams.empty()) out << "teams:\n";
  for (const auto& team : settings.clients.teams) describe_team(out, team);
  if (!settings.clients.keys.empty()) out << "keys:\n";
  for (const auto& key : settings.clients.keys) describe_key(out, key);
  describe_waiting(out, config);
  describe_process(out, config);
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
