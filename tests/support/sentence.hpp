#pragma once
#include "dynofa/core/error.hpp"

#include <string>
#include <utility>

namespace support {

/// What a dynofa::error thrown by `f` says, or "(no error)".
template <class F>
std::string sentence(F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const dynofa::error& e) {
    return e.what();
  }
  return "(no error)";
}

} // namespace support
