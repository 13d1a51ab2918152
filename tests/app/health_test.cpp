// What `weir health` makes of servers that do not answer as they should. The good ones are in cli_test.
#include "app/health.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "support/loopback_port.hpp"

namespace weir::app {
namespace {

using std::chrono::milliseconds;

ListenAddress at(std::uint16_t port) {
  return {"127.0.0.1", port};
}

// Accepts one connection, reads the request and writes `pieces`, with a pause before each.
class SlowServer {
 public:
  SlowServer(std::string piece, int pieces, milliseconds pause)
      : thread_([this, piece = std::move(piece), pieces, pause] {
          test::BlockingSocket client(::accept(port_.fd(), nullptr, nullptr));
          client.receive();  // closing with the request unread would reset the connection under the answer
          for (int i = 0; i < pieces; ++i) {
            std::this_thread::sleep_for(pause);
            if (::send(client.fd(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
          }
        }) {}
  ~SlowServer() { thread_.join(); }
  ListenAddress address() const { return at(port_.port()); }

 private:
  test::LoopbackPort port_;
  std::thread thread_;
};

TEST(Health, AServerThatAcceptsAndSaysNothingIsNotReady) {
  test::LoopbackPort mute;  // the system accepts; nobody reads
  const auto before = std::chrono::steady_clock::now();
  const Readiness readiness = ask_readiness(at(mute.port()), milliseconds(200));
  EXPECT_FALSE(readiness.ready);
  EXPECT_NE(readiness.reason.find("no answer within 200 ms"), std::string::npos) << readiness.reason;
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
}

TEST(Health, AnAnswerThatDripsDoesNotProlongThePatience) {
  SlowServer server("x", 20, milliseconds(30));
  const Readiness readiness = ask_readiness(server.address(), milliseconds(150));
  EXPECT_FALSE(readiness.ready);
  EXPECT_NE(readiness.reason.find("no answer within"), std::string::npos) << readiness.reason;
}

TEST(Health, AConnectionThatIsRefusedSaysSo) {
  const Readiness readiness = ask_readiness(at(test::refusing_port()), milliseconds(2000));
  EXPECT_FALSE(readiness.ready);
  EXPECT_NE(readiness.reason.find("nobody answers on 127.0.0.1:"), std::string::npos) << readiness.reason;
  EXPECT_NE(readiness.reason.find("refused"), std::string::npos) << readiness.reason;
}

TEST(Health, AnAnswerInPiecesIsRead) {
  SlowServer server("HTTP/1.1 200 OK\r\n\r\n", 1, milliseconds(20));
  EXPECT_TRUE(ask_readiness(server.address(), milliseconds(5000)).ready);
}

TEST(Health, TheReasonIsTheBodyOfARefusal) {
  SlowServer server("HTTP/1.1 503 Service Unavailable\r\n\r\nshutting down", 1, milliseconds(0));
  EXPECT_EQ(ask_readiness(server.address(), milliseconds(5000)).reason, "not ready: shutting down");
}

}  // namespace
}  // namespace weir::app
