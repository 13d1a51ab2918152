// The seed of a randomised test: WEIR_SEED from the environment, else a fresh one; shown when the test fails.
//   const test::Seed seed;            // first line of the test
//   std::mt19937_64 random(seed.value);
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace weir::test {

struct Seed {
  std::uint64_t value = pick();
  ::testing::ScopedTrace shown{__FILE__, __LINE__, "repeat with WEIR_SEED=" + std::to_string(value)};

 private:
  static std::uint64_t pick() {
    if (const char* given = std::getenv("WEIR_SEED")) return std::strtoull(given, nullptr, 10);
    return std::random_device{}();
  }
};

}  // namespace weir::test
