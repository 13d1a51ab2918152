// How often this test program has called operator new: allocation_support.cpp replaces it with one that counts.
#pragma once

#include <cstddef>

namespace weir::protocol {

std::size_t allocation_count();

}  // namespace weir::protocol
