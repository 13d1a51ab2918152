#include "observe/batching_sink.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <sstream>
#include <thread>
#include <vector>

namespace weir::observe {
namespace {

// A pipe whose reader is slow until it is asked for all that comes.
struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends.data()), 0); }
  ~Pipe() { ::close(ends[0]); }
  std::vector<std::string> read_all() {
    ::close(ends[1]);
    std::string bytes;
    std::array<char, 4096> buffer{};
    for (ssize_t got; (got = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
      bytes.append(buffer.data(), static_cast<std::size_t>(got));
    std::vector<std::string> lines;
    std::istringstream stream(bytes);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  std::array<int, 2> ends{};
};

std::shared_ptr<BatchingSink> sink_to(const Pipe& pipe) {
  auto sink = std::make_shared<BatchingSink>(pipe.ends[1],
                                             [](std::size_t lines) { return std::to_string(lines) + " are missing"; });
  sink->set_pattern("%v");
  return sink;
}

TEST(BatchingSink, WritesEveryLineInOrderAndAllOfThemAtItsEnd) {
  Pipe pipe;
  {
    spdlog::logger logger("test", sink_to(pipe));
    for (int i = 0; i < 1000; ++i) logger.info("line {}", i);
  }
  const std::vector<std::string> lines = pipe.read_all();
  ASSERT_EQ(lines.size(), 1000u);
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i], "line " + std::to_string(i));
}

TEST(BatchingSink, DropsTheOldestLinesOfASlowReaderAndSaysHowMany) {
  Pipe pipe;
  constexpr std::size_t logged = 20'000;  // far more than the pipe and the sink hold together
  auto sink = sink_to(pipe);
  spdlog::logger logger("test", sink);
  const std::string filler(100, '.');
  for (std::size_t i = 0; i < logged; ++i) logger.info("{} {}", i, filler);  // nobody reads, and this does not block
  std::vector<std::string> lines;
  std::thread reader([&] {
    std::string bytes;
    std::array<char, 4096> buffer{};
    for (ssize_t got; (got = ::read(pipe.ends[0], buffer.data(), buffer.size())) > 0;)
      bytes.append(buffer.data(), static_cast<std::size_t>(got));
    std::istringstream stream(bytes);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
  });
  logger.sinks().clear();
  sink.reset();  // writes what is left
  ::close(pipe.ends[1]);
  reader.join();

  std::size_t shown = 0, missing = 0, last = 0;
  for (const std::string& line : lines) {
    const std::size_t number = std::stoul(line);
    if (line.ends_with(" are missing")) {
      missing += number;
      continue;
    }
    EXPECT_TRUE(shown == 0 || number > last) << "in order";
    last = number;
    ++shown;
  }
  EXPECT_EQ(last, logged - 1) << "the newest is there";
  EXPECT_GT(missing, 0u);
  EXPECT_EQ(shown + missing, logged) << "each line is there or is counted";
}

// The bug: a reader that had stalled kept the process from ending.
TEST(BatchingSink, EndsThoughNobodyReads) {
  Pipe pipe;
  auto sink = sink_to(pipe);
  spdlog::logger logger("test", sink);
  for (int i = 0; i < 3000; ++i) logger.info("{} {}", i, std::string(100, '.'));  // more than a pipe holds
  std::this_thread::sleep_for(std::chrono::milliseconds(50));                     // the pipe is full
  logger.sinks().clear();
  const auto before = std::chrono::steady_clock::now();
  sink.reset();
  const auto took = std::chrono::steady_clock::now() - before;
  EXPECT_LT(took, 3 * BatchingSink::last_wait_max);
  EXPECT_GE(took, BatchingSink::last_wait_max / 2) << "a reader that is slow has its time";
  ::close(pipe.ends[1]);
}

}  // namespace
}  // namespace weir::observe
