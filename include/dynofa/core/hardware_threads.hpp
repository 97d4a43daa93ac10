#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/number.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace dynofa {

namespace detail {

/// Processors' worth of time that one folder of a cgroup allows: version 2's cpu.max, "200000 100000" or "max 100000",
/// or version 1's quota, −1 for none. Nothing where it sets no limit.
inline std::optional<double> quota_in(const std::filesystem::path& folder) {
  std::string limit = first_line(folder / "cpu.max");
  if (limit.empty()) limit = first_line(folder / "cpu.cfs_quota_us") + ' ' + first_line(folder / "cpu.cfs_period_us");
  std::string_view rest = limit;
  const auto quota = take_number<double>(rest), period = take_number<double>(rest);
  if (!quota || !period || !(*quota > 0) || !(*period > 0)) return std::nullopt;
  return *quota / *period;
}

/// Processors' worth of time that Linux' control groups allow this process, the least of its group and those around
/// it; nothing without a limit. `root` stands for "/" (tests bring a folder of their own).
inline std::optional<double> cgroup_quota(const std::filesystem::path& root = "/") {
  std::optional<double> least;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) { // "0::/user.slice", or "4:cpu,cpuacct:/docker/…"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && controllers.find("cpu") == controllers.npos) continue;
    for (const char* mount : {"", "cpu", "cpu,cpuacct"}) {
      if (controllers.empty() != (*mount == '\0')) continue;
      const std::filesystem::path top = root / "sys/fs/cgroup" / mount;
      // Inside a container the path may be the host's, of which nothing is there but the top.
      for (auto group = std::filesystem::path(line.substr(second + 1)).relative_path();; group = group.parent_path()) {
        if (const auto quota = quota_in(top / group)) least = std::min(least.value_or(*quota), *quota);
        if (group.empty()) break;
      }
    }
  }
  return least;
}

} // namespace detail

/// As many threads as this process may run at once: processors it may use (its affinity), and no more than its control
/// group's quota pays for, rounded down, since the kernel stops a group that overdraws until the next tenth of a
/// second: 1 in a container of 1.5 processors. At least 1. Reads a few small files: ask once.
inline int hardware_threads() {
  const int processors = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const auto quota = detail::cgroup_quota();
  return quota && *quota < processors ? std::max(1, static_cast<int>(*quota)) : processors;
}

} // namespace dynofa
