// Bodies of calls that were sent and have no content yet, kept for another try: within one bound over all calls of all
// workers. Beyond it the largest are let go, and those calls are not tried again. Bodies that wait in line are not
// here: the queue has a bound of its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "net/worker.hpp"

namespace weir::proxy {

struct KeptBody;

// Thread-safe; a Claim is used on its worker's thread only.
class KeptBodies {
 public:
  // One call's body. Ends with the call, or earlier when nobody needs the body any more.
  class Claim {
   public:
    // `release` frees the body; it is called on `worker`, never from within a member of the claim.
    Claim(KeptBodies& bodies, net::Worker& worker, std::function<void()> release);
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

    // All of it is sent: from now on it may be let go. `bytes_max`: what all such bodies may take together.
    void sent(std::size_t bytes, std::size_t bytes_max);
    // It is needed again. False: it has been let go, or is about to be.
    bool take_back();

   private:
    KeptBodies& bodies_;
    std::shared_ptr<KeptBody> body_;
  };

  std::uint64_t bytes() const { return bytes_; }    // now
  std::uint64_t let_go() const { return let_go_; }  // ever: calls that lost their other tries

 private:
  using BySize = std::multimap<std::size_t, std::shared_ptr<KeptBody>>;

  std::mutex mutex_;
  BySize by_size_;
  std::atomic<std::uint64_t> bytes_{0}, let_go_{0};
};

}  // namespace weir::proxy
