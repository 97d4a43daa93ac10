// ctest: allocations
// The C interface allocates nothing once it knows a frame's size, and where memory runs out that is a code.
#include <doctest/doctest.h>

#include "12_c_library/dynofa.h"
#include "support/allocations.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_family.hpp"
#include <string>
#include <vector>

namespace dynofa_test::c_library_allocation {

namespace {
struct opened {
  support::scratch_folder folder;
  std::string file = support::write_tiny_family(folder.path() / "tiny.dynofa"), cache = folder.path();
  std::vector<float> pixels = std::vector<float>(48 * 40, 0.25f);
  dynofa_options options{};
  dynofa_frame frame{};
  dynofa_answer answer{};

  opened() {
    options.size = sizeof options, options.cache = cache.c_str(), options.rounds = 1;
    answer.size = sizeof answer;
    frame.size = sizeof frame, frame.width = 48, frame.height = 40, frame.range = DYNOFA_UNIT;
    for (int i = 0; i < 3; ++i) frame.planes[i] = pixels.data(), frame.bytes[i] = pixels.size() * sizeof(float);
  }
};
} // namespace

TEST_CASE("frames of a size that is known, targets and last answers allocate nothing") {
  if (!SUPPORT_COUNTS_ALLOCATIONS) return;
  opened s;
  dynofa_classifier* net = nullptr;
  REQUIRE(dynofa_open(s.file.c_str(), &s.options, &net) == DYNOFA_OK);
  for (int layout = DYNOFA_RGB; layout <= DYNOFA_FLOATS; ++layout) {
    CAPTURE(layout);
    s.frame.layout = layout;
    int bad = 0;
    for (const double target : {0.0, 1e-6}) { // the last level and the first
      bad += dynofa_set_target(net, target, 0) != DYNOFA_OK;
      for (int i = 0; i < 3; ++i) bad += dynofa_run(net, &s.frame, &s.answer) != DYNOFA_OK;
    }
    const long before = support::allocations;
    for (const double target : {0.0, 1e-6}) {
      bad += dynofa_set_target(net, target, 0) != DYNOFA_OK;
      for (int i = 0; i < 5; ++i)
        bad += dynofa_run(net, &s.frame, &s.answer) != DYNOFA_OK || dynofa_last(net, &s.answer) != DYNOFA_OK;
    }
    CHECK(support::allocations == before);
    CHECK(bad == 0);
  }
  dynofa_close(net);
}

TEST_CASE("whichever allocation fails while a family is opened, it is a code and a sentence") {
  if (!SUPPORT_COUNTS_ALLOCATIONS) return;
  opened s;
  dynofa_classifier* net = nullptr;
  REQUIRE(dynofa_open(s.file.c_str(), &s.options, &net) == DYNOFA_OK); // measures
  dynofa_close(net);
  const long first = support::allocations;
  REQUIRE(dynofa_open(s.file.c_str(), &s.options, &net) == DYNOFA_OK);
  const long all = support::allocations - first;
  dynofa_close(net);
  int refused = 0, wrong = 0;
  for (long n = 1; n <= all; n += 1 + n / 40) { // each of the first, then some of the others
    support::refused_allocation = support::allocations + n;
    const int code = dynofa_open(s.file.c_str(), &s.options, &net);
    support::refused_allocation = 0;
    refused += code != DYNOFA_OK;
    wrong += code == DYNOFA_OK ? net == nullptr : net != nullptr || dynofa_last_error()[0] == 0;
    dynofa_close(net);
  }
  CHECK(refused > 0);
  CHECK(wrong == 0);
}

} // namespace dynofa_test::c_library_allocation
