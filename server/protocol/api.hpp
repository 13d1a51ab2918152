// The API families weir knows by shape. A family decides how a request body is read, how a stream is framed
// (named events or not) and in which shape weir writes its own errors. Pure values; no I/O.
#pragma once

#include <optional>
#include <string_view>

namespace weir::protocol {

enum class Api {
  chat,         // POST /chat/completions: OpenAI chat; unnamed events, ends with [DONE]
  completions,  // POST /completions: legacy text completions, DeepSeek's FIM; framed as chat
  embeddings,   // POST /embeddings: never streams
  responses,    // POST /responses: named events, ends with response.completed | incomplete | failed
  messages,     // POST /messages: Anthropic's shape; named events, ends with message_stop
  models,       // GET /models
  other,        // anything else under /v1: passed through without a look at the body
};

std::string_view name_of(Api api);                        // "chat", "completions", ... as in provider files
std::optional<Api> api_from_name(std::string_view name);  // nullopt: not a family
// gen_ai.operation.name of OpenTelemetry: "chat" for every shape of a conversation; empty: not one of these.
std::string_view operation_of(Api api);

}  // namespace weir::protocol
