// Server-sent events, framing only: bytes of any split in, complete event blocks with normalised line ends out.
// Knows lines, fields and the rules of the WHATWG algorithm; knows no API and no JSON. The layer below StreamFilter.
//
// Comments and blank lines between events are consumed here. A block that stands in the fed bytes as it must go out is
// returned as a view of them; any other (split over feeds, CR line ends, a comment inside) is rebuilt in one buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::protocol {

// One event, or a piece of one that is too large to be kept whole.
struct SseItem {
  enum class Kind {
    event,     // a complete block; read_fields() sets the last three members
    fragment,  // bytes of an event above the limit, to be passed on as they are; `data` and `has_data` are not known
  };
  Kind kind = Kind::event;
  std::string_view text;  // field lines, each ended by LF, and for an event (or a last fragment) the empty line
  bool in_input = false;  // `text` is a view of the fed bytes; otherwise it is valid until the next call
  bool first = true, last = true;  // of the fragments of one event
  std::string_view name;  // the last `event` field, empty if none; of a first fragment: if it is the first line
  std::string_view data;  // the `data` fields, joined by LF
  bool has_data = false;
};

class SseParser {
 public:
  explicit SseParser(std::size_t event_bytes_max) : event_bytes_max_(event_bytes_max) {}

  // Hands bytes over; they must stay until next() has returned false.
  // REQUIRES: next() returned false after the feed before, or nothing was fed yet.
  void feed(std::string_view bytes);
  bool next(SseItem& item);  // false: all fed bytes are used up

  // Sets name, data and has_data of an event: apart, because most events are recognised without them.
  void read_fields(SseItem& item);

  // The stream ended cleanly: an unfinished event, closed with the blank line that was missing. False: there was none.
  bool finish(SseItem& item);

  bool mid_event() const { return oversize_; }          // some fragments went out, the last did not
  std::uint64_t comments() const { return comments_; }  // comment lines consumed

 private:
  void drop_emitted();
  void skip_byte_order_mark();
  std::size_t find_line_end();  // npos: not in the fed bytes
  void pass_line_end(std::size_t at);
  void start_line();
  void keep_rest(std::size_t event_begin);
  void move_to_buffer(std::size_t event_begin, std::size_t end);
  // Each uses up some input; true: `item` is ready.
  bool next_in_input(SseItem& item);
  bool next_buffered(SseItem& item);
  bool next_fragment(SseItem& item);
  bool overflow(SseItem& item);
  bool complete(SseItem& item, std::string_view text, bool in_input);
  bool fragment(SseItem& item, std::string_view text, bool in_input, bool last);
  std::string_view name_on_first_line(std::string_view text) const;

  std::size_t event_bytes_max_;
  std::string_view input_;
  std::size_t position_ = 0;  // the first byte of input_ not yet used
  std::size_t next_lf_ = 0;   // the next line feed and carriage return at or after position_, once looked for
  std::size_t next_cr_ = 0;

  std::string buffer_;           // the normalised lines of an unfinished event; keeps its capacity up to 64 KiB
  std::string joined_;           // several data fields of one event
  bool emitted_buffer_ = false;  // the item last returned is a view of buffer_: clear it first
  bool buffering_ = false;       // the current event is in buffer_
  bool in_line_ = false;         // the last feed ended inside a line
  bool in_comment_ = false;      // ... which is a comment
  bool after_cr_ = false;        // the last byte used was a CR: an LF right after it belongs to the same line end
  bool oversize_ = false;
  unsigned bom_seen_ = 0;  // bytes of a leading byte order mark; 3: past the start of the stream
  std::uint64_t comments_ = 0;
};

}  // namespace weir::protocol
