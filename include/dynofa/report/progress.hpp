#pragma once
#include "dynofa/report/interrupt.hpp"

#include <chrono>
#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>

namespace dynofa::report {

/// A one-line progress bar for a terminal: `progress bar(std::cerr, "images"); bar(done, total);`
///
/// Redraws at most ten times a second and ends the line when done. (Debian 12 packages no C++ progress-bar library.)
class progress {
public:
  /// A bar that counts `what`; `out` has to outlive it.
  progress(std::ostream& out, std::string_view what)
      : out_{out}
      , what_{what} {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() { end(); }

  /// Ends the line of work that stopped before everything was done; so does the destructor.
  void end() {
    if (!finished_ && drawn_ != clock::time_point{}) out_ << '\n' << std::flush;
    finished_ = true;
  }

  /// Shows done of total. It can be the callback of work that may be cancelled: false once `catch_interrupts` has
  /// caught one.
  bool operator()(std::size_t done, std::size_t total) {
    const auto now = clock::now();
    const bool last = done >= total;
    if (finished_ || (!last && now - drawn_ < std::chrono::milliseconds(100))) return !interrupted();
    drawn_ = now;
    constexpr std::size_t width = 30;
    const std::size_t filled = total ? done * width / total : width;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    out_ << '\r' << what_ << " [" << std::string(filled, '=') << std::string(width - filled, ' ') << "] " << done << '/'
         << total << "  " << static_cast<int>(seconds) << " s";
    if (!last && done)
      out_ << ", about "
           << static_cast<int>(seconds / static_cast<double>(done) * static_cast<double>(total - done)) + 1
           << " s left  ";
    if (last) out_ << "                    \n", finished_ = true;
    out_.flush();
    return !interrupted();
  }

private:
  using clock = std::chrono::steady_clock;
  std::ostream& out_;
  std::string what_;
  clock::time_point start_ = clock::now(), drawn_{};
  bool finished_ = false;
};

} // namespace dynofa::report
