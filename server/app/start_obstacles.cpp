#include "app/start_obstacles.hpp"

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

void look_at_file(const std::string& path, const Place& place, const char* setting, const Environment& environment,
                  Problems& problems) {
  if (!path.empty() && !environment.read_file(path))
    problems.push_back({place, std::string(setting) + ": the file '" + path + "' cannot be read"});
}

}  // namespace

void find_obstacles(const Config& config, const Environment& environment, Problems& problems) {
  look_at_doors(config, problems);
  const ClientTls& tls = config.clients.tls;
  look_at_file(tls.certificate, config.clients.place, "clients.tls.certificate", environment, problems);
  look_at_file(tls.key, config.clients.place, "clients.tls.key", environment, problems);
  for (const UpstreamConfig& upstream : config.upstreams)
    look_at_file(upstream.ca_file, upstream.place, "ca_file", environment, problems);
}

}  // namespace weir::app
