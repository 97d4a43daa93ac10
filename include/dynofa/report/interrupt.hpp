#pragma once
#include "dynofa/core/error.hpp"

#include <csignal>
#include <string_view>

namespace dynofa::report {

namespace detail {
inline volatile std::sig_atomic_t caught_signal = 0;
}

/// From here on Ctrl-C and SIGTERM do not end the program but are told by `interrupted`, so that it can keep what it
/// has done. A second one ends it. For work that asks often.
inline void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { detail::caught_signal = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}
/// Whether Ctrl-C or SIGTERM came since `catch_interrupts`. One load: to be asked in loops.
inline bool interrupted() { return detail::caught_signal != 0; }
/// Throws errc::cancelled once the program was interrupted; `run_program` then ends it with the status of the signal.
inline void stop_if_interrupted(std::string_view where) {
  if (interrupted()) throw error(errc::cancelled, where, "to go on to the end", "an interrupt");
}

} // namespace dynofa::report
