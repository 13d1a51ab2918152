// Anthropic's Messages: named events, blocks of content that open and close, a ping at the start, no [DONE].
#include "simulator/answer.hpp"
#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

constexpr std::string_view ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

class MessagesAnswer final : public Answer {
 public:
  explicit MessagesAnswer(AnswerParts parts) : Answer(std::move(parts)) {}

  void open(Events& events) override {
    events.add(join("event: message_start\ndata: {\"type\":\"message_start\",\"message\":", message("[]", "null", 1),
                    "}\n\n"));
    open_block(events, 0);
    events.add(ping);
  }

  void step(std::uint64_t index, Events& events) override {
    if (index > 0 && index == parts_.output.thoughts()) {
      close_block(events);
      open_block(events, index);
    }
    std::string& out = events.text();
    put(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":", block_,
        ",\"delta\":{\"type\":\"");
    const std::string_view token = parts_.output.token(index);
    if (parts_.output.is_thought(index)) {
      put(out, R"(thinking_delta","thinking":")", token);
    } else if (calls_tool()) {
      put(out, R"(input_json_delta","partial_json":")", token);
    } else {
      put(out, R"(text_delta","text":")", token);
    }
    out += "\"}}\n\n";
    events.end(1);
  }

  void close(Events& events) override {
    close_block(events);
    events.add(join("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"",
                    stop_word(), "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":", parts_.output.size(),
                    "}}\n\n"));
    events.add("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
  }

  std::string whole() const override {
    std::string content = "[";
    if (parts_.output.thoughts() > 0) {
      put(content, R"({"type":"thinking","thinking":")", parts_.output.all_thoughts(),
          R"(","signature":"c2ltdWxhdGVk"},)");
    }
    if (calls_tool()) {
      put(content, R"({"type":"tool_use","id":"toolu_)", parts_.id, R"(","name":")", parts_.tool_name, R"(","input":)",
          parts_.output.finish() == Finish::length ? "{}" : parts_.tool_arguments, "}]");
    } else {
      put(content, R"({"type":"text","text":")", parts_.output.all_but_thoughts(), R"("}])");
    }
    return message(content, join("\"", stop_word(), "\""), parts_.output.size());
  }

  void fail(const Problem& problem, Events& events) override {
    events.add(join("event: error\ndata: ", problem_body(Voice::anthropic, problem, join("req_", parts_.id)), "\n\n"));
  }

  std::string_view keepalive() const override { return ping; }

 private:
  bool calls_tool() const { return !parts_.tool_name.empty(); }

  // `content` and `stop` are JSON.
  std::string message(std::string_view content, std::string_view stop, std::uint64_t output_tokens) const {
    const Usage usage = parts_.output.usage(output_tokens, 1);
    return join(R"({"id":"msg_)", parts_.id, R"(","type":"message","role":"assistant","model":")", parts_.model,
                R"(","content":)", content, R"(,"stop_reason":)", stop,
                R"(,"stop_sequence":null,"usage":{"input_tokens":)", usage.input - usage.cached,
                R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":)", usage.cached, R"(,"output_tokens":)",
                usage.output, "}}");
  }

  void open_block(Events& events, std::uint64_t index) {
    std::string block;
    if (parts_.output.is_thought(index)) {
      block = R"({"type":"thinking","thinking":"","signature":""})";
    } else if (calls_tool()) {
      block =
          join(R"({"type":"tool_use","id":"toolu_)", parts_.id, R"(","name":")", parts_.tool_name, R"(","input":{}})");
    } else {
      block = R"({"type":"text","text":""})";
    }
    in_thoughts_ = parts_.output.is_thought(index);
    events.add(join("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":", block_,
                    ",\"content_block\":", block, "}\n\n"));
  }

  void close_block(Events& events) {
    if (in_thoughts_) {
      events.add(join("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":", block_,
                      ",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"c2ltdWxhdGVk\"}}\n\n"));
    }
    events.add(join("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":", block_++, "}\n\n"));
  }

  std::string_view stop_word() const {
    switch (parts_.output.finish()) {
      case Finish::stop:
        return "end_turn";
      case Finish::length:
        return "max_tokens";
      case Finish::tool_call:
        return "tool_use";
    }
    return {};
  }

  std::uint64_t block_ = 0;
  bool in_thoughts_ = false;
};

}  // namespace

std::unique_ptr<Answer> make_messages_answer(AnswerParts parts) {
  return std::make_unique<MessagesAnswer>(std::move(parts));
}

}  // namespace weir::simulator
