#include "dynofa/backend/concept.hpp"
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/reference.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::backend_concept {

using namespace dynofa;

namespace {
struct lacks_time_block : backend::reference {
  double time_block() = delete;
};
} // namespace

TEST_CASE("our backends satisfy the concept, other types do not") {
  CHECK(inference_backend<backend::reference>);
  CHECK(inference_backend<backend::cpu>);
  CHECK_FALSE(inference_backend<int>);
  CHECK_FALSE(inference_backend<lacks_time_block>);
}

} // namespace dynofa_test::backend_concept
