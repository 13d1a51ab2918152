#include "observe/batching_sink.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <utility>

namespace weir::observe {
namespace {

// How long lines gather. Somebody who watches the log sees no delay, and at a thousand lines a second twenty share a
// wake-up of the writer.
constexpr std::chrono::milliseconds gather_for{20};
constexpr std::chrono::milliseconds look_every{100};

}  // namespace

BatchingSink::BatchingSink(int descriptor, std::function<std::string(std::size_t)> tell_dropped)
    : descriptor_(descriptor), tell_dropped_(std::move(tell_dropped)), writer_([this] { run(); }) {}

BatchingSink::~BatchingSink() {
  {
    const std::scoped_lock lock(lines_mutex_);
    stopping_ = true;
  }
  news_.notify_one();
  writer_.join();
}

void BatchingSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t formatted;
  formatter_->format(message, formatted);
  add({formatted.data(), formatted.size()});
}

void BatchingSink::add(std::string_view line) {
  bool first = false;
  {
    const std::scoped_lock lock(lines_mutex_);
    first = lines_.empty();
    lines_.append(line);
  }
  if (first) news_.notify_one();
}

void BatchingSink::flush_() {
  {
    const std::scoped_lock lock(lines_mutex_);
    urgent_ = true;
  }
  news_.notify_one();
}

void BatchingSink::run() {
  LineBatch writing(lines_max);
  std::unique_lock lock(lines_mutex_);
  for (;;) {
    news_.wait(lock, [this] { return !lines_.empty() || stopping_; });
    if (lines_.empty()) return;
    news_.wait_for(lock, gather_for, [this] { return urgent_ || stopping_; });
    urgent_ = false;
    std::swap(lines_, writing);
    lock.unlock();
    // Those that are missing stood before these.
    if (writing.dropped() > 0) write(format(tell_dropped_(writing.dropped())));
    write(writing.bytes());
    writing.clear();
    lock.lock();
  }
}

std::string BatchingSink::format(const std::string& warning) {
  const std::scoped_lock lock(mutex_);  // of the formatter
  spdlog::memory_buf_t formatted;
  formatter_->format({"weir", spdlog::level::warn, warning}, formatted);
  return {formatted.data(), formatted.size()};
}

// Until there is, however long that takes; false: the sink ends, and the reader has stalled.
bool BatchingSink::wait_for_room() {
  std::chrono::milliseconds waited_at_end{0};
  for (;;) {
    pollfd room{descriptor_, POLLOUT, 0};
    if (::poll(&room, 1, static_cast<int>(look_every.count())) != 0) return true;  // write() says what is wrong
    const std::scoped_lock lock(lines_mutex_);
    if (!stopping_) continue;
    waited_at_end += look_every;
    if (waited_at_end >= last_wait_max) return false;
  }
}

// To the end, whatever the descriptor is: a log that cannot be written is nobody's to hear about. Only as much at once
// as goes into a pipe that has room, or nothing could end the wait for a reader who takes no more; and whole lines, so
// that no other writer's come between their parts.
void BatchingSink::write(std::string_view bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    if (given_up_ || !wait_for_room()) {
      given_up_ = true;
      return;
    }
    std::string_view lines = bytes.substr(done, PIPE_BUF);
    if (const auto end = lines.rfind('\n'); end != std::string_view::npos) lines = lines.substr(0, end + 1);
    const ssize_t written = ::write(descriptor_, lines.data(), lines.size());
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (written < 0 && errno == EAGAIN) {
      std::this_thread::sleep_for(gather_for);  // somebody made it non-blocking
    } else if (written == 0 || errno != EINTR) {
      return;
    }
  }
}

}  // namespace weir::observe
