#include "simulator/model_request.hpp"

#include <simdjson.h>

#include <algorithm>

#include "simulator/text.hpp"
#include "simulator/tool_call.hpp"
#include "simulator/vocabulary.hpp"

namespace weir::simulator {
namespace {

namespace dom = simdjson::dom;

constexpr std::uint64_t count_max = 1'000'000'000;  // of tokens somebody may ask for: sums of such still fit
constexpr std::uint64_t choices_max = 128;
constexpr std::uint64_t embedding_inputs_max = 2048;
constexpr std::uint64_t tokens_per_message = 3;
constexpr std::uint64_t tokens_to_prime = 3;
constexpr std::uint64_t tokens_per_image = 85;
constexpr std::string_view echo_prefix = "echo: ";

// Thrown while walking a body, caught in read(): the only way out of a deep walk that is readable.
struct Refused {
  BodyFault fault;
};
[[noreturn]] void refuse(std::string message, std::string_view param) {
  throw Refused{{std::move(message), std::string(param)}};
}

struct Body {
  dom::object object;

  // nullopt: absent or null.
  std::optional<dom::element> find(std::string_view name) const {
    dom::element value;
    if (object.at_key(name).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
    return value;
  }
  std::string_view text(std::string_view name) const {
    const auto value = find(name);
    if (!value) return {};
    std::string_view result;
    if (value->get(result) != simdjson::SUCCESS)
      refuse(join("Invalid type for '", name, "': expected a string."), name);
    return result;
  }
  bool boolean(std::string_view name, bool otherwise) const {
    const auto value = find(name);
    if (!value) return otherwise;
    bool result = false;
    if (value->get(result) != simdjson::SUCCESS)
      refuse(join("Invalid type for '", name, "': expected a boolean."), name);
    return result;
  }
  std::optional<std::uint64_t> count(std::string_view name, std::uint64_t least, std::uint64_t most) const {
    const auto value = find(name);
    if (!value) return std::nullopt;
    std::uint64_t result = 0;
    if (value->get(result) != simdjson::SUCCESS || result < least || result > most) {
      refuse(join("Invalid value for '", name, "': expected an integer from ", least, " to ", most, "."), name);
    }
    return result;
  }
  std::optional<dom::object> child(std::string_view name) const {
    const auto value = find(name);
    dom::object result;
    if (!value || value->get(result) != simdjson::SUCCESS) return std::nullopt;
    return result;
  }
};

// What walking the messages gathers.
struct Prompt {
  std::uint64_t bytes = 0;   // of text
  std::uint64_t tokens = 0;  // of everything else
  std::string_view last_role;
  std::string_view last_user_text;

  void add_text(std::string_view text) { bytes += text.size(); }
};

void walk_parts(dom::array parts, std::string_view role, Prompt& prompt);

// A content: a string, or a list of parts of which some have text.
void walk_content(dom::element content, std::string_view role, Prompt& prompt) {
  std::string_view text;
  dom::array parts;
  if (content.get(text) == simdjson::SUCCESS) {
    prompt.add_text(text);
    if (role == "user") prompt.last_user_text = text;
  } else if (content.get(parts) == simdjson::SUCCESS) {
    walk_parts(parts, role, prompt);
  }
}

void walk_parts(dom::array parts, std::string_view role, Prompt& prompt) {
  for (const dom::element part : parts) {
    dom::object object;
    if (part.get(object) != simdjson::SUCCESS) continue;
    dom::element inner;
    if (object["text"].get(inner) == simdjson::SUCCESS || object["content"].get(inner) == simdjson::SUCCESS) {
      walk_content(inner, role, prompt);
    } else {
      prompt.tokens += tokens_per_image;
    }
  }
}

void walk_message(dom::element element, std::string_view param, Prompt& prompt) {
  dom::object message;
  if (element.get(message) != simdjson::SUCCESS)
    refuse(join("Invalid type for '", param, "': expected objects."), param);
  const Body body{message};
  const std::string_view role = body.text("role");
  prompt.tokens += tokens_per_message;
  // An item of the Responses API that is not a message: what a tool said.
  prompt.last_role = role.empty() ? "tool" : role;
  prompt.add_text(body.text("name"));
  for (const std::string_view name : {"content", "reasoning_content", "output", "tool_calls"}) {
    const auto content = body.find(name);
    if (!content) continue;
    walk_content(*content, role, prompt);
    // Anthropic sends what a tool said as a part of a user's message.
    dom::array parts;
    dom::element type;
    if (content->get(parts) == simdjson::SUCCESS && parts.at(0).at_key("type").get(type) == simdjson::SUCCESS &&
        type.is_string() && std::string_view(type) == "tool_result") {
      prompt.last_role = "tool";
    }
  }
}

void walk_messages(const Body& body, std::string_view name, Prompt& prompt) {
  const auto value = body.find(name);
  if (!value) refuse(join("Missing required parameter: '", name, "'."), name);
  dom::array messages;
  if (value->get(messages) != simdjson::SUCCESS)
    refuse(join("Invalid type for '", name, "': expected an array."), name);
  if (messages.size() == 0) refuse(join("Invalid '", name, "': empty array. Expected at least 1 message."), name);
  for (const dom::element message : messages) walk_message(message, name, prompt);
}

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a: the same on every machine
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

// One input of an embedding or a prompt of a completion: its tokens, and a hash of what it says.
struct Input {
  std::uint64_t tokens = 0;
  std::uint64_t hash = 0;
};
Input read_token_ids(dom::array ids, std::string_view param) {
  Input input{0, hash_of("ids")};
  for (const dom::element id : ids) {
    std::uint64_t value = 0;
    if (id.get(value) != simdjson::SUCCESS) refuse(join("Invalid type for '", param, "': expected token ids."), param);
    ++input.tokens;
    input.hash = (input.hash ^ value) * 1099511628211u;
  }
  return input;
}

// A string, an array of strings, an array of token ids, or an array of such arrays.
std::vector<Input> read_inputs(const Body& body, std::string_view name) {
  const auto value = body.find(name);
  if (!value) refuse(join("Missing required parameter: '", name, "'."), name);
  std::string_view text;
  if (value->get(text) == simdjson::SUCCESS) return {Input{count_tokens(text.size()), hash_of(text)}};
  dom::array list;
  if (value->get(list) != simdjson::SUCCESS || list.size() == 0) refuse(join("'$.", name, "' is invalid."), name);
  if (list.at(0).is_number()) return {read_token_ids(list, name)};
  std::vector<Input> inputs;
  for (const dom::element item : list) {
    dom::array ids;
    if (item.get(text) == simdjson::SUCCESS) {
      inputs.push_back({count_tokens(text.size()), hash_of(text)});
    } else if (item.get(ids) == simdjson::SUCCESS) {
      inputs.push_back(read_token_ids(ids, name));
    } else {
      refuse(join("'$.", name, "' is invalid."), name);
    }
  }
  if (inputs.size() > embedding_inputs_max) refuse(join("'$.", name, "' is too long."), name);
  return inputs;
}

void read_stream_options(const Body& body, ModelRequest& request) {
  const auto options = body.child("stream_options");
  if (!options) return;
  if (!request.stream)
    refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options");
  const Body inner{*options};
  request.stream_option = "include_usage";
  if (inner.boolean("include_usage", false)) request.usage = ModelRequest::RunningUsage::null_until_end;
  for (const char* running : {"chunk_include_usage", "continuous_usage_stats"}) {
    if (!inner.boolean(running, false)) continue;
    request.stream_option = running;
    request.usage = ModelRequest::RunningUsage::every_chunk;
  }
}

void read_last_user_text(const Body& body, const Prompt& prompt, ModelRequest& request) {
  if (prompt.last_role == "user" && prompt.last_user_text.starts_with(echo_prefix)) {
    request.echoes = true;
    request.echo = prompt.last_user_text.substr(echo_prefix.size());
  }
  const auto tools = body.find("tools");
  if (!tools) return;
  const std::string_view text = prompt.last_user_text;
  const bool wished = prompt.last_role == "user" && !request.echoes &&
                      (text.find("tool") != std::string_view::npos || text.find("weather") != std::string_view::npos);
  if (const auto call = choose_tool(*tools, body.find("tool_choice"), wished)) {
    request.calls_tool = true;
    request.tool_name = call->name;
    request.tool_arguments = call->arguments;
  }
}

void read_prompt(const Body& body, Route route, ModelRequest& request) {
  Prompt prompt;
  prompt.tokens = tokens_to_prime;
  if (route == Route::responses) {
    if (const std::string_view text = body.text("instructions"); !text.empty()) {
      prompt.tokens += tokens_per_message;
      prompt.add_text(text);
    }
    std::string_view text;
    if (const auto input = body.find("input"); input && input->get(text) == simdjson::SUCCESS) {
      prompt.tokens += tokens_per_message;
      prompt.add_text(text);
      prompt.last_role = "user";
      prompt.last_user_text = text;
    } else {
      walk_messages(body, "input", prompt);
    }
  } else {
    if (const auto system = body.find("system"); system && route != Route::chat) {
      prompt.tokens += tokens_per_message;
      walk_content(*system, "system", prompt);
    }
    walk_messages(body, "messages", prompt);
  }
  if (const auto tools = body.find("tools")) prompt.bytes += simdjson::minify(*tools).size();
  request.prompt_tokens = count_tokens(prompt.bytes) + prompt.tokens;
  read_last_user_text(body, prompt, request);
}

void read_completion(const Body& body, ModelRequest& request) {
  for (const Input& input : read_inputs(body, "prompt")) request.prompt_tokens += input.tokens;
  request.prompt_tokens += count_tokens(body.text("suffix").size());
  request.best_of = body.count("best_of", 1, choices_max).value_or(1);
  std::string_view text;
  if (const auto prompt = body.find("prompt");
      prompt->get(text) == simdjson::SUCCESS && text.starts_with(echo_prefix)) {
    request.echoes = true;
    request.echo = text.substr(echo_prefix.size());
  }
}

void read_embedding(const Body& body, ModelRequest& request) {
  for (const Input& input : read_inputs(body, "input")) {
    request.prompt_tokens += input.tokens;
    request.embedding_inputs.push_back(input.hash);
  }
  request.dimensions = body.count("dimensions", 1, 8192).value_or(request.dimensions);
  const std::string_view format = body.text("encoding_format");
  if (!format.empty() && format != "float" && format != "base64")
    refuse("Invalid 'encoding_format'.", "encoding_format");
  request.base64 = format == "base64";
}

bool asks_to_think(const Body& body) {
  if (body.child("reasoning")) return true;
  const auto thinking = body.child("thinking");
  if (!thinking) return false;
  const std::string_view type = Body{*thinking}.text("type");
  return type == "enabled" || type == "adaptive";
}

ModelRequest read_request(dom::object object, Route route) {
  const Body body{object};
  ModelRequest request;
  request.model = body.text("model");
  if (request.model.empty()) refuse("you must provide a model parameter", "model");
  request.stream = body.boolean("stream", false);
  request.max_tokens = body.count("max_tokens", 1, count_max);
  request.max_total_tokens =
      body.count(route == Route::responses ? "max_output_tokens" : "max_completion_tokens", 1, count_max);
  switch (route) {
    case Route::embeddings:
      read_embedding(body, request);
      return request;
    case Route::completions:
      read_completion(body, request);
      break;
    case Route::messages:
      if (!request.max_tokens) refuse("max_tokens: Field required", "max_tokens");
      [[fallthrough]];
    default:
      read_prompt(body, route, request);
      break;
  }
  request.n = body.count("n", 1, choices_max).value_or(1);
  request.thinking = asks_to_think(body);
  request.previous_response_id = body.text("previous_response_id");
  request.store = body.boolean("store", true);
  read_stream_options(body, request);
  return request;
}

}  // namespace

std::optional<BodyFault> stream_option_fault(const ModelRequest& request, StreamUsage taken) {
  const std::string& option = request.stream_option;
  if (option.empty() || taken == StreamUsage::running) return std::nullopt;
  if (taken == StreamUsage::none)
    return BodyFault{"Unrecognized request argument supplied: stream_options", "stream_options"};
  if (option == "include_usage") return std::nullopt;
  return BodyFault{join("Unknown parameter: 'stream_options.", option, "'."), join("stream_options.", option)};
}

struct ModelRequestReader::Impl {
  dom::parser parser;
};

ModelRequestReader::ModelRequestReader() : impl_(new Impl) {}
ModelRequestReader::~ModelRequestReader() = default;

std::variant<ModelRequest, BodyFault> ModelRequestReader::read(std::string& body, Route route) {
  constexpr std::size_t kept_for = 1024 * 1024;  // the parser holds several bytes for each of the body's
  if (body.capacity() < body.size() + simdjson::SIMDJSON_PADDING)
    body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  const bool large = body.size() > kept_for;
  std::variant<ModelRequest, BodyFault> result;
  dom::object object;
  if (impl_->parser.parse(body.data(), body.size(), false).get(object) != simdjson::SUCCESS) {
    result = BodyFault{"We could not parse the JSON body of your request.", ""};
  } else {
    try {
      result = read_request(object, route);
    } catch (Refused& refused) {
      result = std::move(refused.fault);
    }
  }
  if (large) impl_ = std::make_unique<Impl>();
  return result;
}

}  // namespace weir::simulator
