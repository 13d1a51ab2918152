#include "app/start_obstacles.hpp"

#include <stdexcept>

#include "net/socket_wire.hpp"

namespace weir::app {
namespace {

void look_at_doors(const Config& config, Problems& problems) {
  const bool by_default = config.operators.place.source.empty();
  const Place& place = by_default ? config.listen_place : config.operators.place;
  for (const ListenAddress& door : bind_addresses(config.operators.listen)) {
    for (const ListenAddress& clients_door : bind_addresses(config.listen)) {
      if (!meet(door, clients_door)) continue;
      problems.push_back({place, "operator.listen and listen are both " + to_string(door) +
                                     ", so that each connection would go to either; give one another port"});
      return;
    }
  }
}

// Whether the file can be read.
bool look_at_file(const std::string& path, const Place& place, const std::string& setting,
                  const Environment& environment, Problems& problems) {
  if (environment.read_file(path)) return true;
  problems.push_back({place, setting + ": the file '" + path + "' cannot be read"});
  return false;
}

// What OpenSSL says of what is in the files; `load` throws it.
template <typename Load>
void look_into_file(const Place& place, const std::string& setting, Problems& problems, Load load) {
  try {
    load();
  } catch (const std::runtime_error& error) {
    problems.push_back({place, setting + ": " + error.what()});
  }
}

void look_at_client_tls(const ClientTls& tls, const Environment& environment, Problems& problems) {
  if (tls.certificate.empty() || tls.key.empty()) return;  // one without the other has been reported
  const bool certificate =
      look_at_file(tls.certificate, tls.certificate_place, "clients.tls.certificate", environment, problems);
  const bool key = look_at_file(tls.key, tls.key_place, "clients.tls.key", environment, problems);
  if (certificate && key)
    look_into_file(tls.place, "clients.tls", problems, [&] { net::make_server_tls(tls.certificate, tls.key); });
}

void look_at_authorities(const UpstreamConfig& upstream, std::size_t index, const Environment& environment,
                         Problems& problems) {
  if (upstream.ca_file.empty()) return;
  const std::string setting = "upstreams[" + std::to_string(index) + "].ca_file";
  if (look_at_file(upstream.ca_file, upstream.ca_file_place, setting, environment, problems))
    look_into_file(upstream.ca_file_place, setting, problems, [&] { net::make_client_tls(upstream.ca_file, true); });
}

}  // namespace

void find_obstacles(const Config& config, const Environment& environment, Problems& problems) {
  look_at_doors(config, problems);
  look_at_client_tls(config.clients.tls, environment, problems);
  for (std::size_t i = 0; i < config.upstreams.size(); ++i)
    look_at_authorities(config.upstreams[i], i, environment, problems);
}

}  // namespace weir::app
