#include "protocol/request_view.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "protocol/json_scan.hpp"
#include "protocol/request_members.hpp"

namespace weir::protocol {
namespace {

namespace ondemand = simdjson::ondemand;

// Bodies above this leave no buffers behind; smaller ones are cheaper to keep than to allocate again.
constexpr std::size_t kept_capacity_max = 1024 * 1024;
constexpr std::size_t kept_capacity_min = 16 * 1024;

// Part types that are not text: they cost tokens by other rules and need models that take them.
constexpr std::array<std::string_view, 17> non_text_types{"image_url",
                                                          "image",
                                                          "input_image",
                                                          "image_file",
                                                          "input_audio",
                                                          "audio",
                                                          "audio_url",
                                                          "video_url",
                                                          "video",
                                                          "input_video",
                                                          "file",
                                                          "input_file",
                                                          "document",
                                                          "computer_screenshot",
                                                          "computer_call_output",
                                                          "image_generation_call",
                                                          "container_upload"};

// Reads every value of one document, because On-Demand checks only what it is asked for: the escapes of each string and
// the spelling of each number are checked here, the structure by asking for it.
// Every string passes through string(): the place to hand texts to a token estimator.
class BodyWalk {
 public:
  BodyWalk(std::string_view body, Api api, const ReadLimits& limits, RequestView& view)
      : body_(body), api_(api), limits_(limits), view_(view) {}

  // False: not valid JSON, or nested too deeply.
  bool run(ondemand::document& document) {
    ondemand::object object;
    if (document.get_object().get(object) != simdjson::SUCCESS || limits_.depth_max == 0) return false;
    for (auto next : object) {
      ondemand::field field;
      if (std::move(next).get(field) != simdjson::SUCCESS || !member(document, field)) return false;
    }
    // Anything left, or a walk into the padding, is not the end.
    return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
  }

  // The first fault that is not one of syntax.
  const std::optional<BodyError>& fault() const { return fault_; }

 private:
  // Where a value stands decides what its `type` means: parts and messages are items of a list.
  enum class Place { other, list, item };

  std::size_t offset_of(const char* at) const { return static_cast<std::size_t>(at - body_.data()); }

  void refuse(std::string field, std::size_t offset, std::string reason) {
    if (!fault_) fault_ = BodyError{BodyError::Kind::invalid_parameter, std::move(field), offset, std::move(reason)};
  }

  bool member(ondemand::document& document, ondemand::field& field) {
    std::string_view key;
    if (!key_inside(field, key)) return false;
    if (view_.members.size() >= limits_.members_max) {
      refuse("", offset_of(key.data()) - 1, "more than " + std::to_string(limits_.members_max) + " members");
      return value(field.value(), 2, Place::other);
    }
    Member& member = view_.members.emplace_back();
    member.name = key.find('\\') == std::string_view::npos ? std::string(key) : json::unescape(key);
    member.key = {offset_of(key.data()) - 1, offset_of(key.data()) + key.size() + 1};

    ondemand::value content = field.value();
    const std::string_view token = token_of(content);
    member.value.begin = offset_of(token.data());
    member.value.end = member.value.begin + token.size();
    const bool holds_messages = member.name == "messages" && (api_ == Api::chat || api_ == Api::messages);
    const bool holds_input = member.name == "input" && api_ == Api::responses;
    const bool nested = !token.empty() && (token[0] == '[' || token[0] == '{');
    if (holds_messages && !token.empty() && token[0] == '[') {
      if (!messages(content)) return false;
    } else if (!value(content, 2, holds_input ? Place::list : Place::other)) {
      return false;
    }
    if (!nested) return true;
    const char* after = nullptr;  // the token that follows the value
    // A walk into the padding ends before the first token.
    if (document.current_location().get(after) != simdjson::SUCCESS || after <= body_.data() + member.value.begin ||
        after >= body_.data() + body_.size())
      return false;
    member.value.end = offset_of(after);
    while (json::is_space(body_[member.value.end - 1])) --member.value.end;
    return true;
  }

  bool messages(ondemand::value content) {
    if (limits_.depth_max < 2) return false;
    ondemand::array array;
    if (content.get_array().get(array) != simdjson::SUCCESS) return false;
    std::size_t index = 0;
    for (auto next : array) {
      ondemand::value message;
      if (std::move(next).get(message) != simdjson::SUCCESS) return false;
      const std::string_view token = token_of(message);
      if (!token.empty() && token[0] != '{') {
        refuse("messages[" + std::to_string(index) + "]", offset_of(token.data()), "a message must be an object");
      }
      if (!value(message, 3, Place::item)) return false;
      ++index;
    }
    return true;
  }

  // `depth` counts the containers around the value, plus itself if it is one.
  bool value(ondemand::value content, std::size_t depth, Place place) {
    const std::string_view token = token_of(content);
    if (token.empty()) return false;
    switch (token[0]) {
      case '{':
        return depth <= limits_.depth_max && object(content, depth, place);
      case '[':
        return depth <= limits_.depth_max && array(content, depth, place);
      case '"': {
        ondemand::raw_json_string raw;
        return string(token) && content.get_raw_json_string().get(raw) == simdjson::SUCCESS;
      }
      default:
        return json::is_scalar(token);  // left unread: On-Demand steps over exactly one token
    }
  }

  bool object(ondemand::value content, std::size_t depth, Place place) {
    ondemand::object members;
    if (content.get_object().get(members) != simdjson::SUCCESS) return false;
    for (auto next : members) {
      ondemand::field field;
      std::string_view key;
      if (std::move(next).get(field) != simdjson::SUCCESS || !key_inside(field, key)) return false;
      ondemand::value inner = field.value();
      Place inner_place = Place::other;
      if (place != Place::other) {
        const std::string unescaped = key.find('\\') == std::string_view::npos ? std::string() : json::unescape(key);
        const std::string_view name = unescaped.empty() ? key : std::string_view(unescaped);
        if (name == "content" || name == "output") inner_place = Place::list;
        if (name == "type") note_type(token_of(inner));
      }
      if (!value(inner, depth + 1, inner_place)) return false;
    }
    return true;
  }

  bool array(ondemand::value content, std::size_t depth, Place place) {
    ondemand::array elements;
    if (content.get_array().get(elements) != simdjson::SUCCESS) return false;
    const Place inner = place == Place::list ? Place::item : Place::other;
    for (auto next : elements) {
      ondemand::value element;
      if (std::move(next).get(element) != simdjson::SUCCESS || !value(element, depth + 1, inner)) return false;
    }
    return true;
  }

  bool string(std::string_view token) const {
    return token.size() >= 2 && token.back() == '"' &&
           json::find_bad_escape(token.substr(1, token.size() - 2)) == std::string_view::npos;
  }

  void note_type(std::string_view token) {
    if (token.size() < 2 || token[0] != '"') return;
    const std::string_view inside = token.substr(1, token.size() - 2);
    const std::string unescaped = inside.find('\\') == std::string_view::npos ? std::string() : json::unescape(inside);
    const std::string_view type = unescaped.empty() ? inside : std::string_view(unescaped);
    view_.has_non_text_input |= std::find(non_text_types.begin(), non_text_types.end(), type) != non_text_types.end();
  }

  // The token without the white space that follows it. A token beyond the body's end (an unbalanced document makes
  // On-Demand read the padding) is returned empty.
  std::string_view token_of(ondemand::value& content) const {
    std::string_view token = content.raw_json_token();
    if (token.data() >= body_.data() + body_.size()) return {};
    while (!token.empty() && json::is_space(token.back())) token.remove_suffix(1);
    return token;
  }

  // The key's text as written, without quotes; false: a bad escape in it.
  bool key_inside(ondemand::field& field, std::string_view& inside) const {
    const char* const begin = field.key().raw();
    const char* const end = body_.data() + body_.size();
    const char* at = begin;
    bool escaped = false;
    for (; at < end && *at != '"'; ++at) {
      if (*at == '\\') {
        escaped = true;
        ++at;
      }
    }
    if (at >= end) return false;
    inside = std::string_view(begin, static_cast<std::size_t>(at - begin));
    return !escaped || json::find_bad_escape(inside) == std::string_view::npos;
  }

  std::string_view body_;
  Api api_;
  const ReadLimits& limits_;
  RequestView& view_;
  std::optional<BodyError> fault_;
};

BodyError syntax_fault(std::string_view body, const ReadLimits& limits) {
  std::optional<json::Fault> fault = json::find_fault(body, limits.depth_max);
  // Never seen: simdjson refused what the RFC allows. Refusing with a vague reason is the safe side.
  if (!fault) return {BodyError::Kind::invalid_json, "", 0, "the body could not be read as JSON"};
  std::string reason = fault->reason;
  if (!fault->member.empty()) reason = "nested deeper than " + std::to_string(limits.depth_max) + " levels";
  return {BodyError::Kind::invalid_json, std::move(fault->member), fault->offset, std::move(reason)};
}

}  // namespace

const Member* RequestView::find(std::string_view name) const {
  const auto found = std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.name == name; });
  return found == members.end() ? nullptr : &*found;
}

struct RequestReader::Impl {
  ondemand::parser parser;
};

const std::size_t RequestReader::padding = simdjson::SIMDJSON_PADDING;

RequestReader::RequestReader() : impl_(std::make_unique<Impl>()) {}
RequestReader::~RequestReader() = default;
RequestReader::RequestReader(RequestReader&&) noexcept = default;
RequestReader& RequestReader::operator=(RequestReader&&) noexcept = default;

std::variant<RequestView, BodyError> RequestReader::read(std::string_view body, Api api, const ReadLimits& limits) {
  RequestView view;
  view.api = api;
  view.members.reserve(6);  // what most calls have; each is 64 bytes for as long as the call waits
  // Newer versions of simdjson skip a byte order mark; the RFC lets a parser refuse it, and upstreams do.
  if (body.empty() || body.front() == '\xEF') return syntax_fault(body, limits);

  ondemand::parser& parser = impl_->parser;
  if (parser.capacity() < body.size()) {
    // Some room to grow, but not beyond what would be kept.
    const std::size_t roomy = std::min(body.size() + body.size() / 4, kept_capacity_max);
    const std::size_t capacity = std::max({body.size(), roomy, kept_capacity_min});
    if (parser.allocate(capacity, std::max<std::size_t>(limits.depth_max + 2, simdjson::DEFAULT_MAX_DEPTH)) !=
        simdjson::SUCCESS) {
      return BodyError{BodyError::Kind::invalid_json, "", 0, "the body is too large to be read"};
    }
  }
  BodyWalk walk(body, api, limits, view);
  ondemand::document document;
  const bool valid =
      parser.iterate(simdjson::padded_string_view(body.data(), body.size(), body.size() + padding)).get(document) ==
          simdjson::SUCCESS &&
      walk.run(document);
  if (parser.capacity() > kept_capacity_max) parser = ondemand::parser();

  if (!valid) return syntax_fault(body, limits);
  if (walk.fault()) return *walk.fault();
  if (auto fault = read_members(body, view)) return *std::move(fault);
  return view;
}

}  // namespace weir::protocol
