// ctest: long
// ctest: allocations
#include "fuzz/checkpoint.hpp"

namespace dynofa_test::fuzz_checkpoint {

TEST_CASE("a million altered checkpoints") {
  alter_files(11, 80'000);
  alter_pickles(12, 50'000);
}

} // namespace dynofa_test::fuzz_checkpoint
