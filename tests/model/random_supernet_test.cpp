#include "dynofa/model/random_supernet.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"

namespace dynofa_test::model_random_supernet {

using namespace dynofa;

TEST_CASE("a w1.2 checkpoint has once-for-all's 475 tensors and 10 715 752 learnable scalars") {
  const state_dict tensors = random_checkpoint(ofa_w1_2::description, 3);
  CHECK(tensors.size() == 475);
  std::int64_t learnable = 0;
  for (const auto& [key, t] : tensors)
    if (t.type == dtype::f32 && !key.ends_with("running_mean") && !key.ends_with("running_var")) learnable += t.size();
  CHECK(learnable == 10'715'752);
}

TEST_CASE("a seed repeats bit for bit and another differs") {
  const auto a = random_checkpoint(support::tiny_space::description, 1),
             b = random_checkpoint(support::tiny_space::description, 1),
             c = random_checkpoint(support::tiny_space::description, 2);
  int same = 0;
  for (const auto& [key, t] : a) {
    if (t.type != dtype::f32) continue;
    CHECK(t.to_floats() == b.at(key).to_floats());
    same += t.to_floats() == c.at(key).to_floats();
  }
  CHECK(same == 0);
}

} // namespace dynofa_test::model_random_supernet
