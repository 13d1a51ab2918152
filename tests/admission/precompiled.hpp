// The same for tests of the scheduler.
#pragma once

#include "admission/admission_support.hpp"
#include "precompiled_gtest.hpp"
