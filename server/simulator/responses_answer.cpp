// The Responses API: named events with sequence numbers, items that are added, filled and done, and the whole response
// in the last event. No [DONE].
#include "protocol/error_body.hpp"
#include "simulator/answer.hpp"
#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

std::string quoted_or_null(std::string_view text) {
  return text.empty() ? "null" : protocol::json_quote(text);
}

class ResponsesAnswer final : public Answer {
 public:
  explicit ResponsesAnswer(AnswerParts parts) : Answer(std::move(parts)) {}

  void open(Events& events) override {
    begin(events, "response.created");
    finish(events, R"(,"response":)", response("in_progress", "", false));
    begin(events, "response.in_progress");
    finish(events, R"(,"response":)", response("in_progress", "", false));
    open_item(events, 0);
  }

  void step(std::uint64_t index, Events& events) override {
    if (index > 0 && index == parts_.output.thoughts()) {
      close_item(events);
      open_item(events, index);
    }
    begin(events, in_thoughts_   ? "response.reasoning_text.delta"
                  : calls_tool() ? "response.function_call_arguments.delta"
                                 : "response.output_text.delta");
    place(events);
    put(events.text(), R"(,"delta":")", parts_.output.token(index),
        calls_tool() || in_thoughts_ ? R"("})" : R"(","logprobs":[]})", "\n\n");
    events.end(1);
  }

  void close(Events& events) override {
    close_item(events);
    const bool cut = parts_.output.finish() == Finish::length;
    begin(events, cut ? "response.incomplete" : "response.completed");
    finish(events, R"(,"response":)", whole());
  }

  std::string whole() const override {
    std::string items;
    if (parts_.output.thoughts() > 0) put(items, reasoning_item("completed"), ",");
    put(items, calls_tool() ? call_item("completed", parts_.output.all_but_thoughts())
                            : message_item("completed", text_part(parts_.output.all_but_thoughts())));
    return response(parts_.output.finish() == Finish::length ? "incomplete" : "completed", items, true);
  }

  // Flat, unlike everybody else's (providers.md §1.5).
  void fail(const Problem& problem, Events& events) override {
    begin(events, "error");
    put(events.text(), R"(,"code":)", quoted_or_null(problem.code), R"(,"message":)",
        protocol::json_quote(problem.message));
    finish(events, R"(,"param":)", quoted_or_null(problem.param));
  }

 private:
  bool calls_tool() const { return !parts_.tool_name.empty(); }

  void begin(Events& events, std::string_view type) {
    put(events.text(), "event: ", type, "\ndata: {\"type\":\"", type, "\",\"sequence_number\":", sequence_++);
  }
  void finish(Events& events, std::string_view name, std::string_view json) {
    put(events.text(), name, json, "}\n\n");
    events.end();
  }
  // Where in the response the event belongs.
  void place(Events& events) {
    put(events.text(), R"(,"item_id":")", item_id(), R"(","output_index":)", item_);
    if (!calls_tool() || in_thoughts_) events.text() += R"(,"content_index":0)";
  }

  void open_item(Events& events, std::uint64_t index) {
    in_thoughts_ = parts_.output.is_thought(index);
    begin(events, "response.output_item.added");
    put(events.text(), R"(,"output_index":)", item_);
    finish(events, R"(,"item":)",
           in_thoughts_   ? join(R"({"id":")", item_id(),
                                 R"(","type":"reasoning","status":"in_progress","summary":[],"content":[]})")
           : calls_tool() ? call_item("in_progress", "")
                          : message_item("in_progress", ""));
    if (in_thoughts_ || calls_tool()) return;
    begin(events, "response.content_part.added");
    place(events);
    finish(events, R"(,"part":)", text_part(""));
  }

  void close_item(Events& events) {
    if (in_thoughts_) {
      begin(events, "response.reasoning_text.done");
      place(events);
      finish(events, R"(,"text":)", join("\"", parts_.output.all_thoughts(), "\""));
      item_done(events, reasoning_item("completed"));
    } else if (calls_tool()) {
      const std::string arguments = parts_.output.all_but_thoughts();
      begin(events, "response.function_call_arguments.done");
      place(events);
      put(events.text(), R"(,"name":")", parts_.tool_name, R"(")");
      finish(events, R"(,"arguments":)", join("\"", arguments, "\""));
      item_done(events, call_item("completed", arguments));
    } else {
      const std::string text = parts_.output.all_but_thoughts();
      begin(events, "response.output_text.done");
      place(events);
      put(events.text(), R"(,"logprobs":[])");
      finish(events, R"(,"text":)", join("\"", text, "\""));
      begin(events, "response.content_part.done");
      place(events);
      finish(events, R"(,"part":)", text_part(text));
      item_done(events, message_item("completed", text_part(text)));
    }
  }
  void item_done(Events& events, std::string_view item) {
    begin(events, "response.output_item.done");
    put(events.text(), R"(,"output_index":)", item_++);
    finish(events, R"(,"item":)", item);
  }

  std::string item_id() const { return join(in_thoughts_ ? "rs_" : calls_tool() ? "fc_" : "msg_", parts_.id); }
  std::string reasoning_item(std::string_view status) const {
    return join(R"({"id":"rs_)", parts_.id, R"(","type":"reasoning","status":")", status,
                R"(","summary":[],"content":[{"type":"reasoning_text","text":")", parts_.output.all_thoughts(),
                R"("}]})");
  }
  std::string call_item(std::string_view status, std::string_view arguments) const {
    return join(R"({"id":"fc_)", parts_.id, R"(","type":"function_call","status":")", status, R"(","call_id":"call_)",
                parts_.id, R"(","name":")", parts_.tool_name, R"(","arguments":")", arguments, R"("})");
  }
  std::string message_item(std::string_view status, std::string_view parts) const {
    return join(R"({"id":"msg_)", parts_.id, R"(","type":"message","status":")", status,
                R"(","role":"assistant","content":[)", parts, "]}");
  }
  static std::string text_part(std::string_view text) {
    return join(R"({"type":"output_text","text":")", text, R"(","annotations":[],"logprobs":[]})");
  }

  std::string response(std::string_view status, std::string_view items, bool with_usage) const {
    std::string out = join(R"({"id":"resp_)", parts_.id, R"(","object":"response","created_at":)", parts_.created,
                           R"(,"status":")", status, R"(","error":null,"incomplete_details":)",
                           status == "incomplete" ? R"({"reason":"max_output_tokens"})" : "null",
                           R"(,"instructions":null,"metadata":{},"model":")", parts_.model, R"(","output":[)", items,
                           R"(],"parallel_tool_calls":true,"previous_response_id":)",
                           parts_.previous_response_id.empty() ? "null" : join("\"", parts_.previous_response_id, "\""),
                           R"(,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":)");
    if (!with_usage) return out + "null}";
    const Usage usage = parts_.output.usage(parts_.output.size(), 1);
    put(out, R"({"input_tokens":)", usage.input, R"(,"input_tokens_details":{"cached_tokens":)", usage.cached,
        R"(},"output_tokens":)", usage.output, R"(,"output_tokens_details":{"reasoning_tokens":)", usage.reasoning,
        R"(},"total_tokens":)", usage.input + usage.output, "}}");
    return out;
  }

  std::uint64_t sequence_ = 0;
  std::uint64_t item_ = 0;  // index of the open one
  bool in_thoughts_ = false;
};

}  // namespace

std::unique_ptr<Answer> make_responses_answer(AnswerParts parts) {
  return std::make_unique<ResponsesAnswer>(std::move(parts));
}

}  // namespace weir::simulator
