// The W3C trace context of a request. weir makes no spans: it passes traceparent and tracestate on unchanged and names
// the trace in its log, so that a line is found from a trace.
#pragma once

#include <string_view>

namespace weir::proxy {

// The trace id of a traceparent header: 32 lower-case hex digits; empty: none, or not a valid one.
std::string_view trace_id_of(std::string_view traceparent);

}  // namespace weir::proxy
