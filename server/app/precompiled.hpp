// The same for what reads and tells of the configuration.
#pragma once

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "app/section.hpp"
#include "precompiled_std.hpp"
