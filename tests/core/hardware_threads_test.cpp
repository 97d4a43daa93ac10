#include "dynofa/core/hardware_threads.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include <filesystem>

namespace dynofa_test::core_hardware_threads {

using namespace dynofa;
namespace fs = std::filesystem;
using support::write_line;

TEST_CASE("the quota of a control group, version 2: the least on the way up") {
  const support::scratch_folder folder;
  const fs::path& root = folder.path();
  CHECK(detail::cgroup_quota(root) == std::nullopt); // no control groups
  write_line(root / "proc/self/cgroup", "0::/machine/box");
  CHECK(detail::cgroup_quota(root) == std::nullopt);
  const fs::path top = root / "sys/fs/cgroup";
  write_line(top / "machine/box/cpu.max", "max 100000");
  CHECK(detail::cgroup_quota(root) == std::nullopt);
  write_line(top / "machine/box/cpu.max", "350000 100000");
  CHECK(detail::cgroup_quota(root) == 3.5);
  write_line(top / "machine/cpu.max", "150000 100000");
  CHECK(detail::cgroup_quota(root) == 1.5);
  write_line(top / "cpu.max", "50000 100000"); // what a container sees of its own
  CHECK(detail::cgroup_quota(root) == 0.5);
  for (const char* odd : {"", "many", "100000", "100000 0", "-5 100000", "nan 100000", "1e999 1"}) {
    write_line(top / "cpu.max", odd);
    CHECK(detail::cgroup_quota(root) == 1.5);
  }
}

TEST_CASE("version 1, whose path may be the host's") {
  const support::scratch_folder folder;
  const fs::path& root = folder.path();
  write_line(root / "proc/self/cgroup", "11:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/x");
  const fs::path top = root / "sys/fs/cgroup/cpu,cpuacct";
  write_line(top / "cpu.cfs_quota_us", "-1");
  write_line(top / "cpu.cfs_period_us", "100000");
  CHECK(detail::cgroup_quota(root) == std::nullopt);
  write_line(top / "cpu.cfs_quota_us", "200000");
  CHECK(detail::cgroup_quota(root) == 2);
  write_line(root / "sys/fs/cgroup/memory/docker/ab/cpu.max", "10000 100000"); // another controller's
  CHECK(detail::cgroup_quota(root) == 2);
}

TEST_CASE("there is a thread at least, and no more than processors") {
  CHECK(hardware_threads() >= 1);
  CHECK(hardware_threads() <= static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
}

} // namespace dynofa_test::core_hardware_threads
