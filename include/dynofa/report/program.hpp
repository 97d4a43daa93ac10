#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/report/interrupt.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <ostream>
#include <stdexcept>
#include <string_view>
#include <system_error>

// What the main() of every program does around its work: one sentence for every fault, Ctrl-C, and output that nobody
// takes.

namespace dynofa::report {

/// A number given on a command line, all of it and within bounds, such as `--seconds 1.5`. Throws
/// errc::invalid_argument that names the option.
inline double read_number(std::string_view option, std::string_view given, double least, double most) {
  double value = 0;
  const char* const end = given.data() + given.size();
  const auto [stop, fault] = std::from_chars(given.data(), end, value);
  if (fault != std::errc() || stop != end || !(value >= least && value <= most))
    throw error(errc::invalid_argument, option, text("a number in ", least, "..", most), printable(given));
  return value;
}

/// Called in a handler `catch (...)`: writes one sentence about what was thrown, whoever threw it. Returns the exit
/// status: 128 + signal after an interrupt, else 1.
inline int explain_fault(std::ostream& out) noexcept {
  try {
    try {
      throw;
    } catch (const error& fault) {
      out << fault.what();
    } catch (const std::bad_alloc&) {
      out << "memory: expected enough for this, got none";
    } catch (const std::length_error&) {
      out << "memory: expected a size that it can have, got a larger one";
    } catch (const std::filesystem::filesystem_error& fault) {
      out << (fault.path1().empty() ? "files" : fault.path1().string()) << ": expected a path that can be used, got "
          << fault.code().message();
    } catch (const std::system_error& fault) {
      out << "the system: expected to do what was asked, got " << fault.code().message();
    } catch (const std::exception& fault) {
      std::string_view said = fault.what();
      if (said.starts_with("[json.exception.")) // a text that this program takes from a field of another kind, or none
        out << "a JSON text: expected the fields that this program reads, got a fault: "
            << said.substr(std::min(said.size(), said.find(']') + 2));
      else
        out << "the program: expected no fault of its own, got \"" << said << '"';
    } catch (...) {
      out << "the program: expected no fault of its own, got one without a name";
    }
    out << std::endl;
  } catch (...) { // the stream itself
  }
  return interrupted() ? 128 + detail::caught_signal : 1;
}

/// The whole of a main(): runs `body(argc, argv)`, explains what it throws on standard error, and makes sure that
/// standard output was taken: a full disk or a closed pipe behind it is a fault too. Returns the exit status.
template <class Body>
int run_program(Body body, int argc, char** argv) noexcept {
  std::signal(SIGPIPE, SIG_IGN); // writing tells the same as an error
  int status = 0;
  try {
    status = body(argc, argv);
  } catch (...) {
    try {
      std::cout.flush();
    } catch (...) {
    }
    status = explain_fault(std::cerr);
  }
  if (std::cout.flush() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  pollfd end{STDOUT_FILENO, POLLOUT, 0};
  const bool closed = ::poll(&end, 1, 0) == 1 && (end.revents & (POLLERR | POLLNVAL)) != 0;
  std::fprintf(stderr, "standard output: expected to take every line, got a %s\n",
               closed ? "pipe that is closed" : "disk that is full");
  return status == 0 ? 1 : status;
}

} // namespace dynofa::report
