#include "dynofa/report/interrupt.hpp"
#include "dynofa/report/progress.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

namespace dynofa_test::report_interrupt {

using namespace dynofa;

TEST_CASE("an interrupt is told, ends a progress bar's work, and is an error where it is asked for") {
  CHECK_FALSE(report::interrupted());
  const pid_t child = fork(); // signals of its own
  if (child == 0) {
    std::ostringstream out;
    report::progress bar(out, "work");
    report::catch_interrupts();
    const bool before = bar(1, 10) && !report::interrupted();
    ::raise(SIGINT);
    bool thrown = false;
    try {
      report::stop_if_interrupted("work");
    } catch (const error& fault) {
      thrown = fault.code() == errc::cancelled;
    }
    _exit(before && thrown && report::interrupted() && !bar(2, 10) ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}

} // namespace dynofa_test::report_interrupt
