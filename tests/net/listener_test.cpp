#include "net/listener.hpp"

#include <gtest/gtest.h>

#include <ostream>

#include "support/loopback_port.hpp"
#include "support/no_descriptors.hpp"
#include "support/raw_client.hpp"
#include "support/run_worker.hpp"
#include "support/scripted_upstream.hpp"

namespace weir::net {
namespace {

namespace ip = boost::asio::ip;
using ip::tcp;
using test::BlockingSocket;

std::string show(const std::vector<tcp::endpoint>& endpoints) {
  std::string text;
  for (const auto& endpoint : endpoints) {
    text += (text.empty() ? "" : " ") + endpoint.address().to_string() + "|" + std::to_string(endpoint.port());
  }
  return text;
}

struct ListenRow {
  const char* name;
  const char* text;
  const char* endpoints;  // "": refused
  friend std::ostream& operator<<(std::ostream& out, const ListenRow& row) { return out << row.name; }
};

class ParseListen : public ::testing::TestWithParam<ListenRow> {};

TEST_P(ParseListen, ReadsWhatPeopleWrite) {
  const ListenRow& row = GetParam();
  if (*row.endpoints) {
    EXPECT_EQ(show(parse_listen(row.text)), row.endpoints);
    return;
  }
  try {
    parse_listen(row.text);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("'" + std::string(row.text) + "'"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("127.0.0.1:8080"), std::string::npos) << "an example is given";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, ParseListen,
    ::testing::Values(ListenRow{"V4", "127.0.0.1:8080", "127.0.0.1|8080"}, ListenRow{"V6", "[::1]:8080", "::1|8080"},
                      ListenRow{"AllV4", "0.0.0.0:80", "0.0.0.0|80"}, ListenRow{"AllV6", "[::]:80", "::|80"},
                      ListenRow{"BothLoopbacks", "localhost:8080", "127.0.0.1|8080 ::1|8080"},
                      ListenRow{"AllOfBoth", ":8080", "0.0.0.0|8080 ::|8080"},
                      ListenRow{"Star", "*:8080", "0.0.0.0|8080 ::|8080"},
                      ListenRow{"AnyPort", "127.0.0.1:0", "127.0.0.1|0"},
                      ListenRow{"LargestPort", "127.0.0.1:65535", "127.0.0.1|65535"}, ListenRow{"Nothing", "", ""},
                      ListenRow{"NoPort", "127.0.0.1", ""}, ListenRow{"EmptyPort", "127.0.0.1:", ""},
                      ListenRow{"PortTooLarge", "127.0.0.1:65536", ""}, ListenRow{"PortInWords", "127.0.0.1:http", ""},
                      ListenRow{"PortSigned", "127.0.0.1:+80", ""}, ListenRow{"PortAndMore", "127.0.0.1:80/", ""},
                      ListenRow{"OnlyAPort", "8080", ""}, ListenRow{"Name", "example.com:80", ""},
                      ListenRow{"V4Short", "127.1:80", ""}, ListenRow{"V6WithoutBrackets", "::1:8080", ""},
                      ListenRow{"V6WithoutPort", "::1", ""}, ListenRow{"V4InBrackets", "[127.0.0.1]:80", ""},
                      ListenRow{"EmptyBrackets", "[]:80", ""}, ListenRow{"OpenBracket", "[::1:80", ""},
                      ListenRow{"Url", "http://127.0.0.1:80", ""}),
    [](const ::testing::TestParamInfo<ListenRow>& row) { return std::string(row.param.name); });

TEST(Claim, FindsOnePortForBothLoopbacks) {
  const auto claimed = claim(parse_listen("localhost:0"));
  ASSERT_EQ(claimed.size(), test::has_ipv6() ? 2u : 1u);
  EXPECT_NE(claimed[0].port(), 0);
  EXPECT_EQ(claimed.back().port(), claimed[0].port());
}

TEST(Claim, LeavesThePortFree) {
  const auto claimed = claim(parse_listen("127.0.0.1:0"));
  EXPECT_EQ(claim(claimed), claimed);
}

std::string complaint(const std::vector<tcp::endpoint>& endpoints) {
  try {
    claim(endpoints);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

std::string myself() {
  return "(owned by pid " + std::to_string(::getpid()) + " (";
}

TEST(Claim, NamesTheOwnerOfABusyPort) {
  const test::LoopbackPort busy;
  const std::string message = complaint({{ip::address_v4::loopback(), busy.port()}});
  EXPECT_NE(message.find("127.0.0.1:" + std::to_string(busy.port())), std::string::npos) << message;
  EXPECT_NE(message.find("Address already in use"), std::string::npos) << message;
  EXPECT_NE(message.find(myself()), std::string::npos) << message;
}

TEST(Claim, SeesAPortThatIsSharedByOthers) {
  // Listeners share their port among threads; a second process must not slip in as one more of them.
  Worker worker;
  const auto claimed = claim(parse_listen("127.0.0.1:0"));
  const Listener first(worker, claimed[0], [](Socket) {});
  EXPECT_NE(complaint(claimed).find("Address already in use"), std::string::npos);
}

// The bug: the port was busy on the second address alone, and the owner named was weir itself, which had just claimed
// it on the first.
TEST(Claim, NamesTheOwnerOfTheAddressThatIsBusy) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  // A child process owns the port on ::1.
  int ready[2], over[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(over), 0);
  const test::LoopbackPort busy(1, true);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 'x';
    ::close(over[1]);
    [[maybe_unused]] const ssize_t told = ::write(ready[1], &byte, 1);
    [[maybe_unused]] const ssize_t waited = ::read(over[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const std::uint16_t port = busy.port();
  ::close(busy.fd());  // now it is the child's alone
  const std::string message = complaint({{ip::address_v4::loopback(), port}, {ip::address_v6::loopback(), port}});
  EXPECT_NE(message.find("[::1]:" + std::to_string(port)), std::string::npos) << message;
  EXPECT_NE(message.find("pid " + std::to_string(child)), std::string::npos) << message;
  for (const int fd : {ready[0], ready[1], over[0], over[1]}) ::close(fd);
}

TEST(OwnerOfPort, IsEmptyWhereNobodyListens) {
  EXPECT_EQ(owner_of_port(test::refusing_port()), "");
  const test::LoopbackPort busy;
  EXPECT_TRUE(owner_of_port(busy.port()).starts_with("pid " + std::to_string(::getpid()) + " ("));
}

TEST(Listener, AcceptsOnItsAddressUntilItIsStopped) {
  Worker worker;
  const auto claimed = claim(parse_listen("127.0.0.1:0"));
  int accepted = 0;
  Listener listener(worker, claimed[0], [&](Socket socket) {
    ++accepted;
    socket.send(boost::asio::buffer("hello", 5));
  });
  listener.start();
  test::RawClient first(claimed[0].port()), second(claimed[0].port());
  test::run_until(worker, [&] { return accepted == 2; });
  EXPECT_EQ(first.read_to_end(), "hello");
  EXPECT_EQ(second.read_to_end(), "hello");
  listener.stop();
  test::run_ready(worker);
  EXPECT_THROW(test::RawClient(claimed[0].port()), test::SocketError);
}

TEST(Listener, SharesItsPortWithThoseOfOtherWorkers) {
  Worker one, two;
  const auto claimed = claim(parse_listen("127.0.0.1:0"));
  int accepted = 0;
  const auto count = [&](Socket) { ++accepted; };
  Listener first(one, claimed[0], count), second(two, claimed[0], count);
  first.start();
  second.start();
  std::vector<BlockingSocket> clients;
  for (int i = 0; i < 32; ++i) clients.push_back(BlockingSocket::connect(claimed[0].port()));
  test::run_until(one, [&] { return test::run_ready(two), accepted == 32; });
}

TEST(Listener, ThrowsWhenTheAddressIsTaken) {
  Worker worker;
  const test::LoopbackPort busy;
  EXPECT_THROW(Listener(worker, {ip::address_v4::loopback(), busy.port()}, [](Socket) {}), std::runtime_error);
}

TEST(Listener, MayGoWhileAnAcceptIsUnderWay) {
  Worker worker;
  const auto claimed = claim(parse_listen("127.0.0.1:0"));
  int accepted = 0;
  {
    Listener listener(worker, claimed[0], [&](Socket) { ++accepted; });
    listener.start();
    const test::RawClient client(claimed[0].port());
  }
  test::run_ready(worker);
  EXPECT_EQ(accepted, 0);
}

TEST(Listener, GoesOnWhenDescriptorsAreThereAgain) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer needs descriptors of its own";
#endif
  Worker worker;
  const auto claimed = claim(parse_listen("127.0.0.1:0"));
  int accepted = 0;
  std::string failure;
  Listener listener(worker, claimed[0], [&](Socket) { ++accepted; }, [&](const std::string& why) { failure = why; });
  listener.start();
  test::run_ready(worker);
  const BlockingSocket client = BlockingSocket::connect(claimed[0].port());

  int turns = 0;
  {
    const test::NoDescriptors none;
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    while (std::chrono::steady_clock::now() < until) {
      worker.io().restart();
      turns += static_cast<int>(worker.io().run_one_for(std::chrono::milliseconds(5)));
    }
  }
  EXPECT_EQ(accepted, 0);
  EXPECT_EQ(failure, "Too many open files");
  EXPECT_LT(turns, 20) << "it spins";
  EXPECT_TRUE(test::run_until(worker, [&] { return accepted == 1; }));
}

}  // namespace
}  // namespace weir::net
