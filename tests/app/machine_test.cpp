// The limits of cgroups, from a tree of files as the kernel shows it.
#include "app/machine.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace weir::app {
namespace {

class Cgroups : public testing::Test {
 protected:
  Cgroups() : root_(std::filesystem::path(testing::TempDir()) / ("weir-cgroups-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  ~Cgroups() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << '\n';
  }
  CgroupLimits limits(std::string_view memberships) const { return cgroup_limits(root_.string(), memberships); }

 private:
  std::filesystem::path root_;
};

TEST_F(Cgroups, WithoutFilesThereAreNoLimits) {
  const CgroupLimits none = limits("0::/system.slice/weir.service\n");
  EXPECT_EQ(none.cpus, std::nullopt);
  EXPECT_EQ(none.memory_bytes, std::nullopt);
}

TEST_F(Cgroups, AContainerSeesItsLimitsAtTheRoot) {
  write("cpu.max", "150000 100000");
  write("memory.max", "1000000");
  const CgroupLimits found = limits("0::/\n");
  EXPECT_EQ(found.cpus, 2u);
  EXPECT_EQ(found.memory_bytes, 1000000u);
}

TEST_F(Cgroups, AServiceHasItsLimitsOnItsOwnCgroup) {
  write("system.slice/weir.service/cpu.max", "300000 100000");
  write("system.slice/weir.service/memory.max", "5000000");
  const CgroupLimits found = limits("0::/system.slice/weir.service\n");
  EXPECT_EQ(found.cpus, 3u);
  EXPECT_EQ(found.memory_bytes, 5000000u);
}

TEST_F(Cgroups, TheTightestLimitOnTheWayUpHolds) {
  write("a/b/cpu.max", "max 100000");
  write("a/b/memory.max", "9000");
  write("a/cpu.max", "100000 100000");
  write("a/memory.max", "max");
  write("cpu.max", "400000 100000");
  write("memory.max", "10000");
  const CgroupLimits found = limits("0::/a/b\n");
  EXPECT_EQ(found.cpus, 1u);
  EXPECT_EQ(found.memory_bytes, 9000u);
}

TEST_F(Cgroups, VersionOneHasATreeForEachController) {
  write("cpu/pod/cpu.cfs_quota_us", "250000");
  write("cpu/pod/cpu.cfs_period_us", "100000");
  write("memory/other/memory.limit_in_bytes", "7000");
  write("memory/memory.limit_in_bytes", "9223372036854771712");  // how version 1 writes "none"
  const CgroupLimits found = limits("4:memory:/other\n2:cpu,cpuacct:/pod\n1:cpuset:/pod\n0::/\n");
  EXPECT_EQ(found.cpus, 3u);
  EXPECT_EQ(found.memory_bytes, 7000u);
}

TEST_F(Cgroups, VersionOneWithoutAQuotaHasNone) {
  write("cpu/cpu.cfs_quota_us", "-1");
  write("cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(limits("2:cpu,cpuacct:/\n").cpus, std::nullopt);
}

TEST_F(Cgroups, APathOutsideTheNamespaceMeansItsRoot) {
  write("memory.max", "4000");
  EXPECT_EQ(limits("0::/../../other\n").memory_bytes, 4000u);
}

TEST(ShareOfMemory, IsAPartOfTheLimitUpToABound) {
  constexpr std::uint64_t mebibyte = 1u << 20;
  EXPECT_EQ(share_of_memory(100 * mebibyte, 2), 40 * mebibyte);
  EXPECT_EQ(share_of_memory(100 * mebibyte, 1), 20 * mebibyte);
  EXPECT_EQ(share_of_memory(4096 * mebibyte, 1), 256 * mebibyte);
  EXPECT_EQ(share_of_memory(std::nullopt, 1), 256 * mebibyte);
  EXPECT_EQ(share_of_memory(100 * mebibyte, 2, 1024 * mebibyte), 40 * mebibyte);
  EXPECT_EQ(share_of_memory(std::nullopt, 2, 1024 * mebibyte), 1024 * mebibyte);
}

TEST(DescriptorShortage, SaysWhatALowLimitOfFilesIsEnoughFor) {
  EXPECT_EQ(descriptor_shortage(1 << 20, 20'000), "");
  EXPECT_EQ(descriptor_shortage(40'128, 20'000), "");
  EXPECT_EQ(descriptor_shortage(1024, 20'000),
            "this process may open 1024 files, enough for about 448 calls at once; limits.connections_max is 20000, "
            "for which it takes 40128: raise the limit (LimitNOFILE, ulimit -n), or lower limits.connections_max");
  EXPECT_NE(descriptor_shortage(64, 1000).find("about 0 calls"), std::string::npos);
}

TEST_F(Cgroups, NonsenseIsNoLimit) {
  write("memory.max", "many");
  for (const char* text : {"", ":", "0:", "nothing here", "0::", "4:memory"})
    EXPECT_EQ(limits(text).cpus, std::nullopt) << text;
}

}  // namespace
}  // namespace weir::app
