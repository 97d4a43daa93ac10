// golden_check DIR --sections AB: the recorded outputs of the reference implementation, on this backend.
#include "golden/golden_check.hpp" // of the source tree: DYNOFA_SOURCE/tests

#include "onednn.hpp"

int main(int argc, char** argv) {
  return golden::check(argc, argv, "onednn", [](const std::string& name, auto run) -> std::optional<int> {
    return name.empty() || name == "onednn" ? run(lesson::onednn{}) : std::nullopt;
  });
}
