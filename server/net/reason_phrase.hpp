// The words behind the number in the status line of an answer.
#pragma once

#include <string_view>

namespace weir::net {

// RFC 9110's, and those of the numbers that model APIs add; "Status" for any other.
std::string_view reason_phrase(int status);

}  // namespace weir::net
