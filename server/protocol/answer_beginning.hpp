// Whether a JSON answer is an error, by as much of it as is there: errors come inside a 200 too, and one that has gone
// out as an answer cannot be taken back.
#pragma once

#include <string_view>

#include "protocol/api.hpp"

namespace weir::protocol {

enum class Beginning {
  unknown,  // too few bytes to tell
  error,
  answer,
};

// `json`: what there is of it so far, also with a byte order mark. Members are looked at in their order until one
// tells:
// * an `error` that says something, "type" or "object" with the value "error": an error. Of other APIs only the first
//   member counts: an `error` of theirs may be a thing that is told about (a fine-tuning job that has failed).
// * `choices`, `content`, `data` or `output` with something in it, "object":"response", "type":"message": an answer,
//   but if its first choice has an `error` and no content (OpenRouter).
// * A `message` that is a text, and none of those: a flat error (SiliconFlow, DashScope), once the end is there.
// An array is what its first element is (Gemini). A page of the web is an error, but of other APIs.
Beginning beginning_of(std::string_view json, Api api);

// It begins as HTML does, and no JSON.
bool is_web_page(std::string_view body);

}  // namespace weir::protocol
