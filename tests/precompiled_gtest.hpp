// What most tests include anyway, compiled once (WEIR_PRECOMPILE). Nothing may rely on it: every file includes what it
// uses, and builds without this one.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
