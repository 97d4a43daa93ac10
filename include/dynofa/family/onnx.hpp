#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/family/onnx_bytes.hpp"
#include "dynofa/family/onnx_writer.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/supernet_io.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

// One level as an ONNX model for other run times: opset 14, batch norm folded into the convolutions, h-swish as
// HardSwish. Input "image" [N,3,r,r], normalised as the family's preprocessing says; output "logits" [N,classes]. Or an
// int8 level, as pairs of QuantizeLinear and DequantizeLinear.

namespace dynofa {

/// What an exported level multiplies.
enum class onnx_format : std::uint8_t {
  fp32, ///< floats
  int8, ///< as backend/reference_int8.hpp has it; the level needs activation ranges
};

namespace detail {

class onnx_graph : onnx_writer {
public:
  onnx_graph(const supernet& net, const plan& p, const scale_shift& folded, onnx_format format)
      : net_{net}
      , plan_{p}
      , folded_{folded}
      , format_{format} {}

  /// `batch` 0: any number of images, "N".
  std::string model(int batch) {
    std::string x = "image";
    for (std::size_t i = 0; i < plan_.blocks.size(); ++i) {
      in_bytes_.reset();
      if (format_ == onnx_format::int8 && multiplies_bytes(plan_.blocks[i]))
        in_bytes_.emplace(plan_, folded_.ranges, i);
      x = add_block(i, x);
    }
    return onnx_writer::model({batch, 3, plan_.blocks[0].in_size, plan_.blocks[0].in_size},
                              {batch, plan_.space.classes});
  }

private:
  struct convolution {
    int in, out, kernel = 1, stride = 1;
    bool depthwise = false;
  };

  std::string add_block(std::size_t i, const std::string& x) {
    const block& b = plan_.blocks[i];
    const std::string name = text("b", i, '.');
    switch (b.kind) {
    case block_kind::stem:
      return activate(
          name, convolve(name + "conv", x, {b.in_channels, b.out_channels, 3, 2}, weight_role::output, i, 0), b.act);
    case block_kind::convolution: {
      auto y =
          convolve(name + "conv", x, {b.in_channels, b.out_channels, b.kernel, b.stride}, weight_role::output, i, 0);
      y = activate(name, y, b.act);
      return b.residual ? node("Add", name + "add", {y, x}) : y;
    }
    case block_kind::max_pool:
      return node("MaxPool", name + "pool", {x},
                  {attribute("kernel_shape", {3, 3}), attribute("strides", {2, 2}), attribute("pads", {1, 1, 1, 1})});
    case block_kind::bottleneck: return add_bottleneck(i, b, name, x);
    case block_kind::average_pool: return flatten(name, node("GlobalAveragePool", name + "pool", {x}));
    case block_kind::final_expand: {
      const auto codes = as_bytes(name + "in", x, byte_tensor::place::input);
      const auto y = convolve(name + "conv", codes, {b.in_channels, b.out_channels}, weight_role::output, i, 0);
      const auto pooled = node("GlobalAveragePool", name + "pool", {activate(name, y, b.act)});
      return plan_.blocks[i + 1].kind == block_kind::classifier ? flatten(name, pooled) : pooled;
    }
    case block_kind::feature_mix: {
      const auto w = factor(name + "weight", b, weight_role::output, {b.out_channels, b.in_channels, 1, 1});
      return flatten(name, activate(name, node("Conv", name + "conv", {x, w}, {of_one_pixel()}), b.act));
    }
    case block_kind::classifier: {
      const auto w = factor(name + "weight", b, weight_role::output, {b.out_channels, b.in_channels});
      const auto bias = constant(name + "bias", weights(b, weight_role::output_bias), {b.out_channels});
      return node("Gemm", "logits", {x, w, bias}, {attribute("transB", 1)});
    }
    default: return add_residual_block(i, b, name, x);
    }
  }

  std::string add_bottleneck(std::size_t i, const block& b, const std::string& name, const std::string& x) {
    auto y = convolve(name + "reduce", x, {b.in_channels, b.mid_channels}, weight_role::expand, i, 0);
    y = activate(name + "reduce.", y, b.act);
    y = convolve(name + "dense", y, {b.mid_channels, b.mid_channels, b.kernel, b.stride}, weight_role::dense, i, 1);
    y = activate(name + "dense.", y, b.act);
    y = convolve(name + "project", y, {b.mid_channels, b.out_channels}, weight_role::output, i, 2);
    auto shortcut = x;
    if (b.projects_shortcut()) {
      if (b.stride > 1) { // padded and not counted: what a last window lacks
        const int lacks = b.out_size * b.stride - b.in_size;
        shortcut = node("AveragePool", name + "shortcut.pool", {x},
                        {attribute("kernel_shape", {b.stride, b.stride}), attribute("strides", {b.stride, b.stride}),
                         attribute("pads", {0, 0, lacks, lacks}), attribute("count_include_pad", 0)});
      }
      shortcut = convolve(name + "shortcut", shortcut, {b.in_channels, b.out_channels}, weight_role::shortcut, i, 3);
    }
    return activate(name + "out.", node("Add", name + "add", {y, shortcut}), b.out_act);
  }

  std::string add_residual_block(std::size_t i, const block& b, const std::string& name, const std::string& x) {
    using enum byte_tensor::place;
    int norm = 0;
    std::string y = x;
    if (b.kind == block_kind::inverted_residual) {
      y = as_bytes(name + "in", y, input);
      y = convolve(name + "expand", y, {b.in_channels, b.mid_channels}, weight_role::expand, i, norm++);
      if (!in_bytes_ || !in_bytes_->expands_to_codes()) y = activate(name + "expand.", y, b.act);
      y = as_bytes(name + "expanded", y, expanded);
    }
    y = convolve(name + "depthwise", y, {b.mid_channels, b.mid_channels, b.kernel, b.stride, true},
                 weight_role::depthwise, i, norm++);
    y = activate(name + "depthwise.", y, b.act);
    if (const int hidden = b.se_channels) {
      auto se = node("GlobalAveragePool", name + "se.pool", {y}); // of what is not rounded to codes yet
      y = as_bytes(name + "ungated", y, ungated);
      const auto fully = [&](const std::string& what, weight_role role, weight_role bias, int out, int in,
                             float scale) {
        const auto m = factor(name + what + ".weight", b, role, {out, in, 1, 1}, scale);
        const auto v = constant(name + what + ".bias", scaled(weights(b, bias), scale), {out});
        return node("Conv", name + what, {se, m, v}, {of_one_pixel()});
      };
      se = fully("se.reduce", weight_role::se_reduce, weight_role::se_reduce_bias, hidden, b.mid_channels, 1);
      se = activate(name + "se.", se, b.se_act);
      // The slope of a hard sigmoid goes into the weights before it: OpenCV takes a product with one of slope 1/6 for a
      // HardSwish, whatever the other factor is.
      const bool hard = b.se_gate == activation::h_sigmoid;
      se = fully("se.expand", weight_role::se_expand, weight_role::se_expand_bias, b.mid_channels, hidden,
                 hard ? 1.0f / 6 : 1);
      const auto gate =
          hard ? node("HardSigmoid", name + "se.gate", {se}, {attribute("alpha", 1.0f), attribute("beta", 0.5f)})
               : activate(name + "se.gate", se, b.se_gate);
      y = node("Mul", name + "se", {y, gate});
    }
    y = as_bytes(name + "projected", y, projected);
    y = convolve(name + "project", y, {b.mid_channels, b.out_channels}, weight_role::output, i, norm);
    y = activate(name + "project.", y, b.project_act);
    return b.residual ? node("Add", name + "add", {y, x}) : y;
  }

  /// Whether a block of an int8 level multiplies bytes.
  static bool multiplies_bytes(const block& b) {
    return b.kind == block_kind::inverted_residual || b.kind == block_kind::final_expand ||
           b.kind == block_kind::feature_mix || b.kind == block_kind::classifier;
  }
  /// What block b reads of an array, densely.
  std::vector<float> weights(const block& b, weight_role role) const {
    const std::size_t index = net_.layout.find(b, role).value();
    return prefix_of(net_.weights[index], net_.layout.weights[index].extent_in(b));
  }

  static std::vector<float> scaled(std::vector<float> values, float by) {
    for (float& v : values) v *= by;
    return values;
  }

  /// What a vector of floats is multiplied by: an array times `scale`.
  std::string factor(const std::string& name, const block& b, weight_role role, extents shape, float scale = 1) {
    if (!in_bytes_) return constant(name, scaled(weights(b, role), scale), shape);
    byte_rows rows = bytes_of(b, role);
    for (float& step : rows.steps) step = step > 0 ? step * scale : 1.f;
    return weight_codes(name, rows.codes, rows.steps, shape);
  }
  byte_rows bytes_of(const block& b, weight_role role) const {
    const std::size_t index = net_.layout.find(b, role).value();
    return {net_.weights[index], net_.layout.weights[index].extent_in(b)};
  }
  /// Codes of weights, a step for each row, and what they are worth.
  std::string weight_codes(const std::string& name, std::span<const std::int8_t> codes, std::span<const float> steps,
                           extents shape) {
    const auto rows = static_cast<std::int64_t>(steps.size());
    const auto zeros = constant(name + ".zero", std::vector<std::int8_t>(steps.size()), {rows});
    return node("DequantizeLinear", name,
                {constant(name + ".codes", codes, shape), constant(name + ".step", steps, {rows}), zeros},
                {attribute("axis", 0)});
  }
  /// In an int8 level x rounded to the codes of a tensor, else x.
  std::string as_bytes(const std::string& name, const std::string& x, byte_tensor::place where) {
    if (!in_bytes_) return x;
    std::vector<float> steps;
    std::vector<std::uint8_t> zeros;
    for (const byte_code& c : in_bytes_->pair(where)) {
      steps.push_back(c.step > 0 ? c.step : 0x1p127f); // ONNX knows no step of 0; whatever is finite becomes zero
      zeros.push_back(static_cast<std::uint8_t>(c.zero));
    }
    const auto pair = [&](extents shape, const std::vector<protobuf_writer>& axis) {
      const auto step = constant(name + ".step", steps, shape), zero = constant(name + ".zero", zeros, shape);
      return node("DequantizeLinear", name,
                  {node("QuantizeLinear", name + ".codes", {x, step, zero}, axis), step, zero}, axis);
    };
    if (steps.size() == 1) return pair({}, {});
    return pair({static_cast<std::int64_t>(steps.size())}, {attribute("axis", 1)});
  }

  /// A convolution with batch norm `norm` of block i folded in.
  std::string convolve(const std::string& name, const std::string& x, convolution c, weight_role role, std::size_t i,
                       int norm) {
    const auto& [offset, channels] = plan_.norms[static_cast<std::size_t>(plan_.first_norm(i) + norm)];
    const auto first = static_cast<std::size_t>(offset), count = static_cast<std::size_t>(channels);
    const auto scale = std::span(folded_.scale).subspan(first, count),
               shift = std::span(folded_.shift).subspan(first, count);
    const int inputs = c.depthwise ? 1 : c.in;
    const extents shape = {c.out, inputs, c.kernel, c.kernel};
    const std::int64_t k = c.kernel, s = c.stride, pad = c.kernel / 2;
    const std::vector attributes = {attribute("kernel_shape", {k, k}), attribute("strides", {s, s}),
                                    attribute("pads", {pad, pad, pad, pad}),
                                    attribute("group", c.depthwise ? c.out : 1)};
    if (in_bytes_) {
      const onnx_rows rows = in_bytes_->rows(bytes_of(plan_.blocks[i], role), scale, shift, norm);
      const auto kernel = rows.in_floats ? constant(name + ".weight", rows.values(), shape)
                                         : weight_codes(name + ".weight", rows.codes, rows.steps, shape);
      if (!rows.adds_apart)
        return node("Conv", name, {x, kernel, constant(name + ".bias", rows.shift, {c.out})}, attributes);
      const auto bias = constant(name + ".bias", rows.shift, {c.out, 1, 1});
      return node("Add", name, {node("Conv", name + ".product", {x, kernel}, attributes), bias});
    }
    const auto columns = static_cast<std::size_t>(inputs * c.kernel * c.kernel);
    std::vector<float> w = weights(plan_.blocks[i], role);
    for (std::size_t v = 0; v < w.size(); ++v) w[v] *= scale[v / columns];
    const auto kernel = constant(name + ".weight", w, shape);
    return node("Conv", name, {x, kernel, constant(name + ".bias", shift, {c.out})}, attributes);
  }
  std::string flatten(const std::string& name, const std::string& x) {
    return node("Flatten", name + "flat", {x}, {attribute("axis", 1)});
  }
  /// Optional in ONNX, but OpenCV's importer wants it.
  static protobuf_writer of_one_pixel() { return attribute("kernel_shape", {1, 1}); }

  std::string activate(const std::string& name, const std::string& x, activation act) {
    switch (act) {
    case activation::relu: return node("Relu", name + "relu", {x});
    case activation::relu6:
      return node(
          "Clip", name + "relu6",
          {x, constant(name + "relu6.min", std::array{0.0f}, {}), constant(name + "relu6.max", std::array{6.0f}, {})});
    case activation::h_swish: return node("HardSwish", name + "swish", {x});
    case activation::h_sigmoid:
      return node("HardSigmoid", name, {x}, {attribute("alpha", 1.0f / 6), attribute("beta", 0.5f)});
    default: return x;
    }
  }

  const supernet& net_;
  const plan& plan_;
  const scale_shift& folded_;
  onnx_format format_;
  std::optional<onnx_bytes> in_bytes_; ///< of the block that is being written, where it multiplies bytes
};

} // namespace detail

/// A level as the bytes of an ONNX model for `batch` images at a time, 0 for any number (OpenCV 4.6 multiplies by
/// squeeze-excite's gates in a fixed batch only, or one image). Throws if the space does not contain `a` or the
/// statistics do not fit; for int8 errc::mismatch without activation ranges, errc::unsupported for dense k×k
/// convolutions.
inline std::string to_onnx(const supernet& net, const arch& a, const bn_statistics& statistics, int batch = 0,
                           onnx_format format = onnx_format::fp32) {
  require_argument(batch >= 0, "ONNX export", "a batch of at least 1, or 0 for any", batch);
  const plan p = make_plan(net.space, a);
  const scale_shift folded = fold(net, p, statistics);
  if (format == onnx_format::int8) require_byte_level("ONNX export in int8", p, folded.ranges);
  return detail::onnx_graph(net, p, folded, format).model(batch);
}

/// Writes a level as an ONNX file (22 MB for the paper's smallest network, 6 MB in int8); see `to_onnx`.
inline void export_onnx(const std::filesystem::path& path, const supernet& net, const arch& a,
                        const bn_statistics& statistics, int batch = 0, onnx_format format = onnx_format::fp32) {
  replace_file(path, to_onnx(net, a, statistics, batch, format));
}

} // namespace dynofa
