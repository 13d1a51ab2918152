// An answer in the shape of one API: as a stream of events, one step per token, or whole. Shapes differ in everything
// (named events or not, how they open and close, where usage stands), so each is a class of its own; when and how the
// bytes go out is not their business (session.hpp). Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "simulator/model_request.hpp"
#include "simulator/output.hpp"
#include "simulator/refusal.hpp"

namespace weir::simulator {

// Events in a row. Written in place: append to text(), then say end().
class Events {
 public:
  struct Entry {
    std::size_t end;       // of the event in the text
    std::uint64_t tokens;  // 0: no content
  };

  std::string& text() { return text_; }
  void end(std::uint64_t tokens = 0) { entries_.push_back({text_.size(), tokens}); }
  void add(std::string_view event, std::uint64_t tokens = 0) {
    text_ += event;
    end(tokens);
  }

  std::string_view text() const { return text_; }
  const std::vector<Entry>& entries() const { return entries_; }
  void clear() {
    text_.clear();
    entries_.clear();
  }

 private:
  std::string text_;
  std::vector<Entry> entries_;
};

// What every shape is made of. Strings are insides of JSON strings.
struct AnswerParts {
  std::string id;  // 24 characters, without the prefix of the kind of object
  std::int64_t created = 0;
  std::string model;
  Dialect dialect = Dialect::openai;
  std::uint64_t n = 1;
  ModelRequest::RunningUsage usage = ModelRequest::RunningUsage::none;
  std::string tool_name;             // empty: no call
  std::string tool_arguments;        // as JSON, not as the inside of a string
  std::string previous_response_id;  // responses
  Output output;
};

class Answer {
 public:
  virtual ~Answer() = default;

  virtual void open(Events& events) = 0;
  virtual void step(std::uint64_t index, Events& events) = 0;  // the index-th token of every choice
  virtual void close(Events& events) = 0;
  virtual std::string whole() const = 0;

  virtual void fail(const Problem& problem, Events& events) = 0;  // an error in the middle of the stream
  virtual std::string_view keepalive() const { return ": keep-alive\n\n"; }

  const AnswerParts& parts() const { return parts_; }

 protected:
  explicit Answer(AnswerParts parts) : parts_(std::move(parts)) {}
  AnswerParts parts_;
};

std::unique_ptr<Answer> make_chat_answer(AnswerParts parts);
std::unique_ptr<Answer> make_completion_answer(AnswerParts parts);
std::unique_ptr<Answer> make_responses_answer(AnswerParts parts);
std::unique_ptr<Answer> make_messages_answer(AnswerParts parts);

// Chat's and completions' usage object.
std::string usage_json(const Usage& usage, Dialect dialect);
// Ends an event of theirs behind its choices, with the usage so far where it is asked for; `produced`: of every choice.
void end_chunk(Events& events, const AnswerParts& parts, std::uint64_t produced, std::uint64_t tokens);

// The answer to an embeddings request.
std::string write_embeddings(const ModelRequest& request);

}  // namespace weir::simulator
