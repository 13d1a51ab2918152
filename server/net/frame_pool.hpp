// Memory for coroutine frames, kept for the next one of about its size. An exchange makes some twenty frames and ends
// them again; most are too large for what malloc keeps at hand per thread, and the one that was freed last is the one
// that still stands in the cache. One pool per thread: a frame goes to the pool of the thread that ends it.
#pragma once

#include <cstddef>

namespace weir::net::frame_pool {

// Frames above this size come from the heap, and a thread keeps no more than so many bytes for later.
constexpr std::size_t frame_bytes_max = 4096;
constexpr std::size_t kept_bytes_max = 256 * 1024;

void* allocate(std::size_t bytes);
// REQUIRES: `bytes` as it was asked for.
void release(void* frame, std::size_t bytes) noexcept;

std::size_t kept_bytes();  // by this thread

}  // namespace weir::net::frame_pool
