#include "protocol/chunk_memo.hpp"

#include <cstring>

namespace weir::protocol {
namespace {

constexpr std::size_t learned_bytes_max = 4096;  // larger chunks are rare, and their parsing is not what costs

// Not empty, one line, and every quote in it escaped: then the string ends where the learned one ended.
bool is_inside_of_a_string(std::string_view text) {
  if (text.empty()) return false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      if (++at == text.size()) return false;
    } else if (text[at] == '"' || text[at] == '\n') {
      return false;
    }
  }
  return true;
}

}  // namespace

void ChunkMemo::learn(std::string_view text, std::string_view data, const EventFacts& facts) {
  const bool plain = facts.content && !facts.terminal && !facts.error && !facts.only_usage && !facts.usage.any() &&
                     facts.usage_members_count <= 1;
  const bool in_one_line = data.data() >= text.data() && data.data() + data.size() <= text.data() + text.size();
  if (!plain || !in_one_line || facts.text.begin == facts.text.end || text.size() > learned_bytes_max) return;
  data_offset_ = static_cast<std::size_t>(data.data() - text.data());
  before_ = data_offset_ + facts.text.begin;
  text_size_ = facts.text.end - facts.text.begin;
  around_.assign(text, 0, before_);
  around_.append(text, before_ + text_size_);
  facts_ = facts;
}

bool ChunkMemo::recall(std::string_view text, EventFacts& facts) const {
  if (around_.empty() || text.size() <= around_.size()) return false;
  const std::size_t after = around_.size() - before_;
  // The end first: it differs in the chunk that finishes, and often in the numbers of others.
  if (std::memcmp(text.data() + text.size() - after, around_.data() + before_, after) != 0) return false;
  if (std::memcmp(text.data(), around_.data(), before_) != 0) return false;
  const std::size_t size = text.size() - around_.size();
  if (!is_inside_of_a_string(text.substr(before_, size))) return false;
  facts = facts_;
  facts.text.end = facts.text.begin + size;
  for (std::size_t i = 0; i < facts.usage_members_count; ++i) {
    Span& member = facts.usage_members[i];
    if (member.begin < facts_.text.begin) continue;
    member.begin += size - text_size_;
    member.end += size - text_size_;
  }
  return true;
}

}  // namespace weir::protocol
