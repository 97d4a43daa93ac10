#pragma once
#include "dynofa/family/file.hpp"

#include "figure_1.hpp"
#include "figure_3.hpp"
#include "figures_4_5.hpp"
#include "figures_6_to_8.hpp"
#include "table_1.hpp"

namespace paper {

/// Everything of the paper that needs a device, on this one.
template <inference_backend Backend>
void all_figures(story& s, device<Backend>& on, std::vector<candidate>& networks) {
  figure_1(s, on);
  const family trained = load_family(s.family_file);
  figure_3(s, on, trained);
  figure_4(s, on, networks);
  const auto here = measure_here(s, on, trained);
  figure_6(s, on, here);
  figure_7(s, on, here);
  figure_8(s, on, here);
  table_1(s, on, networks);
}

/// The figures of the GPU; false where there is none.
bool figures_on_gpu(story& s, std::vector<candidate>& networks);

} // namespace paper
