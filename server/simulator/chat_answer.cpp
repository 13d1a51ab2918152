// Chat completions: unnamed events, the role first, one delta per token, then the finish reason, the usage if asked
// for, and [DONE].
#include "simulator/answer.hpp"
#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

using RunningUsage = ModelRequest::RunningUsage;

class ChatAnswer final : public Answer {
 public:
  explicit ChatAnswer(AnswerParts parts) : Answer(std::move(parts)) {
    prefix_ =
        join(R"(data: {"id":"chatcmpl-)", parts_.id, R"(","object":"chat.completion.chunk","created":)", parts_.created,
             R"(,"model":")", parts_.model, R"(","system_fingerprint":"fp_simulated","choices":[)");
  }

  void open(Events& events) override {
    for (std::uint64_t choice = 0; choice < parts_.n; ++choice) {
      if (parts_.tool_name.empty()) {
        add_delta(events, choice, R"("role":"assistant","content":"")", 0);
      } else {
        add_delta(events, choice,
                  join(R"("role":"assistant","content":null,"tool_calls":[{"index":0,"id":")", call_id(choice),
                       R"(","type":"function","function":{"name":")", parts_.tool_name, R"(","arguments":""}}])"),
                  0);
      }
    }
  }

  void step(std::uint64_t index, Events& events) override {
    const std::string_view token = parts_.output.token(index);
    produced_ = index + 1;
    for (std::uint64_t choice = 0; choice < parts_.n; ++choice) {
      std::string& out = events.text();
      put(out, prefix_, R"({"index":)", choice, R"(,"delta":{)");
      if (parts_.output.is_thought(index)) {
        put(out, R"("content":null,"reasoning_content":")", token, R"(")");
      } else if (!parts_.tool_name.empty()) {
        put(out, R"("tool_calls":[{"index":0,"function":{"arguments":")", token, R"("}}])");
      } else {
        put(out, R"("content":")", token, R"(")");
      }
      put(out, R"(},"logprobs":null,"finish_reason":null}])");
      end_chunk(events, parts_, produced_, 1);
    }
  }

  void close(Events& events) override {
    for (std::uint64_t choice = 0; choice < parts_.n; ++choice) {
      put(events.text(), prefix_, R"({"index":)", choice, R"(,"delta":{},"logprobs":null,"finish_reason":")",
          finish_word(), R"("}])");
      end_chunk(events, parts_, produced_, 0);
    }
    if (parts_.usage != RunningUsage::none) {
      put(events.text(), prefix_, R"(],"usage":)", usage_json(parts_.output.usage(produced_, parts_.n), parts_.dialect),
          "}\n\n");
      events.end();
    }
    events.add("data: [DONE]\n\n");
  }

  std::string whole() const override {
    std::string out = join(R"({"id":"chatcmpl-)", parts_.id, R"(","object":"chat.completion","created":)",
                           parts_.created, R"(,"model":")", parts_.model, R"(","choices":[)");
    const std::string rest = parts_.output.all_but_thoughts();
    for (std::uint64_t choice = 0; choice < parts_.n; ++choice) {
      put(out, choice > 0 ? "," : "", R"({"index":)", choice, R"(,"message":{"role":"assistant","content":)");
      if (parts_.tool_name.empty()) {
        put(out, R"(")", rest, R"(")");
      } else {
        put(out, R"(null,"tool_calls":[{"id":")", call_id(choice), R"(","type":"function","function":{"name":")",
            parts_.tool_name, R"(","arguments":")", rest, R"("}}])");
      }
      if (parts_.output.thoughts() > 0) put(out, R"(,"reasoning_content":")", parts_.output.all_thoughts(), R"(")");
      put(out, R"(,"refusal":null},"logprobs":null,"finish_reason":")", finish_word(), R"("})");
    }
    put(out, R"(],"usage":)", usage_json(parts_.output.usage(parts_.output.size(), parts_.n), parts_.dialect),
        R"(,"system_fingerprint":"fp_simulated"})");
    return out;
  }

  void fail(const Problem& problem, Events& events) override {
    events.add(join(R"(data: {"error":)", problem_object(problem), "}\n\n"));
  }

 private:
  void add_delta(Events& events, std::uint64_t choice, std::string_view delta, std::uint64_t tokens) {
    put(events.text(), prefix_, R"({"index":)", choice, R"(,"delta":{)", delta,
        R"(},"logprobs":null,"finish_reason":null}])");
    end_chunk(events, parts_, produced_, tokens);
  }

  std::string call_id(std::uint64_t choice) const { return join("call_", choice, parts_.id); }

  std::string_view finish_word() const {
    switch (parts_.output.finish()) {
      case Finish::stop:
        return "stop";
      case Finish::length:
        return "length";
      case Finish::tool_call:
        return "tool_calls";
    }
    return {};
  }

  std::string prefix_;  // of every event, up to its choices
  std::uint64_t produced_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_chat_answer(AnswerParts parts) {
  return std::make_unique<ChatAnswer>(std::move(parts));
}

std::string usage_json(const Usage& usage, Dialect dialect) {
  std::string out =
      join(R"({"prompt_tokens":)", usage.input, R"(,"completion_tokens":)", usage.output, R"(,"total_tokens":)",
           usage.input + usage.output, R"(,"prompt_tokens_details":{"cached_tokens":)", usage.cached,
           R"(},"completion_tokens_details":{"reasoning_tokens":)", usage.reasoning, "}");
  if (dialect == Dialect::deepseek) {
    put(out, R"(,"prompt_cache_hit_tokens":)", usage.cached, R"(,"prompt_cache_miss_tokens":)",
        usage.input - usage.cached);
  }
  return out + "}";
}

void end_chunk(Events& events, const AnswerParts& parts, std::uint64_t produced, std::uint64_t tokens) {
  std::string& out = events.text();
  if (parts.usage == RunningUsage::every_chunk) {
    put(out, R"(,"usage":)", usage_json(parts.output.usage(produced, parts.n), parts.dialect));
  } else if (parts.usage == RunningUsage::null_until_end) {
    out += R"(,"usage":null)";
  }
  out += "}\n\n";
  events.end(tokens);
}

}  // namespace weir::simulator
