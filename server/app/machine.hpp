// What the machine (or the container, or the service manager) allows: CPUs by affinity and quota, memory by cgroup.
// Reads /proc and /sys only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::app {

// The smaller of the CPU affinity and the cgroup's CPU quota, rounded up; at least 1.
unsigned default_workers();

// What may stay in memory without the container dying of it: `most`, or so many fifths of the memory limit if that is
// less.
std::size_t share_of_memory(std::optional<std::uint64_t> limit, std::uint64_t fifths, std::uint64_t most = 256u << 20);
// By the cgroup's limit: bodies on their way in or out (40 %), bodies that wait (40 %), and bodies that were sent and
// are kept for another try (20 %). A body is one of these at a time, and hardly ever are all three full.
std::size_t default_bodies_bytes();
std::size_t default_queue_bytes();
std::size_t default_kept_bytes();

// "150000 100000" of cpu.max as a number of CPUs, rounded up; nullopt: no quota.
std::optional<unsigned> cpus_of_quota(std::string_view cpu_max);

// What is missing where a process may open `files_max` files, so that `clients_max` clients could not be served; empty:
// nothing.
std::string descriptor_shortage(std::uint64_t files_max, std::size_t clients_max);

struct CgroupLimits {
  std::optional<unsigned> cpus;
  std::optional<std::uint64_t> memory_bytes;
};
// The tightest limits on the way from a process's cgroups up to the root: a unit's own limit stands on its cgroup, a
// container's on one above. `root` is where cgroups are mounted, `memberships` the text of /proc/self/cgroup; both
// versions of cgroups.
CgroupLimits cgroup_limits(const std::string& root, std::string_view memberships);

}  // namespace weir::app
