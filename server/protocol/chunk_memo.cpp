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
  const bool plain = facts.content && facts.finishes == 0 && !facts.terminal && !facts.error && !facts.only_usage &&
                     !facts.usage.any() && facts.usage_members_count <= 1;
  const bool in_one_line = data.data() >= text.data() && data.data() + data.size() <= text.data() + text.size();
  if (!plain || !in_one_line || facts.text.begin == facts.text.end || text.size() > learned_bytes_max) return;
  if (!learned_) learned_ = std::make_unique<Learned>();
  learned_->before = static_cast<std::size_t>(data.data() - text.data()) + facts.text.begin;
  learned_->text_size = facts.text.end - facts.text.begin;
  learned_->around.assign(text, 0, learned_->before);
  learned_->around.append(text, learned_->before + learned_->text_size);
  learned_->facts = facts;
}

bool ChunkMemo::recall(std::string_view text, EventFacts& facts) const {
  if (!learned_ || text.size() <= learned_->around.size()) return false;
  const std::string& around = learned_->around;
  const std::size_t before = learned_->before, after = around.size() - before;
  // The end first: it differs in the chunk that finishes, and often in the numbers of others.
  if (std::memcmp(text.data() + text.size() - after, around.data() + before, after) != 0) return false;
  if (std::memcmp(text.data(), around.data(), before) != 0) return false;
  const std::size_t size = text.size() - around.size();
  if (!is_inside_of_a_string(text.substr(before, size))) return false;
  facts = learned_->facts;
  facts.text.end = facts.text.begin + size;
  for (std::size_t i = 0; i < facts.usage_members_count; ++i) {
    Span& member = facts.usage_members[i];
    if (member.begin < facts.text.begin) continue;
    member.begin += size - learned_->text_size;
    member.end += size - learned_->text_size;
  }
  return true;
}

}  // namespace weir::protocol
