#include "observe/process_figures.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

namespace weir::observe {
namespace {

// The fields of /proc/self/stat behind the command's name, which may hold blanks: [0] is field 3 of proc(5).
std::vector<std::string> stat_fields() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream rest(line.substr(line.find_last_of(')') + 1));
  return {std::istream_iterator<std::string>(rest), {}};
}

double boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (constexpr std::string_view name = "btime "; line.starts_with(name)) return std::stod(line.substr(name.size()));
  }
  return 0;
}

std::size_t open_descriptors() {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end; at.increment(error))
    ++count;
  return count;
}

}  // namespace

std::vector<ProcessFigure> process_figures() {
  std::vector<ProcessFigure> figures;
  const std::vector<std::string> stat = stat_fields();
  constexpr std::size_t user_time = 11, system_time = 12, threads = 17, start_time = 19, virtual_bytes = 20,
                        resident_pages = 21;
  if (stat.size() > resident_pages) {
    const auto field = [&](std::size_t i) { return std::stod(stat[i]); };
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
    figures.push_back({"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                       (field(user_time) + field(system_time)) / ticks, true});
    figures.push_back(
        {"process_resident_memory_bytes", "Resident memory size in bytes.", field(resident_pages) * page});
    figures.push_back({"process_virtual_memory_bytes", "Virtual memory size in bytes.", field(virtual_bytes)});
    figures.push_back({"process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
                       boot_time() + field(start_time) / ticks});
    figures.push_back({"process_threads", "Number of threads of the process.", field(threads)});
  }
  figures.push_back({"process_open_fds", "Number of open file descriptors.", static_cast<double>(open_descriptors())});
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    figures.push_back(
        {"process_max_fds", "Maximum number of open file descriptors.", static_cast<double>(limit.rlim_cur)});
  }
  return figures;
}

}  // namespace weir::observe
