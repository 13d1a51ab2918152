// As long as it lives no descriptor is left for this process. Not with the sanitizers, which need some of their own.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

namespace weir::test {

class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next_free = ::dup(STDERR_FILENO);
    ::close(next_free);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(next_free);  // every number below is taken
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace weir::test
