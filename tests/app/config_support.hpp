// Configurations for tests: a world of variables and files that each test states, and what the loader makes of it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "app/config_source.hpp"

namespace weir::app {

// The environment that a configuration sees. Nothing of the real one shows through.
struct World {
  std::map<std::string, std::string> variables, files;

  Environment environment() const;
};

inline constexpr const char* config_path = "/etc/weir/weir.yaml";

// A world where WEIR_CONFIG names a file with this text.
World with_config(std::string yaml, std::map<std::string, std::string> variables = {});

// Reads a file called weir.yaml, without looking up what it refers to.
struct Reading {
  Config config;
  std::string problems;  // as a person sees them
};
Reading read(std::string_view yaml, const World& world = {});

// A configuration with mistakes, and what a person is told of them.
struct WrongConfig {
  const char* name;  // of its test
  const char* yaml;
  const char* problems;
};
inline std::string name_of(const testing::TestParamInfo<WrongConfig>& info) {
  return info.param.name;
}

// The configuration of a text that has to be good; throws its problems.
Config config_of(std::string_view yaml, const World& world = {});

// All of it: file, variables, flags, references. Throws the problems.
Loaded load(const World& world, const Overrides& overrides = {});

// The problems; "accepted" when there are none.
std::string refusal(const World& world, const Overrides& overrides = {});

// The first upstream of a loaded configuration, and one of its models.
const proxy::Upstream& first_upstream(const Loaded& loaded);
const proxy::ModelProfile& profile(const proxy::Upstream& upstream, std::string_view model);

// "deepseek-r1 -> ark-1, ark-2" for each route in order, one a line.
std::string routes_of(const Loaded& loaded);

}  // namespace weir::app
