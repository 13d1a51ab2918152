// Most chunks of a stream are the chunk before with another piece of text in one place. This remembers the last content
// chunk around its text; one that equals it there, byte for byte, and has a sound JSON string in between carries the
// same facts, and needs no parser. One per stream. A difference costs one comparison, never a wrong fact.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "protocol/event_facts.hpp"

namespace weir::protocol {

class ChunkMemo {
 public:
  // Remembers an event if its facts allow it: content in a string, and nothing else that matters.
  // REQUIRES: `data` is a view into `text`.
  void learn(std::string_view text, std::string_view data, const EventFacts& facts);

  // The facts of an event that differs from the learned one in its text only; false: not such an event.
  bool recall(std::string_view text, EventFacts& facts) const;

 private:
  struct Learned {
    std::string around;         // the event without its text
    std::size_t before = 0;     // bytes of it that stand before the text
    std::size_t text_size = 0;  // of the event's text, to shift what stands behind it
    EventFacts facts;
  };
  std::unique_ptr<Learned> learned_;  // with the first content: streams wait long for theirs, and many at a time
};

}  // namespace weir::protocol
