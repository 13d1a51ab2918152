#include "observe/process_figures.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <iterator>
#include <mutex>
#include <sstream>

namespace weir::observe {
namespace {

// Kept open: these figures are wanted most when no descriptor is left.
class OwnFiles {
 public:
  OwnFiles() : stat_(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC)), descriptors_(::opendir("/proc/self/fd")) {}
  OwnFiles(const OwnFiles&) = delete;
  OwnFiles& operator=(const OwnFiles&) = delete;

  // The fields of /proc/self/stat behind the command's name, which may hold blanks: [0] is field 3 of proc(5).
  std::vector<std::string> stat_fields() const {
    std::array<char, 2048> bytes{};
    const ssize_t size = ::pread(stat_, bytes.data(), bytes.size(), 0);
    if (size <= 0) return {};
    const std::string line(bytes.data(), static_cast<std::size_t>(size));
    std::istringstream rest(line.substr(line.find_last_of(')') + 1));
    return {std::istream_iterator<std::string>(rest), {}};
  }

  std::size_t open_descriptors() const {
    if (!descriptors_) return 0;
    std::size_t count = 0;
    ::rewinddir(descriptors_);
    while (const dirent* entry = ::readdir(descriptors_)) count += entry->d_name[0] != '.' ? 1 : 0;
    return count;
  }

 private:
  const int stat_;
  DIR* const descriptors_;
};

// By the clock of today: the time of the boot stands in /proc/stat, which a confined service does not see.
double start_time_of(double seconds_after_boot) {
  timespec since_boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const double age = static_cast<double>(since_boot.tv_sec) + static_cast<double>(since_boot.tv_nsec) / 1e9;
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return now.count() - age + seconds_after_boot;
}

}  // namespace

std::vector<ProcessFigure> process_figures() {
  static const OwnFiles files;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::vector<ProcessFigure> figures;
  const std::vector<std::string> stat = files.stat_fields();
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
    static const double started = start_time_of(field(start_time) / ticks);  // once, or it would waver
    figures.push_back(
        {"process_start_time_seconds", "Start time of the process since unix epoch in seconds.", started});
    figures.push_back({"process_threads", "Number of threads of the process.", field(threads)});
  }
  figures.push_back(
      {"process_open_fds", "Number of open file descriptors.", static_cast<double>(files.open_descriptors())});
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    figures.push_back(
        {"process_max_fds", "Maximum number of open file descriptors.", static_cast<double>(limit.rlim_cur)});
  }
  return figures;
}

}  // namespace weir::observe
