// ctest: long
// ctest: allocations
#include "fuzz/checkpoint.hpp"

namespace dynofa_test::fuzz_checkpoint {

TEST_CASE("700 000 altered files") { alter_files(11, 80'000); }

TEST_CASE("375 000 altered pickles") { alter_pickles(12, 50'000); }

} // namespace dynofa_test::fuzz_checkpoint
