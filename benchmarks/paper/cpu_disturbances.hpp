#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/number.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../examples/support/co_runner.hpp"
#include "story.hpp"
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

// What happens to a processor under a network, for real: less clock or time, and other processes.

namespace paper {

/// A lower clock where the machine lets it be set; else a quota of the core's time, which the scheduler hands out in
/// portions of a millisecond; else nothing. Undone when it goes, by a process of its own: however this one ends, a
/// machine is not left slower.
class less_processor {
public:
  explicit less_processor(int core)
      : clock_{text("/sys/devices/system/cpu/cpu", core, "/cpufreq/scaling_max_freq")}
      , old_clock_{number_of(clock_)} {
    if (old_clock_ > 0 && write(clock_, text(old_clock_))) {
      watch();
      return;
    }
    old_clock_ = 0;
    const std::string own = text("dynofa-paper-", getpid());
    std::error_code fault;
    for (const path& root :
         {path("/sys/fs/cgroup/cpu"), path("/sys/fs/cgroup")}) { // the older form, then the newer one
      is_old_ = std::filesystem::exists(root / "cpu.shares", fault);
      if (!is_old_ && (!std::filesystem::exists(root / "cgroup.subtree_control", fault) ||
                       !write(root / "cgroup.subtree_control", "+cpu")))
        continue;
      if (!std::filesystem::create_directory(root / own, fault)) continue;
      group_ = root / own;
      home_ = root / own_group(is_old_ ? "cpu" : "") / "cgroup.procs";
      watch();
      return;
    }
  }
  less_processor(const less_processor&) = delete;
  less_processor& operator=(const less_processor&) = delete;
  ~less_processor() {
    stop();
    if (watcher_ < 0) return;
    kill(watcher_, SIGTERM);
    while (waitpid(watcher_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  bool sets_clock() const { return old_clock_ > 0; }
  bool is_there() const { return old_clock_ > 0 || !group_.empty(); }
  std::string what(double share) const {
    return text(old_clock_ > 0 ? "with the clock at " : "with a quota of ", fixed(100 * share, 0), " % of the core",
                old_clock_ > 0 ? "'s highest" : "");
  }
  /// Throws errc::device if the machine takes it back.
  void start(double share) {
    bool done = false;
    if (old_clock_ > 0) {
      done = write(clock_, text(static_cast<long>(share * static_cast<double>(old_clock_))));
    } else { // a quota has at least a millisecond
      const long quota = 1000, period = std::lround(1000 / share);
      done = (is_old_
                  ? write(group_ / "cpu.cfs_period_us", text(period)) && write(group_ / "cpu.cfs_quota_us", text(quota))
                  : write(group_ / "cpu.max", text(quota, ' ', period))) &&
             write(group_ / "cgroup.procs", text(getpid()));
    }
    if (!done) throw error(errc::device, "processor", text("to run ", what(share)), "a refusal");
  }
  void stop() {
    if (old_clock_ > 0) write(clock_, text(old_clock_));
    if (!group_.empty()) write(home_, text(getpid()));
  }

private:
  using path = std::filesystem::path;
  void watch() {
    sigset_t end, before;
    sigemptyset(&end), sigaddset(&end, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &end, &before); // so that none is lost
    const pid_t parent = getpid();
    watcher_ = fork();
    if (watcher_ == 0) {
      setsid(); // Ctrl-C is for the others
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (int signal = 0; getppid() == parent) sigwait(&end, &signal);
      if (old_clock_ > 0) write(clock_, text(old_clock_));
      std::error_code fault;
      for (int tries = 0; tries < 50 && !group_.empty() && !std::filesystem::remove(group_, fault) && fault; ++tries)
        std::this_thread::sleep_for(std::chrono::milliseconds(10)); // who dies is in it for a moment more
      _exit(0);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  static bool write(const path& file, const std::string& value) {
    std::ofstream out(file);
    return bool(out << value << std::flush);
  }
  static long number_of(const path& file) {
    std::ifstream in(file);
    long value = 0;
    return in >> value ? value : 0;
  }
  /// Where this process is now, below the root of a controller: lines "NUMBER:CONTROLLERS:/PATH".
  static std::string own_group(std::string_view controller) {
    std::ifstream in("/proc/self/cgroup");
    for (std::string line; std::getline(in, line);) {
      const auto first = line.find(':'), second = line.find(':', first + 1);
      if (second == line.npos || line.substr(first + 1, second - first - 1) != controller) continue;
      return line.substr(second + 2);
    }
    return {};
  }
  path clock_, group_, home_;
  long old_clock_ = 0;
  bool is_old_ = false;
  pid_t watcher_ = -1;
};

/// The processes and limits of one run of the program. Made before anything large: see `co_runner`.
class cpu_disturbances {
public:
  explicit cpu_disturbances(int core)
      : quarter_{core, 0.25}
      , half_{core, 0.5}
      , less_{core} {
    if (const int other = core == 0 ? 1 : 0; other < hardware_threads())
      elsewhere_ = std::make_unique<support::co_runner>(other, 1.0);
  }

  std::vector<disturbance> all() {
    std::vector<disturbance> some;
    const auto limited = [&](double share) {
      some.push_back({less_.what(share), [=, this] { less_.start(share); }, [this] { less_.stop(); }});
    };
    if (less_.is_there()) limited(0.75), limited(0.5);
    if (elsewhere_)
      some.push_back(
          {"beside a process on another core", [this] { elsewhere_->start(); }, [this] { elsewhere_->stop(); }});
    some.push_back(beside("a quarter", quarter_)), some.push_back(half());
    if (less_.sets_clock()) // a quota is no more than what such a process leaves
      some.push_back({less_.what(0.75) + ", beside a process that takes half of it",
                      [this] { less_.start(0.75), half_.start(); }, [this] { half_.stop(), less_.stop(); }});
    return some;
  }
  disturbance half() { return beside("half", half_); }

private:
  static disturbance beside(const char* share, support::co_runner& other) {
    return {text("beside a process that takes ", share, " of the core"), [&] { other.start(); }, [&] { other.stop(); }};
  }
  support::co_runner quarter_, half_;
  std::unique_ptr<support::co_runner> elsewhere_;
  less_processor less_;
};

} // namespace paper
