// The same for tests of the configuration.
#pragma once

#include "app/config_support.hpp"
#include "precompiled_gtest.hpp"
