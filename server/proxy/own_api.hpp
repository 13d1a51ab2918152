// What a caller can ask weir itself, under /v1/weir/: GET me, its own budgets, what it has waiting and its last calls;
// DELETE requests/{id}, give up one that waits. Nothing of other callers shows.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "observe/caller_history.hpp"
#include "proxy/admission_gate.hpp"
#include "proxy/authenticate.hpp"
#include "proxy/error_response.hpp"

namespace weir::proxy {

// The JSON of the answer, status 200, or why there is none.
std::variant<std::string, Refusal> answer_own(std::string_view method, std::string_view path, const Client& client,
                                              AdmissionGate& gate, const observe::CallerHistory& history);

}  // namespace weir::proxy
