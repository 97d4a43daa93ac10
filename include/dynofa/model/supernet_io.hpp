#pragma once
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/kernel_transform.hpp"
#include "dynofa/model/supernet.hpp"
#include "dynofa/model/tensor.hpp"

#include <set>
#include <string>
#include <string_view>
#include <utility>

// Between named tensors and a supernet. Keys are canonical (model/keys.hpp):
// `blocks.N.conv.depth_conv.conv.conv.weight`.

namespace dynofa {

namespace detail {

/// Takes tensors out of a state dict by name and shape, and knows what nobody asked for.
class tensor_reader {
public:
  explicit tensor_reader(const state_dict& tensors)
      : tensors_{tensors} {}

  bool has(const std::string& key) const { return tensors_.contains(key); }

  std::vector<float> take(const std::string& key, const shape_type& shape) {
    const auto found = tensors_.find(key);
    if (found == tensors_.end())
      throw error(errc::missing_key, "checkpoint", text("tensor ", key, ' ', to_string(shape)), "no such key");
    if (found->second.shape != shape)
      throw error(errc::shape_mismatch, "checkpoint tensor " + key, to_string(shape), to_string(found->second.shape));
    asked_.insert(key);
    try {
      return found->second.to_floats();
    } catch (const error& e) {
      throw error(e.code(), "checkpoint tensor " + key, e.expected(), e.got());
    }
  }
  void ignore(const std::string& key) { asked_.insert(key); }

  norm_parameters take_norm(const std::string& key, int channels) {
    const shape_type shape{channels};
    norm_parameters n{take(key + ".weight", shape), take(key + ".bias", shape), take(key + ".running_mean", shape),
                      take(key + ".running_var", shape)};
    for (float v : n.var)
      if (!(v >= 0))
        throw error(errc::bad_file, "checkpoint tensor " + key + ".running_var", "values ≥ 0", std::to_string(v));
    ignore(key + ".num_batches_tracked");
    return n;
  }

  /// Throws if the file has a tensor that nothing asked for: it belongs to another network.
  void expect_nothing_left() const {
    for (const auto& [key, tensor] : tensors_)
      if (!asked_.contains(key))
        throw error(errc::extra_key, "checkpoint", "only tensors of this search space",
                    text("also ", key, ' ', to_string(tensor.shape)));
  }

private:
  const state_dict& tensors_;
  std::set<std::string, std::less<>> asked_;
};

inline shape_type shape_of_conv(std::int64_t out, std::int64_t in, std::int64_t k = 1) { return {out, in, k, k}; }

} // namespace detail

/// Builds a super-network from a checkpoint's tensors. Every tensor must have the shape the space says and no tensor
/// may be left over; each fault is an `error` that names key, expected and found shape.
inline supernet make_supernet(const space_description& space, const state_dict& tensors) {
  detail::tensor_reader in(tensors);
  supernet net;
  net.space = space;
  net.stem = in.take("first_conv.conv.weight", detail::shape_of_conv(space.stem_width, 3, 3));
  net.stem_norm = in.take_norm("first_conv.bn", space.stem_width);

  for (std::size_t i = 0; i <= space.block_genes(); ++i) {
    const block b = widest_block(space, i);
    block_weights w;
    w.in_channels = b.in_channels, w.mid_channels = b.mid_channels;
    w.out_channels = b.out_channels, w.se_channels = b.se_channels;
    const std::string key = text("blocks.", i, ".conv.");
    const std::string conv = i == 0 ? ".conv" : ".conv.conv", bn = i == 0 ? ".bn" : ".bn.bn"; // block 0 is not elastic
    if (i > 0) {
      w.expand =
          in.take(key + "inverted_bottleneck" + conv + ".weight", detail::shape_of_conv(b.mid_channels, b.in_channels));
      w.norms[0] = in.take_norm(key + "inverted_bottleneck" + bn, b.mid_channels);
    }
    w.norms[i > 0 ? 1 : 0] = in.take_norm(key + "depth_conv" + bn, b.mid_channels);
    w.norms[i > 0 ? 2 : 1] = in.take_norm(key + "point_linear" + bn, b.out_channels);
    w.project = in.take(key + "point_linear" + conv + ".weight", detail::shape_of_conv(b.out_channels, b.mid_channels));

    w.depthwise_of(b.kernel) =
        in.take(key + "depth_conv" + conv + ".weight", detail::shape_of_conv(b.mid_channels, 1, b.kernel));
    const choices kernels = i == 0 ? choices{3} : space.stages[(i - 1) / space.blocks_per_stage()].kernels;
    for (std::size_t k = kernels.size() - 1; k-- > 0;) { // 7 → 5 → 3
      const int from = kernels[k + 1], to = kernels[k];
      // A network trained with the kernel transformation has a matrix in every block; one trained without has none and
      // uses the plain centre.
      const std::string name = text(from, "to", to, "_matrix");
      std::vector<float> matrix;
      if (in.has(key + "depth_conv.conv." + name) || in.has("blocks.1.conv.depth_conv.conv." + name))
        matrix = in.take(key + "depth_conv.conv." + name, {to * to, to * to});
      w.depthwise_of(to) = shrink_kernels(w.depthwise_of(from), from, to, matrix);
    }

    if (const int hidden = b.se_channels) {
      const std::string se = key + "depth_conv.se.fc.";
      w.se_reduce = in.take(se + "reduce.weight", detail::shape_of_conv(hidden, b.mid_channels));
      w.se_reduce_bias = in.take(se + "reduce.bias", {hidden});
      w.se_expand = in.take(se + "expand.weight", detail::shape_of_conv(b.mid_channels, hidden));
      w.se_expand_bias = in.take(se + "expand.bias", {b.mid_channels});
    }
    net.blocks.push_back(std::move(w));
  }

  const int last = space.stages.back().width;
  net.final_expand = in.take("final_expand_layer.conv.weight", detail::shape_of_conv(space.final_width, last));
  net.final_norm = in.take_norm("final_expand_layer.bn", space.final_width);
  net.feature_mix = in.take("feature_mix_layer.conv.weight", detail::shape_of_conv(space.mix_width, space.final_width));
  net.classifier = in.take("classifier.linear.weight", {space.classes, space.mix_width});
  net.classifier_bias = in.take("classifier.linear.bias", {space.classes});
  in.expect_nothing_left();
  return net;
}

/// The weights of one sub-network as a checkpoint of its own, with the names and compacted indices of once-for-all's
/// extracted networks (`blocks.K.conv.depth_conv.conv.weight`): prefix slices and transformed kernels, in fp32.
inline state_dict extract(const supernet& net, const plan& p) {
  state_dict out;
  auto put = [&](const std::string& key, std::span<const float> values, shape_type shape) {
    out[key] = tensor::of_floats(values, shape);
  };
  auto put_slice = [&](const std::string& key, const std::vector<float>& w, int rows, int columns, int stride,
                       shape_type s) {
    std::vector<float> slice;
    for (int r = 0; r < rows; ++r) slice.insert(slice.end(), w.begin() + r * stride, w.begin() + r * stride + columns);
    put(key, slice, s);
  };
  auto put_norm = [&](const std::string& key, const norm_parameters& n, int channels) {
    const auto c = static_cast<std::size_t>(channels);
    put(key + ".weight", std::span(n.weight).first(c), {channels});
    put(key + ".bias", std::span(n.bias).first(c), {channels});
    put(key + ".running_mean", std::span(n.mean).first(c), {channels});
    put(key + ".running_var", std::span(n.var).first(c), {channels});
    const std::int64_t zero = 0;
    out[key + ".num_batches_tracked"] = tensor::of(std::span(&zero, 1), {}, dtype::i64);
  };

  put("first_conv.conv.weight", net.stem, detail::shape_of_conv(net.space.stem_width, 3, 3));
  for (std::size_t i = 0; i < p.blocks.size(); ++i) {
    const block& b = p.blocks[i];
    for (int n = 0; n < b.norm_count(); ++n) put_norm(norm_name(p, i, n), net.norm(b, n), b.norm_channels(n));
    if (b.kind != block_kind::separable && b.kind != block_kind::inverted_residual) continue;
    const block_weights& w = net.blocks[static_cast<std::size_t>(b.supernet_index)];
    const std::string key = text("blocks.", i - 1, ".conv.");
    const int in = b.in_channels, mid = b.mid_channels, window = b.kernel * b.kernel;
    if (b.kind == block_kind::inverted_residual)
      put_slice(key + "inverted_bottleneck.conv.weight", w.expand, mid, in, in, detail::shape_of_conv(mid, in));
    put_slice(key + "depth_conv.conv.weight", w.depthwise_of(b.kernel), mid, window, window,
              detail::shape_of_conv(mid, 1, b.kernel));
    if (const int hidden = b.se_channels) {
      put_slice(key + "depth_conv.se.fc.reduce.weight", w.se_reduce, hidden, mid, w.mid_channels,
                detail::shape_of_conv(hidden, mid));
      put(key + "depth_conv.se.fc.reduce.bias", std::span(w.se_reduce_bias).first(static_cast<std::size_t>(hidden)),
          {hidden});
      put_slice(key + "depth_conv.se.fc.expand.weight", w.se_expand, mid, hidden, w.se_channels,
                detail::shape_of_conv(mid, hidden));
      put(key + "depth_conv.se.fc.expand.bias", std::span(w.se_expand_bias).first(static_cast<std::size_t>(mid)),
          {mid});
    }
    put_slice(key + "point_linear.conv.weight", w.project, b.out_channels, mid, w.mid_channels,
              detail::shape_of_conv(b.out_channels, mid));
  }
  put("final_expand_layer.conv.weight", net.final_expand,
      detail::shape_of_conv(net.space.final_width, p.blocks[p.blocks.size() - 3].in_channels));
  put("feature_mix_layer.conv.weight", net.feature_mix,
      detail::shape_of_conv(net.space.mix_width, net.space.final_width));
  put("classifier.linear.weight", net.classifier, {net.space.classes, net.space.mix_width});
  put("classifier.linear.bias", net.classifier_bias, {net.space.classes});
  return out;
}

} // namespace dynofa
