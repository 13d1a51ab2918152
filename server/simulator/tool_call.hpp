// Which tool the simulated model calls, and with what arguments: the one that is asked for, or the first, its
// parameters filled by their types. Includes simdjson; private to the reader of requests.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>

namespace weir::simulator {

struct ToolCall {
  std::string name;
  std::string arguments;  // JSON text of an object
};

// `wished`: the user's words ask for a tool. nullopt: none is called.
std::optional<ToolCall> choose_tool(simdjson::dom::element tools, std::optional<simdjson::dom::element> choice,
                                    bool wished);

}  // namespace weir::simulator
