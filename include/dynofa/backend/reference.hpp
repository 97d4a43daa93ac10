#pragma once
#include "dynofa/backend/concept.hpp"
#include "dynofa/backend/host_clock.hpp"

#include <xtensor/xtensor.hpp>

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa::backend {

// The operations of the networks, each the plainest loop that is right. Activations are xtensors [H, W, C].

using image_tensor = xt::xtensor<float, 3>; ///< [height, width, channels]

namespace plain {

/// std::max and std::min give their first operand where one is NaN, so it stays NaN.
inline float activate(activation act, float x) {
  switch (act) {
  case activation::relu: return std::max(x, 0.0f);
  case activation::relu6: return std::min(std::max(x, 0.0f), 6.0f);
  case activation::h_swish: return x * std::min(std::max(x + 3.0f, 0.0f), 6.0f) / 6.0f;
  case activation::h_sigmoid: return std::min(std::max(x + 3.0f, 0.0f), 6.0f) / 6.0f;
  default: return x;
  }
}

/// x · scale + shift per channel, then the activation, in place: [H, W, C].
inline void normalise(image_tensor& x, std::span<const float> scale, std::span<const float> shift, activation act) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c = i % x.shape(2);
    x.data()[i] = activate(act, x.data()[i] * scale[c] + shift[c]);
  }
}

/// k×k convolution, padding k/2: in [H, W, Cin] → out [Ho, Wo, Cout]. `weights` points to Cout rows of
/// [Cin][k][k] = (in, row, column), `row_stride` apart: a prefix of the super-network's array.
inline image_tensor convolution(const image_tensor& in, const float* weights, int out_channels, int row_stride, int k,
                                int stride) {
  // Sixteen outputs at a time, so that the compiler sees vectors; each is one sum in the order of the weights.
  struct outputs {
    float of __attribute__((vector_size(64)));
  };
  const int size = static_cast<int>(in.shape(0)), out_size = (size - 1) / stride + 1, pad = k / 2;
  const std::size_t channels = in.shape(2), rows = static_cast<std::size_t>(out_channels),
                    pitch = static_cast<std::size_t>(row_stride), window = static_cast<std::size_t>(k * k);
  image_tensor out =
      image_tensor::from_shape({static_cast<std::size_t>(out_size), static_cast<std::size_t>(out_size), rows});
  std::vector<outputs> columns(channels * window); // of sixteen rows of the matrix
  for (std::size_t first = 0; first < rows; first += 16) {
    const std::size_t count = std::min<std::size_t>(16, rows - first);
    for (std::size_t c = 0; c < columns.size(); ++c)
      for (std::size_t i = 0; i < count; ++i) columns[c].of[i] = weights[(first + i) * pitch + c];
    for (int y = 0; y < out_size; ++y)
      for (int x = 0; x < out_size; ++x) {
        const int top = y * stride - pad, left = x * stride - pad;
        outputs sum{};
        for (std::size_t c = 0; c < channels; ++c)
          for (int ky = std::max(0, -top); ky < std::min(k, size - top); ++ky)
            for (int kx = std::max(0, -left); kx < std::min(k, size - left); ++kx)
              sum.of += in(top + ky, left + kx, c) * columns[c * window + static_cast<std::size_t>(ky * k + kx)].of;
        for (std::size_t i = 0; i < count; ++i) out(y, x, first + i) = sum.of[i];
      }
  }
  return out;
}

/// 1×1 convolution: in [H, W, Cin] → out [H, W, Cout].
inline image_tensor pointwise(const image_tensor& in, const float* weights, int out_channels, int row_stride) {
  return convolution(in, weights, out_channels, row_stride, 1, 1);
}

/// Maximum over 3×3 windows, two apart, cut off at the border: in [H, W, C] → out [Ho, Wo, C]. A NaN stays NaN.
inline image_tensor max_pool(const image_tensor& in) {
  const int size = static_cast<int>(in.shape(0)), out_size = (size - 1) / 2 + 1,
            channels = static_cast<int>(in.shape(2));
  image_tensor out = xt::zeros<float>({out_size, out_size, channels});
  for (int y = 0; y < out_size; ++y)
    for (int x = 0; x < out_size; ++x)
      for (int c = 0; c < channels; ++c) {
        float most = in(2 * y, 2 * x, c);
        for (int iy = std::max(0, 2 * y - 1); iy < std::min(size, 2 * y + 2); ++iy)
          for (int ix = std::max(0, 2 * x - 1); ix < std::min(size, 2 * x + 2); ++ix)
            if (const float v = in(iy, ix, c); v > most || v != v) most = v;
        out(y, x, c) = most;
      }
  return out;
}

/// Mean over stride × stride windows, the last ones cut off at the border: in [H, W, C] → out [Ho, Wo, C].
inline image_tensor average_windows(const image_tensor& in, int stride) {
  const int size = static_cast<int>(in.shape(0)), out_size = (size - 1) / stride + 1,
            channels = static_cast<int>(in.shape(2));
  image_tensor out = xt::zeros<float>({out_size, out_size, channels});
  for (int y = 0; y < out_size; ++y)
    for (int x = 0; x < out_size; ++x) {
      const int bottom = std::min(size, (y + 1) * stride), right = std::min(size, (x + 1) * stride);
      for (int c = 0; c < channels; ++c) {
        float sum = 0;
        for (int iy = y * stride; iy < bottom; ++iy)
          for (int ix = x * stride; ix < right; ++ix) sum += in(iy, ix, c);
        out(y, x, c) = sum / static_cast<float>((bottom - y * stride) * (right - x * stride));
      }
    }
  return out;
}

/// Depthwise k×k convolution, padding k/2: in [H, W, C] → out [Ho, Wo, C]; weights [C][k·k].
inline image_tensor depthwise(const image_tensor& in, std::span<const float> weights, int k, int stride) {
  const int size = static_cast<int>(in.shape(0)), out_size = (size - 1) / stride + 1, pad = k / 2;
  const auto channels = in.shape(2);
  image_tensor out =
      xt::zeros<float>({static_cast<std::size_t>(out_size), static_cast<std::size_t>(out_size), channels});
  for (int y = 0; y < out_size; ++y)
    for (int x = 0; x < out_size; ++x)
      for (int ky = 0; ky < k; ++ky)
        for (int kx = 0; kx < k; ++kx) {
          const int iy = y * stride + ky - pad, ix = x * stride + kx - pad;
          if (iy < 0 || iy >= size || ix < 0 || ix >= size) continue;
          const float* from = &in(iy, ix, 0);
          float* to = &out(y, x, 0);
          for (std::size_t c = 0; c < channels; ++c)
            to[c] += from[c] * weights[c * static_cast<std::size_t>(k * k) + static_cast<std::size_t>(ky * k + kx)];
        }
  return out;
}

/// Mean over the image: [H, W, C] → [1, 1, C].
inline image_tensor pool(const image_tensor& in) {
  image_tensor out = xt::zeros<float>({std::size_t{1}, std::size_t{1}, in.shape(2)});
  for (std::size_t i = 0; i < in.size(); ++i) out.data()[i % in.shape(2)] += in.data()[i];
  out /= static_cast<float>(in.shape(0) * in.shape(1));
  return out;
}

/// 1×1 convolution by the array of `role` that block `b` reads a prefix of.
inline image_tensor pointwise(const image_tensor& in, const supernet& net, const block& b, weight_role role) {
  const std::size_t index = net.layout.find(b, role).value();
  const weight_extent read = net.layout.weights[index].extent_in(b);
  return pointwise(in, net.weights[index].data(), read.rows, read.pitch);
}

/// k×k convolution by the array of `role` that block `b` reads a prefix of.
inline image_tensor convolution(const image_tensor& in, const supernet& net, const block& b, weight_role role,
                                int stride) {
  const std::size_t index = net.layout.find(b, role).value();
  const weight_extent read = net.layout.weights[index].extent_in(b);
  return convolution(in, net.weights[index].data(), read.rows, read.pitch, b.kernel, stride);
}

/// act(x + bias) of a vector, in place.
inline void add_bias(image_tensor& x, const std::vector<float>& bias, activation act) {
  for (std::size_t c = 0; c < x.size(); ++c) x.data()[c] = activate(act, x.data()[c] + bias[c]);
}

/// Squeeze-excite, in place: x · gate(W2 · act(W1 · mean(x) + b1) + b2).
inline void squeeze_excite(image_tensor& x, const supernet& net, const block& b) {
  image_tensor gate = pointwise(pool(x), net, b, weight_role::se_reduce);
  add_bias(gate, net.array(b, weight_role::se_reduce_bias), b.se_act);
  gate = pointwise(gate, net, b, weight_role::se_expand);
  add_bias(gate, net.array(b, weight_role::se_expand_bias), b.se_gate);
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] *= gate.data()[i % x.shape(2)];
}

} // namespace plain

/// The oracle: every block as plain loops over xtensor, nothing fused, nothing packed. It judges
/// every other backend and is where a reader sees what a block computes. It allocates as it goes and makes no claim on
/// speed.
struct reference : timed_by_host<reference> {
  /// Called with (name, tensor) after every step of a run: the units' names in a checkpoint ("blocks.3"), "pooled" and
  /// "logits". For tests.
  std::function<void(std::string_view, const image_tensor&)> tap = {};

  /// The super-network itself.
  struct packed {
    supernet_ptr net; ///< never null
    ///@{
    /// Of which super-network it is, by `supernet::fingerprint`, and what it takes beyond that.
    std::uint64_t source() const { return net->fingerprint(); }
    std::size_t bytes() const { return 0; } // it reads the super-network itself
  };
  /// A level.
  struct bound {
    ///@{
    /// What `bind` was given.
    std::shared_ptr<const packed> weights;
    dynofa::plan plan;
    scale_shift norms;
    ///@}
    std::size_t bytes() const { return 4 * (norms.scale.size() + norms.shift.size()); } ///< of scale and shift
  };
  /// The first input, the last output, and the maps between.
  struct workspace {
    std::vector<float> in, out;     ///< of `run_block`'s caller, where the host's clock times it
    std::vector<image_tensor> maps; ///< of the last run: image by image, in the order of the plan's named maps
    /// What all of it takes.
    std::size_t bytes() const {
      std::size_t values = in.size() + out.size();
      for (const image_tensor& m : maps) values += m.size();
      return 4 * values;
    }
    ///@}
  };

  std::string name() const { return "reference"; } ///< for tables and sentences
  ///@{
  /// As dynofa::inference_backend asks.
  std::shared_ptr<const packed> pack(supernet_ptr net) const {
    return std::make_shared<const packed>(packed{std::move(net)});
  }

  bound bind(std::shared_ptr<const packed> weights, const plan& p, scale_shift norms) const {
    check_bind("reference backend bind", weights->net->space, p, norms);
    return {std::move(weights), p, std::move(norms)};
  }
  workspace make_workspace(std::span<const plan> plans) const {
    std::size_t most = 0;
    for (const plan& p : plans)
      for (const block& b : p.blocks)
        most = std::max({most, size_t(p.batch) * size_t(b.in_values()), size_t(p.batch) * size_t(b.out_values())});
    return {std::vector<float>(most, 0.5f), std::vector<float>(most), {}};
  }
  ///@}

  /// image [N, r, r, 3] → logits [N, classes].
  void run(bound& level, workspace& space, std::span<const float> image, std::span<float> logits) const {
    const plan& p = level.plan;
    const std::size_t maps = p.named_maps();
    space.maps.resize(static_cast<std::size_t>(p.batch) * maps);
    const auto in = static_cast<std::size_t>(p.blocks.front().in_values()),
               out = static_cast<std::size_t>(p.space.classes);
    for (std::size_t n = 0; n < static_cast<std::size_t>(p.batch); ++n) {
      image_tensor x = load(image.subspan(n * in, in), p.blocks.front().in_size, 3);
      for (std::size_t b = 0; b < p.blocks.size(); ++b) {
        x = block_output(level, b, x);
        if (const auto output = p.blocks[b].output; output > 0)
          space.maps[n * maps + static_cast<unsigned char>(output) - 1] = x;
      }
      std::copy(x.begin(), x.end(), logits.begin() + static_cast<std::ptrdiff_t>(n * out));
    }
  }
  /// Map `i` of image `n` of the last run, by its number among the plan's named maps.
  feature_map map(const bound& level, const workspace& space, std::size_t i, std::size_t n) const {
    const image_tensor& m = space.maps[n * level.plan.named_maps() + i];
    const int channels = static_cast<int>(m.shape(2));
    return {.data = m.data(),
            .size = static_cast<int>(m.shape(0)),
            .channels = channels,
            .group = channels,
            .pixel = m.shape(2),
            .plane = 0};
  }
  /// Block `b` alone: in [N,in,in,C] → out [N,out,out,C'].
  void run_block(bound& level, workspace&, std::size_t b, std::span<const float> in, std::span<float> out) const {
    const block& block = level.plan.blocks[b];
    const auto in_values = static_cast<std::size_t>(block.in_values()),
               out_values = static_cast<std::size_t>(block.out_values());
    for (std::size_t n = 0; n < static_cast<std::size_t>(level.plan.batch); ++n) {
      const image_tensor y =
          block_output(level, b, load(in.subspan(n * in_values, in_values), block.in_size, block.in_channels));
      std::copy(y.begin(), y.end(), out.begin() + static_cast<std::ptrdiff_t>(n * out_values));
    }
  }

private:
  static image_tensor load(std::span<const float> values, int size, int channels) {
    image_tensor x = image_tensor::from_shape({std::size_t(size), std::size_t(size), std::size_t(channels)});
    std::copy_n(values.begin(), x.size(), x.begin());
    return x;
  }

  image_tensor block_output(const bound& level, std::size_t index, const image_tensor& in) const {
    const plan& p = level.plan;
    const block& b = p.blocks[index];
    const supernet& net = *level.weights->net;
    auto normalise = [&](image_tensor& x, int i) {
      const plan::norm n = p.norms[static_cast<std::size_t>(p.first_norm(index) + i)];
      const auto at = static_cast<std::size_t>(n.offset), count = static_cast<std::size_t>(n.channels);
      plain::normalise(x, std::span(level.norms.scale).subspan(at, count),
                       std::span(level.norms.shift).subspan(at, count), b.norm_act(i));
    };
    auto report = [&](std::string_view name, const image_tensor& x) {
      if (tap) tap(name, x);
    };
    const auto name = [&] { return net.layout.key(b, net.layout.number_in(p.blocks, index)); };
    switch (b.kind) {
    case block_kind::stem:
    case block_kind::convolution: {
      image_tensor x = plain::convolution(in, net, b, weight_role::output, b.stride);
      normalise(x, 0);
      if (b.residual) x += in;
      report(name(), x);
      return x;
    }
    case block_kind::max_pool: {
      image_tensor x = plain::max_pool(in);
      report(name(), x);
      return x;
    }
    case block_kind::bottleneck: {
      image_tensor x = plain::pointwise(in, net, b, weight_role::expand);
      normalise(x, 0);
      x = plain::convolution(x, net, b, weight_role::dense, b.stride);
      normalise(x, 1);
      x = plain::pointwise(x, net, b, weight_role::output);
      normalise(x, 2);
      if (b.residual) {
        x += in;
      } else {
        image_tensor shortcut = plain::pointwise(plain::average_windows(in, b.stride), net, b, weight_role::shortcut);
        normalise(shortcut, 3);
        x += shortcut;
      }
      for (float& v : x) v = plain::activate(b.out_act, v);
      report(name(), x);
      return x;
    }
    case block_kind::separable:
    case block_kind::inverted_residual: {
      int norm = 0;
      image_tensor x = in;
      if (b.kind == block_kind::inverted_residual) {
        x = plain::pointwise(in, net, b, weight_role::expand);
        normalise(x, norm++);
      }
      x = plain::depthwise(x, net.array(b, weight_role::depthwise), b.kernel, b.stride);
      normalise(x, norm++);
      if (b.se_channels) plain::squeeze_excite(x, net, b);
      x = plain::pointwise(x, net, b, weight_role::output);
      normalise(x, norm);
      if (b.residual) x += in;
      report(name(), x);
      return x;
    }
    case block_kind::final_expand: {
      image_tensor x = plain::pointwise(in, net, b, weight_role::output);
      normalise(x, 0);
      report(name(), x);
      x = plain::pool(x);
      report("pooled", x);
      return x;
    }
    case block_kind::average_pool: {
      image_tensor x = plain::pool(in);
      report("pooled", x);
      return x;
    }
    case block_kind::feature_mix: {
      image_tensor x = plain::pointwise(in, net, b, weight_role::output);
      for (float& v : x) v = plain::activate(b.act, v);
      report(name(), x);
      return x;
    }
    default: {
      image_tensor x = plain::pointwise(in, net, b, weight_role::output);
      plain::add_bias(x, net.array(b, weight_role::output_bias), b.act);
      report("logits", x);
      return x;
    }
    }
  }
};

static_assert(inference_backend<reference>);

} // namespace dynofa::backend
