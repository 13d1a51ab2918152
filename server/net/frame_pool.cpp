#include "net/frame_pool.hpp"

#include <array>
#include <new>

namespace weir::net::frame_pool {
namespace {

// Address sanitizer finds the use of a dead frame only if the frame goes back to the heap.
#ifdef __SANITIZE_ADDRESS__
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

// Sizes are rounded up to what malloc would give anyway (16 n + 8): a waiting call holds a dozen frames.
constexpr std::size_t step = 16;
constexpr std::size_t spare = 8;
constexpr std::size_t class_of(std::size_t bytes) {
  return (bytes + step - 1 - spare) / step;
}
constexpr std::size_t bytes_of(std::size_t size_class) {
  return size_class * step + spare;
}

struct Free {
  Free* next;
};

struct Pool {
  std::array<Free*, class_of(frame_bytes_max) + 1> free{};
  std::size_t kept = 0;

  ~Pool() {
    for (Free*& first : free) {
      while (first) {
        Free* const frame = first;
        first = frame->next;
        ::operator delete(frame);
      }
    }
    kept = kept_bytes_max;  // frames that end after this go to the heap
  }
};

thread_local Pool pool;

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes > frame_bytes_max) return ::operator new(bytes);
  const std::size_t size = class_of(bytes);
  Pool& mine = pool;
  Free* const frame = mine.free[size];
  if (!frame) return ::operator new(bytes_of(size));
  mine.free[size] = frame->next;
  mine.kept -= bytes_of(size);
  return frame;
}

void release(void* frame, std::size_t bytes) noexcept {
  const std::size_t size = class_of(bytes);
  Pool& mine = pool;
  if (!keeps || bytes > frame_bytes_max || mine.kept + bytes_of(size) > kept_bytes_max) return ::operator delete(frame);
  mine.free[size] = new (frame) Free{mine.free[size]};
  mine.kept += bytes_of(size);
}

std::size_t kept_bytes() {
  return pool.kept;
}

}  // namespace weir::net::frame_pool
