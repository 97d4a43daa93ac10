// ctest: allocations
#include "dynofa/data/draw.hpp"
#include "dynofa/data/frame_preprocessor.hpp"

#include <doctest/doctest.h>

#include "support/allocations.hpp"
#include "support/frames.hpp"
#include <vector>

namespace dynofa_test::data_frame_allocation {

using namespace dynofa;
using namespace dynofa::data;

#if SUPPORT_COUNTS_ALLOCATIONS
TEST_CASE("a frame allocates nothing once one of its kind was seen") {
  const image picture = draw_landscape(120, 160, 1);
  const int resolutions[] = {48, 64, 96};
  std::vector<float> out(image_values(96));
  for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()})
    for (auto how : {resizing::exact, resizing::quick})
      for (auto layout : support::all_layouts) {
        const support::laid_out memory(picture, layout);
        const frame f = memory.view();
        frame_preprocessor by(rule, how);
        const long before = support::allocations;
        by.apply(f, 48, std::span(out).first(image_values(48)));
        CHECK(support::allocations > before); // the hooks count
        by.prepare(layout, f.width(), f.height(), 64);
        by.prepare(layout, f.width(), f.height(), 96);
        const long prepared = support::allocations;
        for (int i = 0; i < 9; ++i)
          by.apply(f, resolutions[i % 3], std::span(out).first(image_values(resolutions[i % 3])));
        CHECK(support::allocations == prepared);
      }
}
#endif

} // namespace dynofa_test::data_frame_allocation
