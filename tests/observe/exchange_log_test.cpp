// The line of an exchange, and the log that writes it: what stands in it, in both formats, and that nothing which comes
// from outside can break it.
#include "observe/exchange_log.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <sstream>
#include <vector>

namespace weir::observe {
namespace {

using namespace std::chrono_literals;

ExchangeRecord full() {
  ExchangeRecord record;
  record.request_id = "req_1";
  record.client = "alice";
  record.method = "POST";
  record.path = "/v1/chat/completions";
  record.model = "deepseek-chat";
  record.upstream = "deepseek";
  record.upstream_request_id = "up-7";
  record.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  record.outcome = "ok";
  record.status = 200;
  record.stream = true;
  record.attempts = 1;
  record.bytes_in = 120;
  record.bytes_out = 3400;
  record.events = 12;
  record.keepalives_absorbed = 2;
  record.heartbeats_sent = 1;
  record.input_tokens = 10;
  record.cached_tokens = 4;
  record.output_tokens = 20;
  record.reasoning_tokens = 0;
  record.duration = 1'234'567us;
  record.first_byte = 15'250us;
  record.first_content = 16'000us;
  return record;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(ExchangeLine, AsTextHasNamesAndValues) {
  EXPECT_EQ(format_exchange(full(), LogFormat::text),
            "request_id=req_1 key=alice method=POST path=/v1/chat/completions model=deepseek-chat upstream=deepseek "
            "status=200 outcome=ok stream=true attempts=1 duration_ms=1234.567 first_byte_ms=15.250 "
            "first_content_ms=16.000 bytes_in=120 bytes_out=3400 events=12 keepalives_absorbed=2 heartbeats_sent=1 "
            "input_tokens=10 cached_tokens=4 output_tokens=20 reasoning_tokens=0 upstream_request_id=up-7 "
            "trace_id=4bf92f3577b34da6a3ce929d0e0e4736");
}

TEST(ExchangeLine, AsJsonHasTheSameNamesAndTypedValues) {
  EXPECT_EQ(format_exchange(full(), LogFormat::json),
            R"("request_id":"req_1","key":"alice","method":"POST","path":"/v1/chat/completions",)"
            R"("model":"deepseek-chat","upstream":"deepseek","status":200,"outcome":"ok","stream":true,"attempts":1,)"
            R"("duration_ms":1234.567,"first_byte_ms":15.250,"first_content_ms":16.000,"bytes_in":120,)"
            R"("bytes_out":3400,"events":12,"keepalives_absorbed":2,"heartbeats_sent":1,"input_tokens":10,)"
            R"("cached_tokens":4,"output_tokens":20,"reasoning_tokens":0,"upstream_request_id":"up-7",)"
            R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736")");
}

TEST(ExchangeLine, CountsWhatMayHaveBeenBilledTwice) {
  ExchangeRecord record = full();
  record.tries = {{"a", 0, "weir_upstream_reset", true}, {"a", 500, "fault"}, {"a", 200, "", false}};
  EXPECT_NE(format_exchange(record, LogFormat::json).find(R"(,"possible_double_charges":1,)"), std::string::npos);
  record.tries = {{"a", 0, "weir_upstream_reset", true}};  // and not repeated
  EXPECT_EQ(format_exchange(record, LogFormat::json).find("possible_double_charges"), std::string::npos);
}

TEST(ExchangeLine, LeavesOutWhatIsNotKnown) {
  ExchangeRecord record;
  record.request_id = "req_1";
  record.status = 404;
  record.outcome = "refused";
  record.error = "model_not_found";
  record.detail = "No model is called 'x'.";
  EXPECT_EQ(format_exchange(record, LogFormat::text),
            "request_id=req_1 status=404 outcome=refused error=model_not_found detail=\"No model is called 'x'.\" "
            "attempts=0 duration_ms=0.000 bytes_in=0 bytes_out=0");
}

TEST(ExchangeLine, IsOneLineOfValidJsonWhateverComesFromOutside) {
  const std::string samples[] = {"plain",
                                 "gr\xC3\xBC\xC3\x9F \xE4\xBD\xA0 \xF0\x9F\x98\x80",
                                 "a\"b\\c",
                                 "line\nline\r\n\tend",
                                 std::string("nul\0escape\x1B[31m\x7F", 15),
                                 "\xFF\xFE",
                                 "cut \xE4\xBD",
                                 "alone \x80 long \xC0\xAF half \xED\xA0\x80 beyond \xF4\x90\x80\x80",
                                 "over \xE0\x80\xAF \xF0\x80\x80\xAF \xF8\x88\x80\x80\x80"};
  for (const std::string& sample : samples) {
    ExchangeRecord record;
    record.path = record.model = record.upstream_request_id = sample;
    const std::string line = "{" + format_exchange(record, LogFormat::json) + "}";
    simdjson::dom::parser parser;
    simdjson::dom::element element;
    ASSERT_EQ(parser.parse(line).get(element), simdjson::SUCCESS) << line;
    const bool text_is_valid = simdjson::validate_utf8(sample);
    std::string_view model;
    ASSERT_EQ(element["model"].get(model), simdjson::SUCCESS);
    EXPECT_EQ(model == sample, text_is_valid) << line;
    EXPECT_EQ(model.find("\xEF\xBF\xBD") != std::string_view::npos, !text_is_valid) << line;
    for (const LogFormat format : {LogFormat::json, LogFormat::text}) {
      for (const char c : format_exchange(record, format)) {
        EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7f) << "control character in " << line;
      }
    }
  }
}

TEST(ExchangeLine, QuotesTextThatWouldLookLikeAnotherField) {
  ExchangeRecord record;
  record.model = "m outcome=ok";
  record.path = "/v1/x=y";
  const std::string line = format_exchange(record, LogFormat::text);
  EXPECT_NE(line.find("path=\"/v1/x=y\" model=\"m outcome=ok\" "), std::string::npos) << line;
}

class WrittenLog : public ::testing::TestWithParam<LogFormat> {};

TEST_P(WrittenLog, HasOneLineForEachExchangeAndEvent) {
  LogOptions options;
  options.format = GetParam();
  options.to_stdout = true;
  ::testing::internal::CaptureStdout();
  {
    Log log(options);
    log.info("started {} \"here\"");
    log.exchange(full());
    log.set_level("error");
    log.warn("below the level");
    log.exchange(full());
    log.error("bad");
    log.set_level("warn");
    log.warn("odd");
  }
  const std::string written = ::testing::internal::GetCapturedStdout();
  const std::vector<std::string> lines = lines_of(written);
  ASSERT_EQ(lines.size(), 4u) << written;
  EXPECT_NE(lines[1].find("deepseek-chat"), std::string::npos) << written;
  if (GetParam() == LogFormat::text) {
    EXPECT_TRUE(lines[0].ends_with(" info started {} \"here\"")) << written;
    EXPECT_TRUE(lines[2].ends_with(" error bad")) << written;
    EXPECT_TRUE(lines[3].ends_with(" warn odd")) << written;  // as the level is called in log.level
    return;
  }
  const char* const wanted[][2] = {{"info", "server"}, {"info", "exchange"}, {"error", "server"}, {"warn", "server"}};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    simdjson::dom::parser parser;
    simdjson::dom::element element;
    ASSERT_EQ(parser.parse(lines[i]).get(element), simdjson::SUCCESS) << lines[i];
    EXPECT_EQ(std::string_view(element["level"]), wanted[i][0]);
    EXPECT_EQ(std::string_view(element["event"]), wanted[i][1]);
    EXPECT_EQ(std::string_view(element["time"]).substr(0, 2), "20");
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, WrittenLog, ::testing::Values(LogFormat::text, LogFormat::json),
                         [](const auto& format) { return format.param == LogFormat::text ? "Text" : "Json"; });

}  // namespace
}  // namespace weir::observe
