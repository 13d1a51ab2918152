// Heads of requests and responses: what is read, what is refused, and where a body ends. The tables have a row for
// every way of smuggling that RFC 9112 and the history of proxies know of.
#include "net/head.hpp"

#include <gtest/gtest.h>

#include <ostream>

namespace weir::net {
namespace {

using Kind = BodyFraming::Kind;

constexpr HeadLimits limits{};

struct Verdict {
  std::string refused;  // empty: accepted
  RequestHead head;
  BodyFraming framing;
};

// All checks a request goes through, in order.
Verdict judge_request(std::string_view bytes, const HeadLimits& within = limits) {
  Verdict verdict;
  const auto end = find_head_end(bytes, within);
  if (const auto* error = std::get_if<HeadError>(&end)) return verdict.refused = error->reason, verdict;
  if (std::get<std::size_t>(end) == 0) return verdict.refused = "incomplete", verdict;
  if (auto error = parse_request_head(bytes.substr(0, std::get<std::size_t>(end)), within, verdict.head)) {
    return verdict.refused = "parser: " + error->reason, verdict;
  }
  if (auto error = check_request_target(verdict.head)) return verdict.refused = error->reason, verdict;
  const auto framing = request_framing(verdict.head);
  if (const auto* error = std::get_if<HeadError>(&framing)) return verdict.refused = error->reason, verdict;
  verdict.framing = std::get<BodyFraming>(framing);
  return verdict;
}

std::string post(const std::string& fields) {
  return "POST /v1/x HTTP/1.1\r\nHost: localhost:8080\r\n" + fields + "\r\n";
}

TEST(HeaderNames, AreEqualInAnyCaseOfTheirLettersAndNothingElse) {
  EXPECT_TRUE(equals_ignoring_case("", ""));
  EXPECT_TRUE(equals_ignoring_case("Content-Length", "content-LENGTH"));
  EXPECT_TRUE(equals_ignoring_case("x", "X"));
  EXPECT_FALSE(equals_ignoring_case("host", "hosts"));
  EXPECT_FALSE(equals_ignoring_case("", "x"));
  EXPECT_FALSE(equals_ignoring_case("via", "vib"));
  // Signs whose codes differ as those of a letter's two cases do.
  EXPECT_FALSE(equals_ignoring_case("@a", "`a"));
  EXPECT_FALSE(equals_ignoring_case("a@", "a`"));
  EXPECT_FALSE(equals_ignoring_case("[", "{"));
  EXPECT_FALSE(equals_ignoring_case("\x01", "!"));
}

TEST(RequestHead, IsReadAsViewsIntoItsBytes) {
  const std::string bytes =
      "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: localhost:8080\r\nX-Empty:\r\nX-Padded: \t padded value \t\r\n"
      "Content-Length: 12\r\n\r\n";
  const Verdict verdict = judge_request(bytes);
  ASSERT_EQ(verdict.refused, "");
  EXPECT_EQ(verdict.head.method, "POST");
  EXPECT_EQ(verdict.head.target, "/v1/chat/completions?a=b");
  EXPECT_EQ(verdict.head.version, 11);
  ASSERT_EQ(verdict.head.fields.size(), 4u);
  EXPECT_EQ(verdict.head.value_of("host"), "localhost:8080");
  EXPECT_NE(verdict.head.find("x-empty"), nullptr);
  EXPECT_EQ(verdict.head.value_of("x-empty"), "");
  EXPECT_EQ(verdict.head.value_of("X-PADDED"), "padded value");
  EXPECT_EQ(verdict.head.find("absent"), nullptr);
  EXPECT_EQ(verdict.framing.kind, Kind::length);
  EXPECT_EQ(verdict.framing.length, 12u);
  for (const Field& field : verdict.head.fields) {
    EXPECT_GE(field.name.data(), bytes.data());
    EXPECT_LE(field.value.data() + field.value.size(), bytes.data() + bytes.size());
  }
}

TEST(RequestHead, IsIncompleteAtEveryCut) {
  const std::string bytes = post("Content-Length: 3\r\n");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const auto end = find_head_end(std::string_view(bytes).substr(0, cut), limits);
    ASSERT_TRUE(std::holds_alternative<std::size_t>(end)) << cut;
    EXPECT_EQ(std::get<std::size_t>(end), 0u) << cut;
  }
  const auto end = find_head_end(bytes + "abc", limits);
  EXPECT_EQ(std::get<std::size_t>(end), bytes.size()) << "the body is not part of it";
}

struct Row {
  const char* name;
  std::string bytes;
  friend std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }
};

template <class Test>
std::string row_name(const ::testing::TestParamInfo<Test>& info) {
  return info.param.name;
}

class RefusedRequest : public ::testing::TestWithParam<Row> {};

TEST_P(RefusedRequest, IsRefusedWithAReason) {
  const Verdict verdict = judge_request(GetParam().bytes);
  EXPECT_NE(verdict.refused, "");
  EXPECT_NE(verdict.refused, "incomplete");
}

const std::string nul("\0", 1);

INSTANTIATE_TEST_SUITE_P(
    Framing, RefusedRequest,
    ::testing::Values(
        Row{"EncodingAndLength", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
        Row{"LengthAndEncoding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
        Row{"DifferentLengths", post("Content-Length: 5\r\nContent-Length: 6\r\n")},
        Row{"EqualLengths", post("Content-Length: 5\r\nContent-Length: 5\r\n")},
        Row{"EqualLengthsInOtherCase", post("Content-Length: 5\r\ncontent-length: 5\r\n")},
        Row{"ListOfLengths", post("Content-Length: 3, 3\r\n")}, Row{"SignedLength", post("Content-Length: +3\r\n")},
        Row{"NegativeLength", post("Content-Length: -3\r\n")},
        Row{"HexadecimalLength", post("Content-Length: 0x3\r\n")},
        Row{"LengthWithAFraction", post("Content-Length: 3.0\r\n")},
        Row{"LengthWithSpaceInside", post("Content-Length: 3 3\r\n")},
        Row{"LengthWithFormFeed", post("Content-Length: \f3\r\n")}, Row{"EmptyLength", post("Content-Length:\r\n")},
        Row{"LengthBeyond64Bits", post("Content-Length: 18446744073709551617\r\n")},
        Row{"LengthInWords", post("Content-Length: three\r\n")}, Row{"Gzip", post("Transfer-Encoding: gzip\r\n")},
        Row{"XChunked", post("Transfer-Encoding: xchunked\r\n")},
        Row{"XChunkedBesideALength", post("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n")},
        Row{"ChunkedThenGzip", post("Transfer-Encoding: chunked, gzip\r\n")},
        Row{"GzipThenChunked", post("Transfer-Encoding: gzip, chunked\r\n")},
        Row{"ChunkedTwiceInAList", post("Transfer-Encoding: chunked, chunked\r\n")},
        Row{"ChunkedTwice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
        Row{"ChunkedAndIdentity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")},
        Row{"ChunkedWithParameter", post("Transfer-Encoding: chunked;q=1\r\n")},
        Row{"ChunkedInQuotes", post("Transfer-Encoding: \"chunked\"\r\n")},
        Row{"ChunkedAfterVerticalTab", post("Transfer-Encoding: \vchunked\r\n")},
        Row{"EmptyEncoding", post("Transfer-Encoding:\r\n")},
        Row{"EncodingInHttp10", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"}),
    row_name<Row>);

INSTANTIATE_TEST_SUITE_P(
    Lines, RefusedRequest,
    ::testing::Values(
        Row{"FoldedLine", post("X-Long: begins\r\n and goes on\r\n")},
        Row{"FoldedLineByTab", post("X-Long: begins\r\n\tand goes on\r\n")},
        Row{"FoldedLength", post("Content-Length:\r\n 3\r\n")},
        Row{"SpaceBeforeTheFirstField", "GET / HTTP/1.1\r\n Host: x\r\n\r\n"},
        Row{"SpaceBeforeColon", post("Content-Length : 3\r\n")}, Row{"TabBeforeColon", post("Content-Length\t: 3\r\n")},
        Row{"NoColon", post("Content-Length 3\r\n")}, Row{"NoName", post(": value\r\n")},
        Row{"SpaceInName", post("X Y: value\r\n")}, Row{"BracketInName", post("X[Y]: value\r\n")},
        Row{"HighByteInName", post("X-\xe9: value\r\n")}, Row{"BareCrInValue", post("X: a\rContent-Length: 3\r\n")},
        Row{"BareCrInName", post("X\rY: a\r\n")}, Row{"TwoCrs", post("X: a\r\r\n")},
        Row{"BareLf", post("X: a\nContent-Length: 3\r\n")}, Row{"BareLfEndsTheHead", "GET / HTTP/1.1\nHost: x\n\n"},
        Row{"BareLfAsEmptyLine", "GET / HTTP/1.1\r\nHost: x\r\n\n"},
        Row{"LfFirst", "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"}, Row{"NulInValue", post("X: a" + nul + "b\r\n")},
        Row{"NulInName", post("X" + nul + ": b\r\n")},
        Row{"NulInTarget", "GET /a" + nul + "b HTTP/1.1\r\nHost: x\r\n\r\n"}, Row{"BellInValue", post("X: a\ab\r\n")},
        Row{"EscapeInValue", post("X: a\x1b[31m\r\n")}, Row{"DeleteInValue", post("X: a\x7f\r\n")},
        Row{"ControlInName", post("X\x01: b\r\n")}),
    row_name<Row>);

std::string hosted(const std::string& host) {
  return "GET / HTTP/1.1\r\n" + host + "\r\n";
}

INSTANTIATE_TEST_SUITE_P(
    Host, RefusedRequest,
    ::testing::Values(Row{"Missing", hosted("")}, Row{"Twice", hosted("Host: a\r\nHost: b\r\n")},
                      Row{"TwiceTheSame", hosted("Host: a\r\nHost: a\r\n")},
                      Row{"TwiceInHttp10", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
                      Row{"Empty", hosted("Host:\r\n")}, Row{"WithSpace", hosted("Host: a b\r\n")},
                      Row{"WithComma", hosted("Host: a, b\r\n")}, Row{"WithSlash", hosted("Host: a/b\r\n")},
                      Row{"WithAt", hosted("Host: user@a\r\n")}, Row{"WithBackslash", hosted("Host: a\\b\r\n")},
                      Row{"WithQuestionMark", hosted("Host: a?b\r\n")}, Row{"WithHash", hosted("Host: a#b\r\n")},
                      Row{"HighByte", hosted("Host: b\xc3\xbc\x63her\r\n")},
                      Row{"PortInWords", hosted("Host: a:http\r\n")}, Row{"PortTooLarge", hosted("Host: a:65536\r\n")},
                      Row{"PortTooLong", hosted("Host: a:000000000080\r\n")},
                      Row{"TwoPorts", hosted("Host: a:80:80\r\n")}, Row{"OnlyAPort", hosted("Host: :80\r\n")},
                      Row{"BareIpv6", hosted("Host: ::1\r\n")}, Row{"OpenBracket", hosted("Host: [::1\r\n")},
                      Row{"CloseBracket", hosted("Host: ::1]\r\n")}, Row{"BracketInside", hosted("Host: a[::1]\r\n")},
                      Row{"AfterBracket", hosted("Host: [::1]a\r\n")}, Row{"EmptyBrackets", hosted("Host: []\r\n")},
                      Row{"NameInBrackets", hosted("Host: [localhost]\r\n")}),
    row_name<Row>);

std::string start(const std::string& line) {
  return line + "\r\nHost: x\r\n\r\n";
}

INSTANTIATE_TEST_SUITE_P(
    StartLine, RefusedRequest,
    ::testing::Values(Row{"AbsoluteForm", start("GET http://other/path HTTP/1.1")},
                      Row{"AuthorityForm", start("CONNECT other:443 HTTP/1.1")},
                      Row{"AsteriskOfAGet", start("GET * HTTP/1.1")}, Row{"NoSlash", start("GET path HTTP/1.1")},
                      Row{"Fragment", start("GET /a#b HTTP/1.1")}, Row{"SpaceInTarget", start("GET /a b HTTP/1.1")},
                      Row{"TwoSpaces", start("GET  / HTTP/1.1")}, Row{"TabForSpace", start("GET\t/\tHTTP/1.1")},
                      Row{"ControlInTarget", start("GET /a\x01 HTTP/1.1")},
                      Row{"DeleteInTarget", start("GET /a\x7f HTTP/1.1")}, Row{"NoTarget", start("GET HTTP/1.1")},
                      Row{"NoVersion", start("GET /")}, Row{"NoMethod", start(" / HTTP/1.1")},
                      Row{"BracketInMethod", start("G[T / HTTP/1.1")}, Row{"Http09", start("GET / HTTP/0.9")},
                      Row{"Http12", start("GET / HTTP/1.2")}, Row{"Http2", start("GET / HTTP/2.0")},
                      Row{"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
                      Row{"LongVersion", start("GET / HTTP/1.11")}, Row{"VersionInLowerCase", start("GET / http/1.1")},
                      Row{"SpaceAfterVersion", start("GET / HTTP/1.1 ")},
                      Row{"Tls", "\x16\x03\x01\x02" + nul + "\x01\r\n\r\n"}, Row{"EmptyLine", "\r\n\r\n"}),
    row_name<Row>);

class AcceptedRequest : public ::testing::TestWithParam<Row> {};

TEST_P(AcceptedRequest, IsAccepted) {
  EXPECT_EQ(judge_request(GetParam().bytes).refused, "");
}

INSTANTIATE_TEST_SUITE_P(
    Table, AcceptedRequest,
    ::testing::Values(
        Row{"Chunked", post("Transfer-Encoding: chunked\r\n")},
        Row{"ChunkedInAnyCase", post("transfer-encoding:  ChUnKeD  \r\n")},
        Row{"LengthPadded", post("Content-Length:  \t 3 \r\n")}, Row{"LengthZero", post("Content-Length: 0\r\n")},
        Row{"LengthWithZerosInFront", post("Content-Length: 0003\r\n")}, Row{"NoBody", hosted("Host: a\r\n")},
        Row{"HostWithPort", hosted("Host: a.b-c_d:8080\r\n")}, Row{"HostIpv4", hosted("Host: 127.0.0.1:80\r\n")},
        Row{"HostIpv6", hosted("Host: [::1]:80\r\n")}, Row{"HostIpv6WithoutPort", hosted("Host: [2001:db8::1]\r\n")},
        Row{"HostWithEmptyPort", hosted("Host: a:\r\n")}, Row{"HostWithDotAtItsEnd", hosted("Host: a.b.\r\n")},
        Row{"Http10WithoutHost", "GET / HTTP/1.0\r\n\r\n"}, Row{"AsteriskOfOptions", start("OPTIONS * HTTP/1.1")},
        Row{"AnyMethod", start("PROPFIND /a HTTP/1.1")},
        Row{"TargetWithEscapes", start("GET /a%20b/%E4?x=%00&y=[1]|~ HTTP/1.1")},
        Row{"Utf8InValue", post("X: \xc3\xa4\r\n")}, Row{"TabInValue", post("X: a\tb\r\n")},
        Row{"TheSameFieldTwice", post("X: a\r\nX: b\r\n")}, Row{"EmptyValue", post("X:\r\n")}),
    row_name<Row>);

TEST(RequestFraming, SaysWhereTheBodyEnds) {
  EXPECT_EQ(judge_request(post("Transfer-Encoding: CHUNKED\r\n")).framing.kind, Kind::chunked);
  EXPECT_EQ(judge_request(post("")).framing.kind, Kind::none);
  EXPECT_EQ(judge_request(post("Content-Length: 0\r\n")).framing.kind, Kind::none);
  const BodyFraming framing = judge_request(post("Content-Length: 999999999999999999\r\n")).framing;
  EXPECT_EQ(framing.kind, Kind::length);
  EXPECT_EQ(framing.length, 999'999'999'999'999'999u);
}

TEST(HeadLimits, AllowAHeadOfExactlyTheLimitAndNoByteMore) {
  const std::string bytes = post("X: " + std::string(900, 'x') + "\r\n");
  EXPECT_EQ(judge_request(bytes, {bytes.size(), 128}).refused, "");
  EXPECT_EQ(judge_request(bytes + "a body", {bytes.size(), 128}).refused, "");
  const auto end = find_head_end(bytes, {bytes.size() - 1, 128});
  ASSERT_TRUE(std::holds_alternative<HeadError>(end));
  EXPECT_EQ(std::get<HeadError>(end).kind, HeadError::Kind::too_large);
}

TEST(HeadLimits, RefuseALineThatNeverEndsAsSoonAsItIsTooLong) {
  const std::string endless = "GET /" + std::string(2000, 'x');
  EXPECT_TRUE(std::holds_alternative<std::size_t>(find_head_end(endless.substr(0, 1000), {1000, 128})));
  const auto end = find_head_end(endless, {1000, 128});
  ASSERT_TRUE(std::holds_alternative<HeadError>(end));
  EXPECT_EQ(std::get<HeadError>(end).kind, HeadError::Kind::too_large);
}

TEST(HeadLimits, CountTheFieldsOfAHeadThatIsNotAllThere) {
  std::string bytes = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 10; ++i) bytes += "a\r\n";
  const auto allowed = find_head_end(bytes, {65536, 10});
  ASSERT_TRUE(std::holds_alternative<std::size_t>(allowed));
  EXPECT_EQ(std::get<std::size_t>(allowed), 0u);
  EXPECT_EQ(std::get<std::size_t>(find_head_end(bytes + "\r\n", {65536, 10})), bytes.size() + 2);
  const auto end = find_head_end(bytes + "a\r\n", {65536, 10});
  ASSERT_TRUE(std::holds_alternative<HeadError>(end));
  EXPECT_EQ(std::get<HeadError>(end).kind, HeadError::Kind::too_many_fields);
  EXPECT_EQ(std::get<HeadError>(end).reason, "more than 10 header fields");
}

TEST(HeadLimits, CountTheFieldsOfAHeadThatComesByteByByte) {
  std::string bytes = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 11; ++i) bytes += "a: b\r\n";
  HeadScan scan;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const auto end = find_head_end(std::string_view(bytes).substr(0, cut), {65536, 10}, scan);
    ASSERT_TRUE(std::holds_alternative<std::size_t>(end)) << cut;
    EXPECT_EQ(std::get<std::size_t>(end), 0u) << cut;
  }
  const auto end = find_head_end(bytes, {65536, 10}, scan);
  ASSERT_TRUE(std::holds_alternative<HeadError>(end));
  EXPECT_EQ(std::get<HeadError>(end).kind, HeadError::Kind::too_many_fields);
}

TEST(RequestHead, IsScannedOnFromTheLineThatWasNotComplete) {
  const std::string bytes = post("Content-Length: 3\r\n");
  HeadScan scan;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const auto end = find_head_end(std::string_view(bytes).substr(0, cut), limits, scan);
    ASSERT_TRUE(std::holds_alternative<std::size_t>(end)) << cut;
    EXPECT_EQ(std::get<std::size_t>(end), 0u) << cut;
    EXPECT_EQ(scan.line_begin, bytes.substr(0, cut).rfind('\n') + 1) << cut;
  }
  EXPECT_EQ(std::get<std::size_t>(find_head_end(bytes, limits, scan)), bytes.size());
}

TEST(HeadLimits, CountFields) {
  std::string fields;
  for (int i = 0; i < 9; ++i) fields += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_EQ(judge_request(post(fields), {65536, 10}).refused, "");  // and Host
  RequestHead head;
  const std::string bytes = post(fields + "X-9: y\r\n");
  const auto error = parse_request_head(bytes, {65536, 10}, head);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->kind, HeadError::Kind::too_many_fields);
}

TEST(HeadLimits, DoNotCareForHeadersOf64KiB) {
  const std::string bytes = post("Authorization: Bearer " + std::string(64 * 1024 - 200, 'k') + "\r\n");
  EXPECT_EQ(judge_request(bytes).refused, "");
}

// Responses.

std::string framing_of(const std::string& bytes, std::string_view method = "GET") {
  const auto end = find_head_end(bytes, limits);
  if (const auto* error = std::get_if<HeadError>(&end)) return "refused: " + error->reason;
  ResponseHead head;
  if (auto error = parse_response_head(std::string_view(bytes).substr(0, std::get<std::size_t>(end)), limits, head)) {
    return "refused: " + error->reason;
  }
  const auto framing = response_framing(head, method);
  if (const auto* error = std::get_if<HeadError>(&framing)) return "refused: " + error->reason;
  const BodyFraming& found = std::get<BodyFraming>(framing);
  switch (found.kind) {
    case Kind::none:
      return "none";
    case Kind::length:
      return "length " + std::to_string(found.length);
    case Kind::chunked:
      return "chunked";
    case Kind::until_close:
      return "until close";
  }
  return {};
}

std::string ok(const std::string& fields) {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n";
}

TEST(ResponseHead, IsReadWithStatusAndFields) {
  const std::string bytes = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\n\r\n";
  ResponseHead head;
  EXPECT_FALSE(parse_response_head(bytes, limits, head).has_value());
  EXPECT_EQ(head.status, 429);
  EXPECT_EQ(head.version, 11);
  EXPECT_EQ(head.value_of("retry-after"), "3");
}

TEST(ResponseHead, NeedsNoReason) {
  EXPECT_EQ(framing_of("HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n"), "length 3");
}

TEST(ResponseHead, IsMendedWhereTheStandardSaysSo) {
  const auto mended = [](std::string head) {
    mend_response_head(head);
    return head;
  };
  EXPECT_EQ(mended("HTTP/1.1 200\r\n\r\n"), "HTTP/1.1 200 \r\n\r\n");
  EXPECT_EQ(mended("HTTP/1.1 200\r\nA : 1\r\nB\t \t: 2 : 3\r\nC\r\nD:\r\n: e\r\n\r\n"),
            "HTTP/1.1 200 \r\nA: 1\r\nB: 2 : 3\r\nC\r\nD:\r\n: e\r\n\r\n");
  for (const char* fine : {"HTTP/1.1 200 \r\nA: b : c\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "x\r\n\r\n"})
    EXPECT_EQ(mended(fine), fine);
}

TEST(ResponseHead, ForgetsTheOneBefore) {
  ResponseHead head;
  const std::string first = ok("A: 1\r\nB: 2\r\n"), second = "HTTP/1.0 500 No\r\nC: 3\r\n\r\n";
  EXPECT_FALSE(parse_response_head(first, limits, head).has_value());
  EXPECT_FALSE(parse_response_head(second, limits, head).has_value());
  EXPECT_EQ(head.fields.size(), 1u);
  EXPECT_EQ(head.status, 500);
  EXPECT_EQ(head.version, 10);
}

TEST(ResponseFraming, SaysWhereTheBodyEnds) {
  EXPECT_EQ(framing_of(ok("Content-Length: 12\r\n")), "length 12");
  EXPECT_EQ(framing_of(ok("Content-Length: 0\r\n")), "none");
  EXPECT_EQ(framing_of(ok("Transfer-Encoding: Chunked\r\n")), "chunked");
  EXPECT_EQ(framing_of(ok("")), "until close");
  EXPECT_EQ(framing_of("HTTP/1.0 200 OK\r\n\r\n"), "until close");
  EXPECT_EQ(framing_of("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n"), "length 4");
}

TEST(ResponseFraming, HasNoBodyWhateverTheFieldsSay) {
  const std::string fields = "Content-Length: 12\r\n\r\n";
  EXPECT_EQ(framing_of("HTTP/1.1 200 OK\r\n" + fields, "HEAD"), "none");
  EXPECT_EQ(framing_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD"), "none");
  EXPECT_EQ(framing_of("HTTP/1.1 100 Continue\r\n\r\n"), "none");
  EXPECT_EQ(framing_of("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), "none");
  EXPECT_EQ(framing_of("HTTP/1.1 204 No Content\r\n" + fields), "none");
  EXPECT_EQ(framing_of("HTTP/1.1 304 Not Modified\r\n" + fields), "none");
  EXPECT_EQ(framing_of("HTTP/1.1 200 OK\r\n" + fields, "head"), "length 12") << "methods are case-sensitive";
}

class RefusedResponse : public ::testing::TestWithParam<Row> {};

TEST_P(RefusedResponse, IsRefusedWithAReason) {
  EXPECT_TRUE(framing_of(GetParam().bytes).starts_with("refused: "));
}

INSTANTIATE_TEST_SUITE_P(
    Table, RefusedResponse,
    ::testing::Values(Row{"EncodingAndLength", ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
                      Row{"DifferentLengths", ok("Content-Length: 5\r\nContent-Length: 6\r\n")},
                      Row{"EqualLengths", ok("Content-Length: 5\r\nContent-Length: 5\r\n")},
                      Row{"ListOfLengths", ok("Content-Length: 3, 3\r\n")},
                      Row{"SignedLength", ok("Content-Length: +3\r\n")}, Row{"Gzip", ok("Transfer-Encoding: gzip\r\n")},
                      Row{"GzipThenChunked", ok("Transfer-Encoding: gzip, chunked\r\n")},
                      Row{"ChunkedTwice", ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
                      Row{"EncodingInHttp10", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
                      Row{"FoldedLine", ok("X: a\r\n b\r\n")}, Row{"SpaceBeforeColon", ok("Content-Length : 3\r\n")},
                      Row{"BareCr", ok("X: a\rb\r\n")}, Row{"BareLf", ok("X: a\nY: b\r\n")},
                      Row{"Nul", ok("X: a" + nul + "\r\n")}, Row{"ControlInReason", "HTTP/1.1 200 O\x01K\r\n\r\n"},
                      Row{"Control", ok("X: a\x02\r\n")}, Row{"EmptyLine", "\r\nHTTP/1.1 200 OK\r\n\r\n"},
                      Row{"Http2", "HTTP/2.0 200 OK\r\n\r\n"}, Row{"StatusOfTwoDigits", "HTTP/1.1 20 OK\r\n\r\n"},
                      Row{"StatusOfFourDigits", "HTTP/1.1 2000 OK\r\n\r\n"},
                      Row{"StatusBelow100", "HTTP/1.1 099 OK\r\n\r\n"}, Row{"StatusInWords", "HTTP/1.1 yes OK\r\n\r\n"},
                      Row{"NotHttp", "SSH-2.0-OpenSSH_9.2\r\n\r\n"}, Row{"Html", "<html>\r\n\r\n"}),
    row_name<Row>);

// Connection and lists.

struct KeepAliveRow {
  const char* name;
  int version;
  std::vector<const char*> connection;
  bool keep_alive;
  friend std::ostream& operator<<(std::ostream& out, const KeepAliveRow& row) { return out << row.name; }
};

class KeepAlive : public ::testing::TestWithParam<KeepAliveRow> {};

TEST_P(KeepAlive, FollowsVersionAndConnection) {
  MessageHead head;
  head.version = GetParam().version;
  for (const char* value : GetParam().connection) head.fields.push_back({"Connection", value});
  EXPECT_EQ(head.keep_alive(), GetParam().keep_alive);
}

INSTANTIATE_TEST_SUITE_P(Table, KeepAlive,
                         ::testing::Values(KeepAliveRow{"Http11", 11, {}, true},
                                           KeepAliveRow{"Http11Close", 11, {"close"}, false},
                                           KeepAliveRow{"Http11CloseInAnyCase", 11, {"Close"}, false},
                                           KeepAliveRow{"Http11CloseInAList", 11, {"keep-alive, \tclose"}, false},
                                           KeepAliveRow{"Http11CloseInTheSecond", 11, {"x", "close"}, false},
                                           KeepAliveRow{"Http11OtherToken", 11, {"closed"}, true},
                                           KeepAliveRow{"Http10", 10, {}, false},
                                           KeepAliveRow{"Http10KeepAlive", 10, {"Keep-Alive"}, true},
                                           KeepAliveRow{"Http10KeepAliveAndClose", 10, {"keep-alive", "close"}, false}),
                         row_name<KeepAliveRow>);

TEST(ListContains, ComparesWholeTokensInAnyCase) {
  EXPECT_TRUE(list_contains("a, B ,c", "b"));
  EXPECT_TRUE(list_contains("b", "b"));
  EXPECT_TRUE(list_contains(",,b,", "b"));
  EXPECT_FALSE(list_contains("ab, bc", "b"));
  EXPECT_FALSE(list_contains("", "b"));
  EXPECT_FALSE(list_contains("b c", "b"));
}

}  // namespace
}  // namespace weir::net
