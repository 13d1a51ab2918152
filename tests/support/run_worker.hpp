// Runs a net::Worker on the test's own thread until something has happened. The limit only turns a hang into a failure;
// no test measures time with it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "net/worker.hpp"

namespace weir::test {

// True when `happened()`; false (and a failed expectation) when it did not within the limit.
inline bool run_until(net::Worker& worker, const std::function<bool()>& happened,
                      std::chrono::seconds limit = std::chrono::seconds(20)) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  while (!happened()) {
    if (std::chrono::steady_clock::now() > give_up) {
      ADD_FAILURE() << "nothing happened within " << limit.count() << " s";
      return false;
    }
    worker.io().restart();
    worker.io().run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

// Runs what is ready now and what that makes ready; returns when the worker would have to wait.
inline void run_ready(net::Worker& worker) {
  worker.io().restart();
  worker.io().poll();
}

}  // namespace weir::test
