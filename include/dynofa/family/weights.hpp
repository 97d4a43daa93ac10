#pragma once
#include "dynofa/model/supernet.hpp"
#include "dynofa/model/tensor.hpp"

#include <string>
#include <vector>

namespace dynofa {

/// Visits every array of a super-network once, in a fixed order: `visit(name, values, shape)`, with the shape that the
/// space says. `net.space` must be set and `net.blocks` have its size. The kernels of each size are stored as the
/// transforms made them, so reading a family back costs no arithmetic and gives the same bits.
template <class Net, class Visit>
void visit_weights(Net& net, Visit visit) {
  const space_description& space = net.space;
  const auto norm = [&](const std::string& name, auto& n, int channels) {
    visit(name + ".weight", n.weight, shape_type{channels});
    visit(name + ".bias", n.bias, shape_type{channels});
    visit(name + ".mean", n.mean, shape_type{channels});
    visit(name + ".var", n.var, shape_type{channels});
  };
  visit("supernet.stem", net.stem, shape_type{space.stem_width, 3, 3, 3});
  norm("supernet.stem.norm", net.stem_norm, space.stem_width);
  for (std::size_t i = 0; i < net.blocks.size(); ++i) {
    auto& w = net.blocks[i];
    const block b = widest_block(space, i);
    const int mid = b.mid_channels, in = b.in_channels, out = b.out_channels, hidden = b.se_channels;
    const std::string name = text("supernet.block.", i, '.');
    if (i > 0) visit(name + "expand", w.expand, shape_type{mid, in});
    for (int k : i == 0 ? choices{3} : space.stages[(i - 1) / space.blocks_per_stage()].kernels)
      visit(text(name, "depthwise", k), w.depthwise_of(k), shape_type{mid, k, k});
    if (hidden > 0) {
      visit(name + "se_reduce", w.se_reduce, shape_type{hidden, mid});
      visit(name + "se_reduce.bias", w.se_reduce_bias, shape_type{hidden});
      visit(name + "se_expand", w.se_expand, shape_type{mid, hidden});
      visit(name + "se_expand.bias", w.se_expand_bias, shape_type{mid});
    }
    visit(name + "project", w.project, shape_type{out, mid});
    for (int n = 0; n < b.norm_count(); ++n)
      norm(text(name, "norm", n), w.norms[static_cast<std::size_t>(n)], b.norm_channels(n));
  }
  visit("supernet.final_expand", net.final_expand, shape_type{space.final_width, space.stages.back().width});
  norm("supernet.final_expand.norm", net.final_norm, space.final_width);
  visit("supernet.feature_mix", net.feature_mix, shape_type{space.mix_width, space.final_width});
  visit("supernet.classifier", net.classifier, shape_type{space.classes, space.mix_width});
  visit("supernet.classifier.bias", net.classifier_bias, shape_type{space.classes});
}

/// The super-network with its matrices rounded to half precision: a family file of it has half the size. Batch norm,
/// biases and depthwise kernels (8 % of the weights) stay as they are. Calibrate and evaluate the rounded one: its hash
/// differs. Throws errc::unsupported for a weight beyond ±65504.
inline supernet round_to_half(supernet net) {
  visit_weights(net, [](const std::string& name, std::vector<float>& values, const shape_type& shape) {
    if (shape.size() != 2) return;
    for (float& v : values) {
      const float half = half_to_float(float_to_half(v));
      if (!(half - half == 0)) throw error(errc::unsupported, name, "weights that fit half precision", text(v));
      v = half;
    }
  });
  return net;
}

} // namespace dynofa
