// How a client that has been given a 200 hears that the call failed: by an error event that ends its stream, or by an
// ending that no library takes for a complete answer.
#pragma once

#include <string_view>

#include "proxy/downstream.hpp"
#include "proxy/error_response.hpp"

namespace weir::proxy {

enum class FailureForm {
  event,   // the stream can take one more event
  broken,  // JSON, raw bytes, or the middle of an event
};

void tell_failure(Session& session, Downstream& downstream, FailureForm form, const Refusal& refusal, protocol::Api api,
                  std::string_view request_id);

}  // namespace weir::proxy
