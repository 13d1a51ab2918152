// The id that an answer gives to what it made (a stored response, a file, a batch), so that later calls about it can go
// to the upstream that knows it. Pure.
#pragma once

#include <string>
#include <string_view>

namespace weir::protocol {

// Top-level `id` of a JSON answer; empty: none.
std::string id_of_answer(std::string_view body);

// `response.id` of the first event of a responses stream, given the text of complete events; empty: none.
std::string id_of_events(std::string_view events);

}  // namespace weir::protocol
