// The ids in an answer to GET /models: OpenAI's {"data":[{"id":…}]} and Anthropic's, which has the same two levels.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::protocol {

// Empty when the body is no such list.
std::vector<std::string> ids_of_model_list(std::string_view body);

}  // namespace weir::protocol
