// Event streams as they were seen or may be feared, shared by the tests of the parser and of the filter.
#pragma once

#include <string>
#include <vector>

#include "protocol/api.hpp"

namespace weir::protocol {

struct StreamSample {
  const char* name;
  Api api;
  std::string bytes;
};

inline const std::vector<StreamSample>& stream_samples() {
  static const std::vector<StreamSample> samples{
      {"PlainChat", Api::chat,
       "data: "
       "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
       "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n"
       "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12}}\n\n"
       "data: [DONE]\n\n"},
      {"RunningUsage", Api::chat,
       "data: "
       "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n"
       "data: {\"usage\":\ndata: {\"prompt_tokens\":9,\ndata: \"completion_tokens\":2},\ndata: "
       "\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\n\n"
       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"},
      {"CrLfChat", Api::chat,
       "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}],\"usage\":null}\r\n\r\n: keep-alive\r\n\r\ndata: "
       "[DONE]\r\n\r\n"},
      {"BareCr", Api::chat, "data: {\"choices\":[]}\r\rid: 7\rdata: x\r\r"},
      {"MixedLineEnds", Api::chat, "data: a\r\n\rdata: b\n\r\ndata: c\r\n\n\n\r\r\ndata: d\n\n"},
      {"ByteOrderMark", Api::chat,
       "\xEF\xBB\xBF"
       "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"},
      {"HalfAByteOrderMark", Api::chat,
       "\xEF\xBB"
       "data: a\n\ndata: b\n\n"},
      {"TwoByteOrderMarks", Api::chat,
       "\xEF\xBB\xBF\xEF\xBB\xBF"
       "data: a\n\ndata: b\n\n"},
      {"Comments", Api::chat,
       ": one\n\n: two\n:\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n: three\n"},
      {"CommentInsideEvent", Api::chat, "event: x\n: keep-alive\ndata: {\"a\":\ndata: 1}\n:two\n\ndata: b\n\n"},
      {"CommentInData", Api::chat, "data: : keep-alive\n\ndata: : OPENROUTER PROCESSING\n\ndata:: c\n\ndata: a\n\n"},
      {"Pings", Api::messages,
       "event: ping\ndata: {\"type\": \"ping\"}\n\nevent: ping\n\nevent: keepalive\ndata: {}\n\nevent: "
       "keep-alive\ndata:\n\n"
       "event: ping\ndata: {\"type\":\"ping\",\"n\":1}\n\nevent: pong\ndata: {}\n\ndata: {\"type\":\"ping\"}\n\n"},
      {"FieldsWithoutData", Api::chat, "id: 7\n\nretry: 1000\n\nevent: x\n\nfoo\n\nfoo: bar\nid: 8\n\ndata: a\n\n"},
      {"EmptyData", Api::chat, "data:\n\ndata\n\ndata: \n\ndata:\ndata:\n\ndata:  \t\n\ndata: a\n\n"},
      {"OddFields", Api::chat, "id:7\nevent:x\nretry: 5\nx-own: 1\ndata:a\ndata:  b\ndata\nDATA: c\ndatas: d\n\n"},
      {"BlankLines", Api::chat, "\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n"},
      {"Unfinished", Api::chat, "data: a\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}"},
      {"UnfinishedLines", Api::chat, "data: a\n\nid: 3\ndata: b\n"},
      {"UnfinishedComment", Api::chat, "data: a\n\ndata: b\n: comment"},
      {"NulAndHighBytes", Api::chat,
       "data: a" + std::string(1, '\0') +
           "b\n\ndata: \xFF\xFE\n\n\xEF\xBB\xBF"
           "data: c\n\n"},
      {"HideableUsage", Api::chat,
       "data: {\"usage\":null,\"choices\":[{\"delta\":{\"content\":\"usage\\\":null\"}}]}\n\n"
       "data: {\"choices\":[{\"delta\":{}}] , \"usage\" : null , \"id\":1}\n\n"
       "data: "
       "{\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n"
       "data: {\"choices\":[],\ndata: \"usage\":\ndata: null}\n\n"
       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}\n\n"},
      {"Responses", Api::responses,
       "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n"
       "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n"
       "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":5,"
       "\"output_tokens\":2}}}\n\n"},
      {"Messages", Api::messages,
       "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":4,"
       "\"cache_read_input_tokens\":10,\"output_tokens\":1}}}\n\n"
       "event: ping\ndata: {\"type\": \"ping\"}\n\n"
       "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
       "\"text\":\"Hi\"}}\n\n"
       "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
       "\"usage\":{\"output_tokens\":7}}\n\n"
       "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
      {"ErrorInStream", Api::chat,
       "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
       "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n"},
  };
  return samples;
}

}  // namespace weir::protocol
