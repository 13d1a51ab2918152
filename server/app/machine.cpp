#include "app/machine.hpp"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

namespace weir::app {
namespace {

constexpr const char* cgroup_root = "/sys/fs/cgroup";

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string whole_file(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<std::uint64_t> number(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 18)
    return std::nullopt;
  return std::stoull(text);
}

template <class T>
void tighten(std::optional<T>& limit, const std::optional<T>& other) {
  if (other) limit = std::min(limit.value_or(*other), *other);
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == word) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// Calls `read` with the folder of a cgroup and of each one above it, the root's last.
template <class Read>
void each_level(const std::string& mount, std::string_view path, Read read) {
  if (path.find("..") != std::string_view::npos) path = {};  // outside what this process can see
  while (!path.empty() && path != "/") {
    read(mount + std::string(path));
    path = path.substr(0, path.rfind('/'));
  }
  read(mount);
}

std::optional<std::uint64_t> memory_limit() {
  return cgroup_limits(cgroup_root, whole_file("/proc/self/cgroup")).memory_bytes;
}

}  // namespace

std::optional<unsigned> cpus_of_quota(std::string_view cpu_max) {
  std::istringstream words{std::string(cpu_max)};
  std::string quota, period;
  words >> quota >> period;
  const auto microseconds = number(quota), every = number(period);
  if (!microseconds || !every || *every == 0) return std::nullopt;  // "max 100000"
  return static_cast<unsigned>(std::max<std::uint64_t>(1, (*microseconds + *every - 1) / *every));
}

CgroupLimits cgroup_limits(const std::string& root, std::string_view memberships) {
  CgroupLimits limits;
  std::istringstream lines{std::string(memberships)};
  for (std::string line; std::getline(lines, line);) {  // "4:memory:/path", or "0::/path" for version 2
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    const std::string_view path = std::string_view(line).substr(second + 1);
    if (controllers.empty()) {
      each_level(root, path, [&](const std::string& folder) {
        tighten(limits.cpus, cpus_of_quota(first_line(folder + "/cpu.max")));
        tighten(limits.memory_bytes, number(first_line(folder + "/memory.max")));
      });
    }
    if (has_word(controllers, "cpu")) {
      each_level(root + "/cpu", path, [&](const std::string& folder) {
        tighten(limits.cpus, cpus_of_quota(first_line(folder + "/cpu.cfs_quota_us") + " " +
                                           first_line(folder + "/cpu.cfs_period_us")));
      });
    }
    if (has_word(controllers, "memory")) {
      each_level(root + "/memory", path, [&](const std::string& folder) {
        tighten(limits.memory_bytes, number(first_line(folder + "/memory.limit_in_bytes")));
      });
    }
  }
  return limits;
}

unsigned default_workers() {
  cpu_set_t set;
  CPU_ZERO(&set);
  unsigned cpus = 1;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) cpus = static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
  return std::min(cpus, cgroup_limits(cgroup_root, whole_file("/proc/self/cgroup")).cpus.value_or(cpus));
}

std::size_t share_of_memory(std::optional<std::uint64_t> limit, std::uint64_t fifths, std::uint64_t most) {
  return static_cast<std::size_t>(limit ? std::min(most, *limit / 5 * fifths) : most);
}

std::size_t default_bodies_bytes() {
  return share_of_memory(memory_limit(), 2, 1u << 30);
}

std::size_t default_queue_bytes() {
  return share_of_memory(memory_limit(), 2);
}

std::size_t default_kept_bytes() {
  return share_of_memory(memory_limit(), 1);
}

std::string descriptor_shortage(std::uint64_t files_max, std::size_t clients_max) {
  constexpr std::uint64_t own = 128;  // operators' connections, listeners, event loops, files
  const std::uint64_t needed = 2 * std::uint64_t{clients_max} + own;
  if (files_max >= needed) return {};
  const std::uint64_t served = files_max > own ? (files_max - own) / 2 : 0;
  return "this process may open " + std::to_string(files_max) + " files, enough for about " + std::to_string(served) +
         " calls at once; limits.connections_max is " + std::to_string(clients_max) + ", for which it takes " +
         std::to_string(needed) + ": raise the limit (LimitNOFILE, ulimit -n), or lower limits.connections_max";
}

}  // namespace weir::app
