#pragma once
#include "dynofa/backend/reference.hpp"
#include "dynofa/model/byte_rule.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace dynofa::backend {

using byte_image = xt::xtensor<std::uint8_t, 3>; ///< codes [H, W, C]
using sum_image = xt::xtensor<std::int32_t, 3>;  ///< exact sums [H, W, C]

namespace plain {

/// Σ (in − zero) · weight over the inputs: in [H, W, Cin] → out [H, W, Cout].
inline sum_image integer_pointwise(const byte_image& in, const byte_rows& weights, int zero) {
  const std::size_t inputs = in.shape(2), outputs = weights.steps.size();
  sum_image out = xt::zeros<std::int32_t>({in.shape(0), in.shape(1), outputs});
  for (std::size_t p = 0; p < in.shape(0) * in.shape(1); ++p)
    for (std::size_t o = 0; o < outputs; ++o) {
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < inputs; ++i)
        sum += (in.data()[p * inputs + i] - zero) * weights.codes[o * inputs + i];
      out.data()[p * outputs + o] = sum;
    }
  return out;
}

/// The same over k×k windows of each channel for itself, padding k/2: in [H, W, C] → out [Ho, Wo, C].
inline sum_image integer_depthwise(const byte_image& in, const byte_rows& weights, std::span<const byte_code> codes,
                                   int k, int stride) {
  const int size = static_cast<int>(in.shape(0)), out_size = (size - 1) / stride + 1, pad = k / 2;
  const auto channels = in.shape(2), window = static_cast<std::size_t>(k * k);
  sum_image out = xt::zeros<std::int32_t>({std::size_t(out_size), std::size_t(out_size), channels});
  for (int y = 0; y < out_size; ++y)
    for (int x = 0; x < out_size; ++x)
      for (int ky = 0; ky < k; ++ky)
        for (int kx = 0; kx < k; ++kx) {
          const int iy = y * stride + ky - pad, ix = x * stride + kx - pad;
          if (iy < 0 || iy >= size || ix < 0 || ix >= size) continue;
          for (std::size_t c = 0; c < channels; ++c)
            out(y, x, c) +=
                (in(iy, ix, c) - codes[c].zero) * weights.codes[c * window + static_cast<std::size_t>(ky * k + kx)];
        }
  return out;
}

} // namespace plain

/// The judge of int8 levels: the integer rule as plain loops. Inverted residuals and the 1×1 convolution before pooling
/// multiply bytes (model/byte_rule.hpp); squeeze-excite, feature mix and classifier multiply floats by bytes; stem,
/// separable block and the residual stream are the reference backend's. Levels need activation ranges.
struct reference_int8 : timed_by_host<reference_int8> {
  byte_weight_rule rule = byte_weight_rule::full; ///< by which weights are packed
  /// The judge of a backend that packs weights by this rule.
  static reference_int8 by(byte_weight_rule rule) {
    reference_int8 judge;
    judge.rule = rule;
    return judge;
  }

  /// The super-network, and how its weights become bytes when they are used.
  struct packed {
    ///@{
    /// What `pack` was given.
    supernet_ptr net;
    byte_weight_rule rule;
    ///@}
    ///@{
    /// Of which super-network it is, by `supernet::fingerprint`, and what it takes beyond that.
    std::uint64_t source() const { return net->fingerprint(); }
    std::size_t bytes() const { return 0; }
    ///@}
  };
  /// A level, with its activation ranges.
  struct bound {
    ///@{
    /// What `bind` was given.
    std::shared_ptr<const packed> weights;
    dynofa::plan plan;
    scale_shift norms;
    ///@}
    /// What scale, shift and ranges take.
    std::size_t bytes() const { return 4 * 2 * (norms.scale.size() + norms.ranges.low.size()); }
  };
  /// Activations.
  struct workspace {
    std::vector<float> in, out;                                        ///< see `reference`
    std::size_t bytes() const { return 4 * (in.size() + out.size()); } ///< of both
  };

  std::string name() const { return "reference int8"; } ///< for tables and sentences
  ///@{
  /// As dynofa::inference_backend asks. `bind` throws errc::mismatch for a level without activation ranges.
  std::shared_ptr<const packed> pack(supernet_ptr net) const {
    return std::make_shared<const packed>(packed{std::move(net), rule});
  }
  bound bind(std::shared_ptr<const packed> weights, const plan& p, scale_shift norms) const {
    check_bind("reference int8 bind", weights->net->space, p, norms);
    require_byte_level("reference int8 bind", p, norms.ranges);
    return {std::move(weights), p, std::move(norms)};
  }
  workspace make_workspace(std::span<const plan> plans) const {
    reference::workspace w = reference{}.make_workspace(plans);
    return {std::move(w.in), std::move(w.out)};
  }
  ///@}

  /// image [N,r,r,3] → logits [N,classes]
  void run(bound& level, workspace&, std::span<const float> image, std::span<float> logits) const {
    const plan& p = level.plan;
    const auto in = static_cast<std::size_t>(p.blocks.front().in_values()),
               out = static_cast<std::size_t>(p.space.classes);
    for (std::size_t n = 0; n < static_cast<std::size_t>(p.batch); ++n) {
      std::vector<float> x(image.begin() + static_cast<std::ptrdiff_t>(n * in),
                           image.begin() + static_cast<std::ptrdiff_t>((n + 1) * in));
      for (std::size_t b = 0; b < p.blocks.size(); ++b) x = block_output(level, b, x);
      std::copy(x.begin(), x.end(), logits.begin() + static_cast<std::ptrdiff_t>(n * out));
    }
  }
  /// Block `b` alone: in [N,in,in,C] → out [N,out,out,C'].
  void run_block(bound& level, workspace&, std::size_t b, std::span<const float> in, std::span<float> out) const {
    const auto in_values = static_cast<std::size_t>(level.plan.blocks[b].in_values()),
               out_values = static_cast<std::size_t>(level.plan.blocks[b].out_values());
    for (std::size_t n = 0; n < static_cast<std::size_t>(level.plan.batch); ++n) {
      const auto from = in.subspan(n * in_values, in_values);
      const std::vector<float> y = block_output(level, b, {from.begin(), from.end()});
      std::copy(y.begin(), y.end(), out.begin() + static_cast<std::ptrdiff_t>(n * out_values));
    }
  }

private:
  static byte_rows weights_of(const bound& level, const block& b, weight_role role) {
    const supernet& net = *level.weights->net;
    const std::size_t i = net.layout.find(b, role).value();
    return byte_rows(net.weights[i], net.layout.weights[i].extent_in(b), level.weights->rule);
  }
  static std::vector<byte_code> codes_of(const bound& level, std::size_t b, byte_tensor::place where) {
    return byte_codes(level.plan, level.norms.ranges, b, where);
  }
  static byte_image coded(const std::vector<float>& x, int size, int channels, const byte_code& by) {
    byte_image q = byte_image::from_shape({std::size_t(size), std::size_t(size), std::size_t(channels)});
    for (std::size_t i = 0; i < q.size(); ++i) q.data()[i] = by.code(x[i]);
    return q;
  }
  /// Scale and shift of batch norm n.
  static std::pair<float, float> norm(const bound& level, std::size_t b, int n, std::size_t c) {
    const auto& of = level.plan.norms[static_cast<std::size_t>(level.plan.first_norm(b) + n)];
    const std::size_t i = static_cast<std::size_t>(of.offset) + c;
    return {level.norms.scale[i], level.norms.shift[i]};
  }
  /// Sums → codes of `out`, one or one per channel. `step_in`: of the input's codes, the same.
  static byte_image next_codes(const bound& level, std::size_t b, int n, const sum_image& sums,
                               const byte_rows& weights, const std::vector<byte_code>& in,
                               const std::vector<byte_code>& out, std::vector<float>* means = nullptr) {
    const std::size_t channels = sums.shape(2), pixels = sums.shape(0) * sums.shape(1);
    byte_image q = byte_image::from_shape(sums.shape());
    for (std::size_t c = 0; c < channels; ++c) {
      const auto [scale, shift] = norm(level, b, n, c);
      const byte_code &from = in[in.size() > 1 ? c : 0], &to = out[out.size() > 1 ? c : 0];
      const activation act = level.plan.blocks[b].act;
      const code_line line = code_line::of(scale, shift, from.step * weights.steps[c], act, to);
      float total = 0;
      for (std::size_t p = 0; p < pixels; ++p) {
        const float x = line.apply(sums.data()[p * channels + c], act);
        total += x;
        q.data()[p * channels + c] = rounded_code(x);
      }
      if (means) means->push_back((total * (1.f / static_cast<float>(pixels)) - line.zero) * to.step);
    }
    return q;
  }
  /// Sums → floats, batch norm and activation applied.
  static std::vector<float> floats_of(const bound& level, std::size_t b, int n, const sum_image& sums,
                                      const byte_rows& weights, const byte_code& in, activation act) {
    const std::size_t channels = sums.shape(2);
    std::vector<float> out(sums.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto [scale, shift] = norm(level, b, n, i % channels);
      const float by = scale * (in.step * weights.steps[i % channels]);
      out[i] = plain::activate(act, std::fma(static_cast<float>(sums.data()[i]), by, shift));
    }
    return out;
  }
  /// Weights in bytes times a vector of floats, plus a bias where there is one.
  static std::vector<float> product(const bound& level, const block& b, weight_role role, weight_role bias,
                                    const std::vector<float>& x, activation act) {
    const byte_rows weights = weights_of(level, b, role);
    const supernet& net = *level.weights->net;
    std::vector<float> out;
    for (std::size_t o = 0; o < weights.steps.size(); ++o) {
      float sum = 0;
      for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * weights.codes[o * x.size() + i];
      sum *= weights.steps[o];
      if (net.layout.find(b, bias)) sum += net.array(b, bias)[o];
      out.push_back(plain::activate(act, sum));
    }
    return out;
  }

  std::vector<float> block_output(const bound& level, std::size_t at, const std::vector<float>& in) const {
    const block& b = level.plan.blocks[at];
    using enum byte_tensor::place;
    switch (b.kind) {
    case block_kind::inverted_residual: {
      const auto entry = codes_of(level, at, input), wide = codes_of(level, at, expanded),
                 ungated = codes_of(level, at, byte_tensor::place::ungated), narrow = codes_of(level, at, projected);
      const byte_rows expand = weights_of(level, b, weight_role::expand);
      const byte_image x = coded(in, b.in_size, b.in_channels, entry[0]);
      const byte_image y =
          next_codes(level, at, 0, plain::integer_pointwise(x, expand, entry[0].zero), expand, entry, wide);
      const byte_rows taps = weights_of(level, b, weight_role::depthwise);
      std::vector<float> means;
      byte_image z = next_codes(level, at, 1, plain::integer_depthwise(y, taps, wide, b.kernel, b.stride), taps, wide,
                                b.se_channels > 0 ? ungated : narrow, &means);
      if (b.se_channels > 0) {
        const auto hidden = product(level, b, weight_role::se_reduce, weight_role::se_reduce_bias, means, b.se_act);
        const auto gate = product(level, b, weight_role::se_expand, weight_role::se_expand_bias, hidden, b.se_gate);
        for (std::size_t i = 0; i < z.size(); ++i) {
          const std::size_t c = i % z.shape(2);
          z.data()[i] = rounded_code(gated_code(gate[c], ungated[c], narrow[0]).apply(z.data()[i]));
        }
      }
      const byte_rows project = weights_of(level, b, weight_role::output);
      std::vector<float> out = floats_of(level, at, 2, plain::integer_pointwise(z, project, narrow[0].zero), project,
                                         narrow[0], b.project_act);
      for (std::size_t i = 0; b.residual && i < out.size(); ++i) out[i] += in[i];
      return out;
    }
    case block_kind::final_expand: {
      const auto entry = codes_of(level, at, input);
      const byte_rows weights = weights_of(level, b, weight_role::output);
      const byte_image x = coded(in, b.in_size, b.in_channels, entry[0]);
      const std::vector<float> wide =
          floats_of(level, at, 0, plain::integer_pointwise(x, weights, entry[0].zero), weights, entry[0], b.act);
      image_tensor map = image_tensor::from_shape({x.shape(0), x.shape(1), std::size_t(b.out_channels)});
      std::copy(wide.begin(), wide.end(), map.begin());
      const image_tensor pooled = plain::pool(map);
      return {pooled.begin(), pooled.end()};
    }
    case block_kind::feature_mix:
    case block_kind::classifier: return product(level, b, weight_role::output, weight_role::output_bias, in, b.act);
    default: { // in floats
      const reference floats;
      reference::bound same = floats.bind(floats.pack(level.weights->net), level.plan, level.norms);
      reference::workspace none;
      std::vector<float> out(static_cast<std::size_t>(b.out_values()));
      same.plan.batch = 1;
      floats.run_block(same, none, at, in, out);
      return out;
    }
    }
  }
};

static_assert(inference_backend<reference_int8>);

} // namespace dynofa::backend
