#include "protocol/prompt_parts.hpp"

#include <algorithm>

#include "protocol/json_cursor.hpp"

namespace weir::protocol {
namespace {

// A run of numbers without anything nested; the cursor stands before '['.
std::uint64_t count_numbers(std::string_view array) {
  const std::string_view inside =
      array.size() >= 2 ? json::trim(array.substr(1, array.size() - 2)) : std::string_view();
  return inside.empty() ? 0 : 1 + static_cast<std::uint64_t>(std::count(inside.begin(), inside.end(), ','));
}

bool is_number_start(char c) {
  return c == '-' || (c >= '0' && c <= '9');
}

// One walk over one body.
class PromptWalk {
 public:
  PromptWalk(std::string_view body, const RequestView& view, ToolText tools, PromptVisitor& visitor)
      : body_(body), view_(view), tools_(tools), visitor_(visitor) {}

  PromptCounts run() {
    for (const Member& member : view_.members) {
      JsonCursor cursor(body_.substr(member.value.begin, member.value.end - member.value.begin));
      top_level(member.name, cursor);
    }
    return counts_;
  }

 private:
  void top_level(std::string_view name, JsonCursor& cursor) {
    const Api api = view_.api;
    const bool conversation = api == Api::chat || api == Api::messages;
    if (conversation && name == "messages") return messages(cursor);
    if (api == Api::messages && name == "system") return content(cursor);
    if (api == Api::responses && name == "input") return cursor.peek() == '[' ? messages(cursor) : lone_message(cursor);
    if (api == Api::responses && name == "instructions") return lone_message(cursor);
    if (api == Api::completions && (name == "prompt" || name == "suffix")) return tokens_or_text(cursor);
    if (api == Api::embeddings && name == "input") return tokens_or_text(cursor);
    if (name == "tools" || name == "functions") return cursor.elements([&] { tool(cursor); });
    if (name == "response_format" || name == "output_config") return schema_text(cursor);
    if (api == Api::responses && name == "text") return schema_text(cursor);
  }

  void text(JsonCursor& cursor, TextUse use = TextUse::text) {
    if (cursor.peek() == '"')
      visitor_.text(cursor.string(), use);
    else
      cursor.value();
  }

  void lone_message(JsonCursor& cursor) {
    if (cursor.peek() != '"') return content(cursor);
    ++counts_.messages;
    text(cursor);
  }

  // A text, a list of texts, a list of token ids, a list of such lists; or embeddings of media.
  void tokens_or_text(JsonCursor& cursor) {
    if (cursor.peek() == '"') return text(cursor);
    if (cursor.peek() == '{') return item(cursor);
    if (cursor.peek() != '[') return static_cast<void>(cursor.value());
    const std::string_view array = cursor.value();
    JsonCursor inside(array);
    const std::string_view first = json::trim(array.substr(1));
    if (!first.empty() && is_number_start(first.front())) {
      counts_.token_ids += count_numbers(array);
      return;
    }
    inside.elements([&] { tokens_or_text(inside); });
  }

  void messages(JsonCursor& cursor) {
    cursor.elements([&] {
      ++counts_.messages;
      if (cursor.peek() == '"') return text(cursor);
      item(cursor, true);
    });
  }

  // A string, or a list of parts.
  void content(JsonCursor& cursor) {
    switch (cursor.peek()) {
      case '"':
        return text(cursor);
      case '[':
        return cursor.elements([&] { content(cursor); });
      case '{':
        return item(cursor);
      default:
        cursor.value();
    }
  }

  // A message, a part of one, or an item of the Responses API: they share their words.
  void item(JsonCursor& cursor, bool is_message = false) {
    std::string_view type, detail, media, source;
    MediaPart::Kind kind = MediaPart::Kind::image;
    cursor.members([&](std::string_view key) {
      if (key == "content" || key == "output" || key == "summary") return content(cursor);
      if (key == "text" || key == "refusal" || key == "thinking" || key == "reasoning_content") return text(cursor);
      if (key == "type") return static_cast<void>(type = cursor.string());
      if (key == "detail") return static_cast<void>(detail = cursor.string());
      if (key == "name") return name(cursor, is_message);
      if (key == "arguments") return call_text(cursor);
      if (key == "input") return cursor.peek() == '"' ? text(cursor) : call_json(cursor);
      if (key == "tool_calls") return cursor.elements([&] { tool_call(cursor); });
      if (key == "function_call") return function(cursor);
      if (key == "source") return static_cast<void>(source = cursor.value());
      if (key == "image_url" || key == "input_image" || key == "image" || key == "video_url" || key == "video" ||
          key == "input_audio" || key == "audio" || key == "audio_url" || key == "file" || key == "file_data" ||
          key == "file_url" || key == "file_id") {
        media = cursor.value();
        kind = key.starts_with("file")         ? MediaPart::Kind::file
               : key.find("audio") != key.npos ? MediaPart::Kind::audio
               : key.find("video") != key.npos ? MediaPart::Kind::video
                                               : MediaPart::Kind::image;
        return;
      }
      cursor.value();
    });
    if (!source.empty()) anthropic_source(source, type);
    if (media.empty() || media == "null") return;
    // A file_id stands beside an image as well.
    if (type.find("image") != type.npos) kind = MediaPart::Kind::image;
    media_part(media, kind, detail);
  }

  void name(JsonCursor& cursor, bool is_message) {
    if (cursor.peek() == '"' && is_message) ++counts_.names;
    text(cursor);
  }

  void call_text(JsonCursor& cursor) {
    ++counts_.tool_calls;
    text(cursor);
  }
  void call_json(JsonCursor& cursor) {
    ++counts_.tool_calls;
    visitor_.json(cursor.value(), TextUse::text);
  }
  void tool_call(JsonCursor& cursor) {
    cursor.members([&](std::string_view key) {
      if (key == "function" || key == "custom") return function(cursor);
      cursor.value();
    });
  }
  void function(JsonCursor& cursor) {
    cursor.members([&](std::string_view key) {
      if (key == "name") return text(cursor);
      if (key == "arguments" || key == "input") return call_text(cursor);
      cursor.value();
    });
  }

  // {"type": "base64", "media_type": ..., "data": ...}, {"type": "url", "url": ...}, or a text in disguise.
  void anthropic_source(std::string_view source, std::string_view type) {
    MediaPart part;
    part.kind = type == "document" ? MediaPart::Kind::file : MediaPart::Kind::image;
    std::string_view source_type, data;
    JsonCursor cursor(source);
    cursor.members([&](std::string_view key) {
      if (key == "type") return static_cast<void>(source_type = cursor.string());
      if (key == "media_type") return static_cast<void>(part.format = cursor.string());
      if (key == "data" || key == "url") return static_cast<void>(data = cursor.string());
      if (key == "content") return content(cursor);
      cursor.value();
    });
    if (source_type == "content") return;
    if (source_type == "text") return visitor_.text(data, TextUse::text);
    part.source = data;
    visitor_.media(part);
  }

  void media_part(std::string_view value, MediaPart::Kind kind, std::string_view detail) {
    MediaPart part;
    part.kind = kind;
    JsonCursor cursor(value);
    if (cursor.peek() == '"') {
      part.source = cursor.string();
    } else {
      cursor.members([&](std::string_view key) {
        if (key == "url" || key == "data" || key == "file_data")
          return static_cast<void>(part.source = cursor.string());
        if (key == "detail") return static_cast<void>(detail = cursor.string());
        if (key == "format") return static_cast<void>(part.format = cursor.string());
        cursor.value();
      });
    }
    part.low_detail = detail == "low";
    visitor_.media(part);
  }

  // --- Tools ---------------------------------------------------------------------------------------------------------

  void tool(JsonCursor& cursor) {
    ++counts_.functions;
    if (tools_ == ToolText::json) return visitor_.json(cursor.value(), TextUse::tools);
    tool_words(cursor);
  }

  // {"type": "function", "function": {...}} or the inside of it; a tool of the provider's own has no function.
  void tool_words(JsonCursor& cursor) {
    cursor.members([&](std::string_view key) {
      if (key == "function" || key == "custom") return tool_words(cursor);
      if (key == "name" || key == "description") return text(cursor, TextUse::tools);
      if (key == "parameters" || key == "input_schema") return schema(cursor);
      cursor.value();
    });
  }

  void schema(JsonCursor& cursor) {
    cursor.members([&](std::string_view key) {
      if (key == "properties" || key == "$defs" || key == "definitions") return property_list(cursor);
      if (key == "description" || key == "title" || key == "type") return text(cursor, TextUse::tools);
      if (key == "items" || key == "additionalProperties") return schema(cursor);
      if (key == "anyOf" || key == "oneOf" || key == "allOf") return cursor.elements([&] { schema(cursor); });
      if (key == "enum") return enumeration(cursor);
      cursor.value();
    });
  }

  void property_list(JsonCursor& cursor) {
    ++counts_.property_lists;
    cursor.members([&](std::string_view key) {
      ++counts_.properties;
      visitor_.text(key, TextUse::tools);
      schema(cursor);
    });
  }

  void enumeration(JsonCursor& cursor) {
    ++counts_.enums;
    cursor.elements([&] {
      ++counts_.enum_items;
      text(cursor, TextUse::tools);
    });
  }

  // A schema the answer must follow is read by the model; a mere {"type": "text"} is not.
  void schema_text(JsonCursor& cursor) {
    const std::string_view value = cursor.value();
    constexpr std::size_t shortest_schema = 64;
    if (value.size() > shortest_schema) visitor_.json(value, TextUse::tools);
  }

  std::string_view body_;
  const RequestView& view_;
  ToolText tools_;
  PromptVisitor& visitor_;
  PromptCounts counts_;
};

}  // namespace

PromptCounts visit_prompt(std::string_view body, const RequestView& view, ToolText tools, PromptVisitor& visitor) {
  return PromptWalk(body, view, tools, visitor).run();
}

}  // namespace weir::protocol
