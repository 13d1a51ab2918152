// A blocking HTTP client of a few lines for the simulator's tests: sends the bytes it is given and shows exactly what
// came back and how it ended. Every wait has an end.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "simulator/options.hpp"

namespace weir::simulator::test {

struct Response {
  int status = 0;  // 0: no head came
  std::string head;
  std::string body;  // without chunk framing
  std::vector<std::string> chunks;
  enum class End { complete, closed, reset, timeout };
  End end = End::timeout;  // how reading stopped; complete: the framing said so

  std::string header(std::string_view name) const;  // any case; empty: not there
};

// A simulator on a free port that answers at once, with this many tokens.
Options fast(std::uint64_t output_tokens = 30);

class Client {
 public:
  explicit Client(std::uint16_t port);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes);
  Response receive(std::chrono::milliseconds patience = std::chrono::seconds(5));
  // Reads until this many bytes of a body have come (or it ends).
  std::string receive_some(std::size_t bytes);
  void close();

  // A POST with this JSON body; `headers` are lines.
  Response post(std::string_view path, std::string_view body, std::string_view headers = {});
  Response get(std::string_view path, std::string_view headers = {});

 private:
  bool fill(std::chrono::steady_clock::time_point deadline);  // reads once; false: the end (see end_) or no time left

  int fd_;
  std::string input_;
  Response::End end_ = Response::End::timeout;
};

std::string post_text(std::string_view path, std::string_view body, std::string_view headers = {});

// A body for /v1/chat/completions; `more` are members such as `,"stream":true`.
std::string chat(std::string_view text, std::string_view more = {});

// The value at a JSON pointer as text; "<none>" if there is none, "<bad>" if the text is no JSON.
std::string at(std::string_view json, std::string_view pointer);

struct Event {
  std::string name;  // empty: unnamed
  std::string data;
};
std::vector<Event> events_of(std::string_view stream);  // comments are left out

// The text of a chat stream's first choice: all delta.content together.
std::string chat_text(const std::vector<Event>& events);

}  // namespace weir::simulator::test
