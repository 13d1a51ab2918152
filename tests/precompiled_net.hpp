// The same for tests of what does I/O.
#pragma once

#include "net/precompiled.hpp"
#include "precompiled_gtest.hpp"
