// A YAML document as a plain tree that remembers where everything stood. Built from yaml-cpp's events rather than its
// nodes, because those accept duplicate keys silently. This file's .cpp is the only one that sees yaml-cpp.
// Bounded: a document has a limit on bytes, nodes and depth. Knows no settings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/problem.hpp"

namespace weir::app {

struct YamlNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;  // of a scalar
  Place place;
  std::string key;  // when this is a value in a map
  Place key_place;
  std::vector<YamlNode> children;  // of a list or a map, in order of appearance
};

// The tree of the one document in `text`. What cannot be parsed, and every duplicate key, is added to `problems`; after
// a syntax error the tree is empty.
YamlNode parse_yaml(std::string_view text, const std::string& name, Problems& problems);

}  // namespace weir::app
