// Finds what a request body asks a model to read: texts, tools, token ids, images and other media, whatever the API's
// shape. Knows where things stand, not what they cost. Pure; works on a body that RequestReader has accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/request_view.hpp"

namespace weir::protocol {

enum class TextUse : std::uint8_t { text, tools };

struct MediaPart {
  enum class Kind : std::uint8_t { image, audio, video, file };
  Kind kind = Kind::image;
  std::string_view source;  // raw inside of a string: a data: URL, bare base64, or a URL; empty: an id
  std::string_view format;  // "wav", "application/pdf"; may be empty
  bool low_detail = false;
};

class PromptVisitor {
 public:
  virtual ~PromptVisitor() = default;
  virtual void text(std::string_view inside, TextUse use) = 0;  // the raw inside of a JSON string
  virtual void json(std::string_view raw, TextUse use) = 0;     // JSON that is given to the model as it is
  virtual void media(const MediaPart& part) = 0;
};

struct PromptCounts {
  std::uint64_t messages = 0;
  std::uint64_t names = 0;       // members `name` of messages
  std::uint64_t tool_calls = 0;  // made before, as part of the conversation
  std::uint64_t token_ids = 0;
  // Tools, in the terms of OpenAI's counting rule.
  std::uint64_t functions = 0, property_lists = 0, properties = 0, enums = 0, enum_items = 0;
};

// How tools are handed to the visitor: the names, descriptions and types in them, or their JSON.
enum class ToolText : std::uint8_t { words, json };

// REQUIRES: `view` was read from `body`.
PromptCounts visit_prompt(std::string_view body, const RequestView& view, ToolText tools, PromptVisitor& visitor);

}  // namespace weir::protocol
