// A slow event-stream reader, written from the WHATWG algorithm and nothing else, to hold the real one against.
// It wants the whole stream at once. Used by tests and by the fuzz target.
#pragma once

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir::protocol::reference {

struct Event {
  std::string type;
  std::string data;
  std::vector<std::string> lines;  // all lines but comments
  bool has_data = false;
  bool operator==(const Event&) const = default;
};

struct Stream {
  std::vector<Event> blocks;  // closed by a blank line, with at least one line that is no comment
  Event unfinished;           // what stands after the last blank line
  std::size_t comments = 0;
};

inline std::vector<std::string> split_lines(std::string_view bytes) {
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\n' && i > 0 && bytes[i - 1] == '\r') continue;
    if (bytes[i] == '\n' || bytes[i] == '\r') {
      lines.emplace_back();
    } else {
      lines.back() += bytes[i];
    }
  }
  return lines;  // the last one is not closed
}

inline void add_line(Event& event, const std::string& line) {
  event.lines.push_back(line);
  const std::size_t colon = line.find(':');
  const std::string name = line.substr(0, colon);
  std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
  if (!value.empty() && value[0] == ' ') value.erase(0, 1);
  if (name == "event") event.type = value;
  if (name == "data") {
    if (event.has_data) event.data += '\n';
    event.data += value;
    event.has_data = true;
  }
}

inline Stream read(std::string_view bytes) {
  if (bytes.substr(0, 3) == "\xEF\xBB\xBF") bytes.remove_prefix(3);
  Stream stream;
  const std::vector<std::string> lines = split_lines(bytes);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool closed = i + 1 < lines.size();
    if (!lines[i].empty() && lines[i][0] == ':') {
      ++stream.comments;
    } else if (!lines[i].empty()) {
      add_line(stream.unfinished, lines[i]);
    } else if (closed && !stream.unfinished.lines.empty()) {
      stream.blocks.push_back(stream.unfinished);
      stream.unfinished = Event();
    }
  }
  return stream;
}

// Is the block one of those weir keeps to itself?
inline bool is_keepalive(const Event& event) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  std::size_t begin = 0;
  while (begin < event.data.size() && is_blank(event.data[begin])) ++begin;
  const std::string rest = event.data.substr(begin);
  if (rest.empty() || rest[0] == ':') return true;
  if (event.type != "ping" && event.type != "keepalive" && event.type != "keep-alive") return false;
  std::string squeezed;  // without white space outside strings
  bool in_string = false;
  for (const char c : rest) {
    if (c == '"') in_string = !in_string;
    if (in_string || !is_blank(c)) squeezed += c;
  }
  return squeezed == "{}" || squeezed == "{\"type\":\"ping\"}";
}

inline std::string write(const Event& event) {
  std::string text;
  for (const std::string& line : event.lines) text += line + "\n";
  return text + "\n";
}

// What a client must receive of `bytes`, each event of it as `written`. `closes`: the upstream finished its body, and
// what is unfinished is an event.
template <typename Written = std::string(const Event&)>
std::string relay(std::string_view bytes, bool closes, const Written& written = write) {
  const Stream stream = read(bytes);
  std::string out;
  for (const Event& event : stream.blocks) {
    if (!is_keepalive(event)) out += written(event);
  }
  if (closes && !stream.unfinished.lines.empty() && !is_keepalive(stream.unfinished)) out += written(stream.unfinished);
  return out;
}

}  // namespace weir::protocol::reference
