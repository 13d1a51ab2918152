#include "app/restart_needs.hpp"

#include <algorithm>

namespace weir::app {
namespace {

bool same(const std::vector<ListenAddress>& a, const std::vector<ListenAddress>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const ListenAddress& left, const ListenAddress& right) {
    return left.host == right.host && left.port == right.port;
  });
}

}  // namespace

std::vector<std::string> needs_restart(const Config& started_with, const Config& read) {
  std::vector<std::string> names;
  const auto unless = [&](bool unchanged, const char* name) {
    if (!unchanged) names.emplace_back(name);
  };
  const Config &a = started_with, &b = read;
  unless(same(a.listen, b.listen), "listen");
  unless(same(a.operators.listen, b.operators.listen), "operator.listen");
  unless(a.workers == b.workers, "workers");
  unless(a.limits.connections_max == b.limits.connections_max, "limits.connections_max");
  unless(a.log.format == b.log.format, "log.format");
  unless(a.log.stream == b.log.stream, "log.stream");
  unless(a.shutdown.announce == b.shutdown.announce, "shutdown.announce");
  unless(a.shutdown.drain == b.shutdown.drain, "shutdown.drain");
  unless(a.state_file == b.state_file, "state_file");
  return names;
}

}  // namespace weir::app
