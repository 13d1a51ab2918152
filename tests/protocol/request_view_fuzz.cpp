// Any bytes as a request body: accepted exactly if a slow validator accepts them, and every combination of splices
// leaves valid JSON in which the members that were to stay are as they were.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "protocol/error_body.hpp"
#include "reference_json.hpp"
#include "request_support.hpp"

namespace {

using namespace weir::protocol;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void check_splices(std::string_view body, const RequestView& view, std::size_t mask) {
  std::vector<std::string_view> dropped;
  for (std::size_t i = 0; i < view.members.size(); ++i) {
    if ((mask >> (i % 8) & 1) != 0) dropped.push_back(view.members[i].name);
  }
  std::vector<Splice> splices = drop_members(body, view, dropped);
  if (view.find("model") != nullptr) splices.push_back(replace_model(view, "other"));
  if (dropped.size() < view.members.size()) {
    for (Splice& splice : ask_for_usage(body, view)) splices.push_back(std::move(splice));
  }
  const std::string result = spliced(body, splices);
  const reference::Json after(result);
  require(after.valid(), "spliced bodies are valid");
  const auto changed = read_body(result, view.api, {256, 2048});
  require(std::holds_alternative<RequestView>(changed), "spliced bodies are accepted");
  for (const Member& member : view.members) {
    const bool gone = std::find(dropped.begin(), dropped.end(), member.name) != dropped.end();
    const Member* const kept = std::get<RequestView>(changed).find(member.name);
    if (member.name != "stream_options") require((kept == nullptr) == gone, "members stay or go");
    if (kept == nullptr || member.name == "model" || member.name == "stream_options") continue;
    const auto text = [](std::string_view from, const Span& span) {
      return from.substr(span.begin, span.end - span.begin);
    };
    require(text(body, member.value) == text(result, kept->value), "members that stay are untouched");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const reference::Json expected(body);
  const char padding = size > 0 ? static_cast<char>(data[size / 2]) : '}';
  for (const Api api : {Api::chat, Api::completions, Api::embeddings, Api::responses, Api::messages, Api::other}) {
    const auto result = read_body(body, api, {}, padding);
    const auto* const error = std::get_if<BodyError>(&result);
    const bool is_json = error == nullptr || error->kind != BodyError::Kind::invalid_json;
    require(is_json == expected.valid(), "the validator agrees");
    require(error == nullptr || (error->offset <= size && !error->reason.empty()), "a fault has a place and a reason");
    if (error == nullptr) check_splices(body, std::get<RequestView>(result), size % 251);
  }
  require(reference::Json("{\"a\":" + json_quote(body) + "}").valid(), "quoted bytes are a string");
  read_error_body(body);
  return 0;
}
