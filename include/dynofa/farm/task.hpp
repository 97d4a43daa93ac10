#pragma once
#include <nlohmann/json.hpp>

#include <string>

namespace dynofa::farm {

/// A piece of work that gives the same result whoever does it, and as often as it is done.
struct task {
  /// The same work has the same one in every run of the job, other work another: "evaluate r128 d 2 3 …, images 0–499".
  /// At most 1000 bytes of UTF-8.
  std::string identity;
  nlohmann::json input;   ///< what a worker needs to know of it
  std::string wants = {}; ///< the kind of worker, such as a board's name; "": any
};

} // namespace dynofa::farm
