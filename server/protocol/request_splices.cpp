// The few changes weir makes to a request body, as edits at offsets of the untouched bytes.
#include <algorithm>

#include "protocol/error_body.hpp"
#include "protocol/json_scan.hpp"
#include "protocol/request_view.hpp"

namespace weir::protocol {

Splice replace_model(const RequestView& view, std::string_view model) {
  const Span value = view.find("model")->value;
  return {value.begin, value.end - value.begin, json_quote(model)};
}

// A dropped member takes one comma with it: the one before it, unless no member before it stays; then the one after it.
std::vector<Splice> drop_members(std::string_view /*body*/, const RequestView& view,
                                 const std::vector<std::string_view>& names) {
  std::vector<Splice> splices;
  bool one_stays_before = false;
  const std::vector<Member>& members = view.members;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (std::find(names.begin(), names.end(), members[i].name) == names.end()) {
      one_stays_before = true;
      continue;
    }
    const std::size_t begin = one_stays_before ? members[i - 1].value.end : members[i].key.begin;
    const bool has_next = i + 1 < members.size();
    const std::size_t end = !one_stays_before && has_next ? members[i + 1].key.begin : members[i].value.end;
    if (!splices.empty() && splices.back().offset + splices.back().erase == begin) {
      splices.back().erase += end - begin;
    } else {
      splices.push_back({begin, end - begin, {}});
    }
  }
  return splices;
}

std::vector<Splice> ask_for_usage(std::string_view body, const RequestView& view, std::string_view running) {
  const bool has_option = view.api == Api::chat || view.api == Api::completions;
  if (!has_option || !view.stream || view.members.empty()) return {};
  std::vector<std::string_view> wanted;
  if (!view.asks_usage) wanted.emplace_back("include_usage");
  if (!running.empty() && !view.asks_running_usage) wanted.push_back(running);
  if (wanted.empty()) return {};
  const auto as_members = [&] {
    std::string text;
    for (const std::string_view name : wanted) text += (text.empty() ? "" : ",") + json_quote(name) + ":true";
    return text;
  };
  const Member* const options = view.find("stream_options");
  if (options == nullptr) {
    // In front of the first member: an insertion there is never inside a stretch that drop_members erases.
    return {{view.members.front().key.begin, 0, R"("stream_options":{)" + as_members() + "},"}};
  }
  const Span span = options->value;
  const std::string_view text = body.substr(span.begin, span.end - span.begin);
  if (text == "null") return {{span.begin, text.size(), "{" + as_members() + "}"}};

  std::vector<Splice> splices;
  bool empty = true;
  json::Members members(text);
  while (members.next()) {
    empty = false;
    const std::string key = json::unescape(members.key().substr(1, members.key().size() - 2));
    const auto name = std::find(wanted.begin(), wanted.end(), key);
    if (name == wanted.end()) continue;
    wanted.erase(name);
    const auto at = span.begin + static_cast<std::size_t>(members.value().data() - text.data());
    splices.push_back({at, members.value().size(), "true"});
  }
  if (!wanted.empty()) splices.push_back({span.begin + 1, 0, as_members() + (empty ? "" : ",")});
  return splices;
}

std::vector<std::string_view> apply_splices(std::string_view body, std::vector<Splice>& splices) {
  // At one offset an insertion goes first, then the larger change: what lies inside that is then passed over.
  std::sort(splices.begin(), splices.end(), [](const Splice& a, const Splice& b) {
    if (a.offset != b.offset) return a.offset < b.offset;
    if ((a.erase == 0) != (b.erase == 0)) return a.erase == 0;
    if (a.erase != b.erase) return a.erase > b.erase;
    return a.insert < b.insert;
  });
  std::vector<std::string_view> pieces;
  std::size_t position = 0;
  const auto add = [&](std::string_view piece) {
    if (!piece.empty()) pieces.push_back(piece);
  };
  for (const Splice& splice : splices) {
    if (splice.offset < position) continue;
    add(body.substr(position, splice.offset - position));
    add(splice.insert);
    position = splice.offset + splice.erase;
  }
  add(body.substr(position));
  return pieces;
}

}  // namespace weir::protocol
