#include "app/supervisor.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>

namespace weir::app {
namespace {

// A supervisor that listens on a socket by the name it puts into NOTIFY_SOCKET.
class Supervisor {
 public:
  explicit Supervisor(const std::string& name) : name_(name), fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path);
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size), 0);
  }
  ~Supervisor() {
    ::close(fd_);
    if (name_.front() != '@') ::unlink(name_.c_str());
  }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // The next line, or nothing.
  std::string heard() const {
    std::array<char, 256> bytes{};
    const ssize_t size = ::recv(fd_, bytes.data(), bytes.size(), 0);
    return size < 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(size));
  }

 private:
  std::string name_;
  int fd_;
};

TEST(Supervisor, HearsOnASocketInTheFileSystem) {
  const std::string path = ::testing::TempDir() + "weir-notify-" + std::to_string(::getpid());
  const Supervisor supervisor(path);
  notify_supervisor(path.c_str(), "READY=1");
  EXPECT_EQ(supervisor.heard(), "READY=1");
  EXPECT_EQ(supervisor.heard(), "");
}

TEST(Supervisor, HearsOnASocketThatIsInNoFileSystem) {
  const std::string name = "@weir-notify-" + std::to_string(::getpid());
  const Supervisor supervisor(name);
  notify_supervisor(name.c_str(), "STOPPING=1");
  EXPECT_EQ(supervisor.heard(), "STOPPING=1");
}

TEST(Supervisor, IsNotNeeded) {
  notify_supervisor(nullptr, "READY=1");
  notify_supervisor("", "READY=1");
  notify_supervisor("/no/such/socket", "READY=1");
  notify_supervisor(std::string(200, 'x').c_str(), "READY=1");
}

}  // namespace
}  // namespace weir::app
