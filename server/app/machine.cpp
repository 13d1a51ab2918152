#include "app/machine.hpp"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace weir::app {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::uint64_t> number(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 18) return std::nullopt;
  return std::stoull(text);
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

unsigned default_workers() {
  cpu_set_t set;
  CPU_ZERO(&set);
  unsigned cpus = 1;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) cpus = static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
  std::string cpu_max = first_line("/sys/fs/cgroup/cpu.max");
  if (cpu_max.empty()) {  // cgroup v1
    cpu_max = first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") + " " + first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  }
  return std::min(cpus, cpus_of_quota(cpu_max).value_or(cpus));
}

std::size_t default_queue_bytes() {
  constexpr std::uint64_t most = 256u << 20;
  auto limit = number(first_line("/sys/fs/cgroup/memory.max"));
  if (!limit) limit = number(first_line("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  return static_cast<std::size_t>(limit ? std::min(most, *limit / 5 * 2) : most);
}

}  // namespace weir::app
