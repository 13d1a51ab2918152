// What the machine (or the container) allows: CPUs by affinity and quota, memory by cgroup. Reads /proc and /sys only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace weir::app {

// The smaller of the CPU affinity and the cgroup's CPU quota, rounded up; at least 1.
unsigned default_workers();

// The smaller of 256 MiB and 40 % of the cgroup's memory limit: what may wait in memory without the container dying of it.
std::size_t default_queue_bytes();

// "150000 100000" of cpu.max as a number of CPUs, rounded up; nullopt: no quota.
std::optional<unsigned> cpus_of_quota(std::string_view cpu_max);

}  // namespace weir::app
