// Legacy text completions: framed as chat, text instead of deltas.
#include "simulator/answer.hpp"
#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

using RunningUsage = ModelRequest::RunningUsage;

class CompletionAnswer final : public Answer {
 public:
  explicit CompletionAnswer(AnswerParts parts) : Answer(std::move(parts)) {
    begin_ = join(R"({"id":"cmpl-)", parts_.id, R"(","object":"text_completion","created":)", parts_.created,
                  R"(,"model":")", parts_.model, R"(","choices":[)");
  }

  void open(Events&) override {}

  void step(std::uint64_t index, Events& events) override {
    produced_ = index + 1;
    for (std::uint64_t choice = 0; choice < parts_.n; ++choice) {
      put(events.text(), "data: ", begin_, R"({"text":")", parts_.output.token(index), R"(","index":)", choice,
          R"(,"logprobs":null,"finish_reason":null}])");
      end_chunk(events, parts_, produced_, 1);
    }
  }

  void close(Events& events) override {
    for (std::uint64_t choice = 0; choice < parts_.n; ++choice) {
      put(events.text(), "data: ", begin_, R"({"text":"","index":)", choice, R"(,"logprobs":null,"finish_reason":")",
          finish_word(), R"("}])");
      end_chunk(events, parts_, produced_, 0);
    }
    if (parts_.usage != RunningUsage::none) {
      put(events.text(), "data: ", begin_, R"(],"usage":)",
          usage_json(parts_.output.usage(produced_, parts_.n), parts_.dialect), "}\n\n");
      events.end();
    }
    events.add("data: [DONE]\n\n");
  }

  std::string whole() const override {
    std::string out = begin_;
    const std::string text = parts_.output.tokens(0, parts_.output.size());
    for (std::uint64_t choice = 0; choice < parts_.n; ++choice) {
      put(out, choice > 0 ? "," : "", R"({"text":")", text, R"(","index":)", choice,
          R"(,"logprobs":null,"finish_reason":")", finish_word(), R"("})");
    }
    put(out, R"(],"usage":)", usage_json(parts_.output.usage(parts_.output.size(), parts_.n), parts_.dialect), "}");
    return out;
  }

  void fail(const Problem& problem, Events& events) override {
    events.add(join(R"(data: {"error":)", problem_object(problem), "}\n\n"));
  }

 private:
  std::string_view finish_word() const { return parts_.output.finish() == Finish::length ? "length" : "stop"; }

  std::string begin_;  // of every object, up to its choices
  std::uint64_t produced_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_completion_answer(AnswerParts parts) {
  return std::make_unique<CompletionAnswer>(std::move(parts));
}

}  // namespace weir::simulator
