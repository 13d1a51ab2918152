// What `weir count` was given: a text, or the body of a request to one of the API families, told apart by its members.
#pragma once

#include <string>
#include <string_view>

#include "protocol/request_view.hpp"

namespace weir::app {

struct CountInput {
  enum class Kind { text, body } kind = Kind::text;
  protocol::RequestView view;  // of a text: a chat request that says nothing but this
  std::string fault;           // why it can be neither; empty: it can
  std::string note;            // what was assumed
};

// REQUIRES: `input` is followed by RequestReader::padding readable bytes.
CountInput read_count_input(std::string_view input);

}  // namespace weir::app
