#include "dynofa/report/program.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

namespace dynofa_test::report_program {

using namespace dynofa;

namespace {
template <class Throw>
std::string explained(Throw fault) {
  std::ostringstream out;
  try {
    fault();
  } catch (...) {
    CHECK(report::explain_fault(out) == 1);
  }
  return out.str();
}
} // namespace

TEST_CASE("whatever is thrown becomes one sentence in our words") {
  CHECK(explained([] { throw error(errc::io, "a", "b", "c"); }) == "a: expected b, got c\n");
  CHECK(explained([] { throw std::bad_alloc(); }) == "memory: expected enough for this, got none\n");
  CHECK(explained([] { std::vector<int>().reserve(std::size_t(-1)); }).starts_with("memory: expected a size"));
  CHECK(explained([] { std::filesystem::create_directory("/nowhere/at/all"); }) ==
        "/nowhere/at/all: expected a path that can be used, got No such file or directory\n");
  CHECK(explained([] { throw std::system_error(EAGAIN, std::generic_category()); }) ==
        "the system: expected to do what was asked, got Resource temporarily unavailable\n");
  CHECK(explained([] { throw std::runtime_error("[json.exception.out_of_range.403] key 'a' not found"); }) ==
        "a JSON text: expected the fields that this program reads, got a fault: key 'a' not found\n");
  CHECK(explained([] { (void)std::stoi("x"); }) == "the program: expected no fault of its own, got \"stoi\"\n");
  CHECK(explained([] { throw 3; }) == "the program: expected no fault of its own, got one without a name\n");
}

TEST_CASE("numbers on a command line are read whole and within bounds") {
  CHECK(report::read_number("--n", "1.5", 1, 2) == 1.5);
  CHECK(report::read_number("--n", "1e3", 0, 1e6) == 1000);
  for (const char* bad : {"", "x", "1x", "1 ", "3", "-1", "nan", "inf", "1,5", "0x1"})
    CHECK_THROWS_WITH_AS(report::read_number("--n", bad, 1, 2),
                         (text("--n: expected a number in 1..2, got ", printable(bad))).c_str(), error);
}

TEST_CASE(
    "the status of a program is its body's, 1 for a fault, 130 after Ctrl-C, and 1 where nobody takes its output") {
  // In processes of their own: they change signals and streams.
  const auto status_of = [](auto body, const char* output = "/dev/null") {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      (void)!std::freopen(output, "w", stdout);
      (void)!std::freopen("/dev/null", "w", stderr);
      _exit(report::run_program(body, 0, nullptr));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  };
  const auto talk = [](int, char**) {
    std::cout << "a line\n";
    return 0;
  };
  CHECK(status_of(talk) == 0);
  CHECK(status_of([](int, char**) { return 7; }) == 7);
  CHECK(status_of([](int, char**) -> int { throw error(errc::io, "a", "b", "c"); }) == 1);
  if (::access("/dev/full", W_OK) == 0) CHECK(status_of(talk, "/dev/full") == 1);
  const auto interrupted = [](int signal) {
    return [signal](int, char**) -> int {
      report::catch_interrupts();
      report::stop_if_interrupted("work"); // not yet
      ::raise(signal);
      report::stop_if_interrupted("work");
      return 0;
    };
  };
  CHECK(status_of(interrupted(SIGINT)) == 130);
  CHECK(status_of(interrupted(SIGTERM)) == 143);
  CHECK(status_of([](int, char**) -> int {
          report::catch_interrupts();
          ::raise(SIGINT), ::raise(SIGINT); // the second one ends it
          return 0;
        }) == 1000 + SIGINT);
}

} // namespace dynofa_test::report_program
