#include "app/start_obstacles.hpp"

#include <stdexcept>

#include "net/socket_wire.hpp"

namespace weir::app {
namespace {

void look_at_doors(const Config& config, Problems& problems) {
  for (const ListenAddress& door : bind_addresses(config.operators.listen)) {
    for (const ListenAddress& clients_door : bind_addresses(config.listen)) {
      if (!meet(door, clients_door)) continue;
      problems.push_back({config.operators.place, "operator.listen and listen are both " + to_string(door) +
                                                      ", so that each connection would go to either; give one another "
                                                      "port"});
      return;
    }
  }
}

// Whether the file can be read, or there is none.
bool look_at_file(const std::string& path, const Place& place, const char* setting, const Environment& environment,
                  Problems& problems) {
  if (path.empty() || environment.read_file(path)) return true;
  problems.push_back({place, std::string(setting) + ": the file '" + path + "' cannot be read"});
  return false;
}

// What OpenSSL says of what is in the files; `load` throws it.
template <typename Load>
void look_into_file(const Place& place, const char* setting, Problems& problems, Load load) {
  try {
    load();
  } catch (const std::runtime_error& error) {
    problems.push_back({place, std::string(setting) + ": " + error.what()});
  }
}

void look_at_client_tls(const ClientsConfig& clients, const Environment& environment, Problems& problems) {
  const ClientTls& tls = clients.tls;
  if (tls.certificate.empty()) return;
  const bool certificate =
      look_at_file(tls.certificate, clients.place, "clients.tls.certificate", environment, problems);
  const bool key = look_at_file(tls.key, clients.place, "clients.tls.key", environment, problems);
  if (certificate && key)
    look_into_file(clients.place, "clients.tls", problems, [&] { net::make_server_tls(tls.certificate, tls.key); });
}

void look_at_authorities(const UpstreamConfig& upstream, const Environment& environment, Problems& problems) {
  if (look_at_file(upstream.ca_file, upstream.place, "ca_file", environment, problems) && !upstream.ca_file.empty())
    look_into_file(upstream.place, "ca_file", problems, [&] { net::make_client_tls(upstream.ca_file, true); });
}

}  // namespace

void find_obstacles(const Config& config, const Environment& environment, Problems& problems) {
  look_at_doors(config, problems);
  look_at_client_tls(config.clients, environment, problems);
  for (const UpstreamConfig& upstream : config.upstreams) look_at_authorities(upstream, environment, problems);
}

}  // namespace weir::app
