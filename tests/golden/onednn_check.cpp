// golden_check DIR --sections AB: the recorded outputs of the reference implementation, on the backend of example 10,
// whose project builds this.
#include "golden/golden_check.hpp"
#include "onednn.hpp"

int main(int argc, char** argv) {
  return golden::check(argc, argv, "onednn", [](const std::string& name, auto run) -> std::optional<int> {
    return name.empty() || name == "onednn" ? run(lesson::onednn{}) : std::nullopt;
  });
}
