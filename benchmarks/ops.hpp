#pragma once
#include "dynofa/backend/cpu/aligned.hpp"
#include "dynofa/backend/cpu/isa.hpp"
#include "dynofa/backend/cpu/tiling.hpp"
#include "dynofa/core/block.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// The kernel calls that a block is made of, each with random operands of the block's shape and plain loops to judge it.

namespace bench {

using namespace dynofa;

/// Compares outputs with what plain loops in double say.
class op_judge {
public:
  void operator()(float got, double wanted) {
    const double d = std::abs(got - wanted);
    if (!(d <= most_)) most_ = d; // NaN counts
    power_ += wanted * wanted;
    ++seen_;
  }
  std::size_t seen() const { return seen_; }
  double worst() const { return most_ / std::max(1e-6, std::sqrt(power_ / static_cast<double>(seen_))); }

private:
  double most_ = 0, power_ = 0;
  std::size_t seen_ = 0;
};

struct op {
  double flops, bytes;
  std::size_t outputs;                ///< values that a judge must have seen
  std::function<void(op_judge*)> run; ///< with a judge: compares every output as soon as it is there
};
using op_maker = std::function<op(const backend::cpu_detail::kernel_table&, const block&)>;

namespace ops_detail {
using namespace dynofa::backend::cpu_detail;

/// Aligned floats, normal or zero.
struct floats {
  std::shared_ptr<aligned_bytes> data;
  explicit floats(std::size_t n, std::uint64_t seed = 0, double scale = 1)
      : data{std::make_shared<aligned_bytes>(n * sizeof(float))} {
    random_stream random(seed, "op");
    for (std::size_t i = 0; i < n; ++i) (*this)[i] = seed ? static_cast<float>(scale * random.normal()) : 0.f;
  }
  float* get() const { return data->as<float>(); }
  float& operator[](std::size_t i) const { return get()[i]; }
};

inline std::size_t z(int i) { return static_cast<std::size_t>(i); }
inline double after(double y, epilogue act) {
  const double gate = std::clamp(y / 6 + .5, 0., 1.);
  return act == epilogue::relu        ? std::max(y, 0.)
         : act == epilogue::h_swish   ? y * gate
         : act == epilogue::h_sigmoid ? gate
                                      : y;
}
inline epilogue epilogue_for(activation a) {
  return a == activation::relu ? epilogue::relu : a == activation::h_swish ? epilogue::h_swish : epilogue::identity;
}

/// [k][size·size] → [n][…] in calls of `pixels` pixels and three panels. `rows_kept` of them stay: the ring.
inline op pointwise(const kernel_table& kernels, int size, int k, int n, int pixels, int rows_kept, bool residual,
                    epilogue act) {
  const int depth = (k + 3) / 4 * 4, panels = blocks_of(n), rows = size * size / pixels;
  const std::size_t plane = floats_of(size * size), panel = floats_of(depth), kept = floats_of(pixels * rows_kept);
  const floats in(plane * z(blocks_of(k)), 1), weights(panel * z(panels), 2, 1 / std::sqrt(k)),
      scale(floats_of(panels), 3), shift(floats_of(panels), 4), old(residual ? plane * z(panels) : 0, 5),
      out(kept * chunk_panels);
  auto run = [=, call = kernels.pointwise](op_judge* judge) {
    for (int first = 0, count; first < panels; first += count) {
      count = next_chunk(panels - first);
      for (int y = 0; y < rows; ++y) {
        const std::size_t at = floats_of(y * pixels), to = floats_of(y % rows_kept * pixels),
                          channel = floats_of(first);
        call({in.get() + at, plane, weights.get() + z(first) * panel, panel, depth, out.get() + to, kept,
              scale.get() + channel, shift.get() + channel, residual ? old.get() + z(first) * plane + at : nullptr,
              plane, nullptr, 0, act},
             count, pixels);
        if (!judge) continue;
        for (std::size_t c = 0; c < floats_of(count); ++c)
          for (std::size_t p = 0; p < z(pixels); ++p) {
            double sum = 0;
            for (std::size_t i = 0; i < z(depth); ++i)
              sum += double(in[i / 16 * plane + at + p * 16 + i % 16]) *
                     weights[(z(first) + c / 16) * panel + i * 16 + c % 16];
            sum = after(sum * scale[channel + c] + shift[channel + c], act);
            if (residual) sum += old[(z(first) + c / 16) * plane + at + p * 16 + c % 16];
            (*judge)(out[c / 16 * kept + to + p * 16 + c % 16], sum);
          }
      }
    }
  };
  const double area = double(size) * size;
  return {2 * area * k * n, 4 * (area * (k + n * (residual ? 2 : 1)) + double(k) * n),
          z(size * size) * floats_of(panels), run};
}

inline op expand(const kernel_table& kernels, const block& b) {
  const tiling cut = tiling::of(b, query_caches());
  return pointwise(kernels, b.in_size, b.in_channels, b.mid_channels, b.in_size, cut.ring_rows, false,
                   epilogue_for(b.act));
}
inline op project(const kernel_table& kernels, const block& b) {
  return pointwise(kernels, b.out_size, b.mid_channels, b.out_channels, b.out_size * b.out_size, 1, b.residual,
                   epilogue::identity);
}
inline op final_expand(const kernel_table& kernels, const block& b) {
  return pointwise(kernels, b.in_size, b.in_channels, b.out_channels, b.in_size * b.in_size, 1, false,
                   epilogue_for(b.act));
}

inline op depthwise(const kernel_table& kernels, const block& b) {
  const int k = b.kernel, s = b.stride, in = b.in_size, out_size = b.out_size, blocks = blocks_of(b.mid_channels);
  const std::size_t row = floats_of(in + k - 1), area = floats_of(out_size * out_size), taps = floats_of(k * k);
  const floats input(row * z(in) * chunk_panels, 1), weights(taps * z(blocks), 2, 1. / k), scale(floats_of(blocks), 3),
      shift(floats_of(blocks), 4), sums(floats_of(blocks)), out(area * chunk_panels);
  for (std::size_t r = 0; r < z(in) * chunk_panels; ++r) { // the zero pixels on both sides
    std::fill_n(input.get() + r * row, floats_of(k / 2), 0.f);
    std::fill_n(input.get() + (r + 1) * row - floats_of(k / 2), floats_of(k / 2), 0.f);
  }
  std::vector<std::int32_t> offsets;
  for (int y = 0; y < in; ++y) offsets.push_back(static_cast<std::int32_t>(row) * y);
  auto run = [=, call = kernels.depthwise[k / 2 - 1][s - 1], act = epilogue_for(b.act)](op_judge* judge) {
    for (int c = 0; c < blocks; ++c) {
      const float* const from = input.get() + z(c % chunk_panels) * row * z(in);
      float* const to = out.get() + z(c % chunk_panels) * area;
      const std::size_t channel = floats_of(c);
      depthwise_args g{};
      g.in = from, g.row_offset = offsets.data(), g.in_rows = in, g.out = to, g.out_width = out_size;
      g.weights = weights.get() + z(c) * taps, g.scale = scale.get() + channel, g.shift = shift.get() + channel;
      g.sum = sums.get() + channel, g.y0 = 0, g.y1 = out_size, g.act = act;
      call(g);
      if (!judge) continue;
      for (int y = 0; y < out_size; ++y)
        for (int x = 0; x < out_size; ++x)
          for (std::size_t lane = 0; lane < 16; ++lane) {
            double sum = 0;
            for (int ky = 0; ky < k; ++ky)
              if (const int from_y = y * s + ky - k / 2; from_y >= 0 && from_y < in)
                for (int kx = 0; kx < k; ++kx)
                  sum += double(from[z(from_y) * row + floats_of(x * s + kx) + lane]) *
                         g.weights[floats_of(ky * k + kx) + lane];
            (*judge)(to[floats_of(y * out_size + x) + lane], after(sum * g.scale[lane] + g.shift[lane], act));
          }
    }
  };
  const double outputs = double(out_size) * out_size * b.mid_channels;
  return {2 * outputs * k * k, 4 * (double(in) * in * b.mid_channels + outputs + double(k) * k * b.mid_channels),
          z(blocks) * area, run};
}

inline op stem(const kernel_table& kernels, const block& b) {
  const int panels = blocks_of(b.out_channels), size = b.out_size;
  const std::size_t row = (z(b.in_size + 3) * 3 + 15) / 16 * 16, area = floats_of(size * size), panel = floats_of(28);
  const floats image(row * z(b.in_size + 2), 1), weights(panel * z(panels), 2, .2), scale(floats_of(panels), 3),
      shift(floats_of(panels), 4), out(area * z(panels));
  auto run = [=, call = kernels.stem, act = epilogue_for(b.act)](op_judge* judge) {
    for (int y = 0; y < size; ++y) {
      const float* const top = image.get() + z(2 * y) * row;
      call({{top, top + row, top + 2 * row},
            weights.get(),
            out.get() + floats_of(y * size),
            area,
            size,
            panels,
            scale.get(),
            shift.get(),
            act});
      if (!judge) continue;
      for (std::size_t c = 0; c < floats_of(panels); ++c)
        for (int x = 0; x < size; ++x) {
          double sum = 0;
          for (std::size_t tap = 0; tap < 27; ++tap)
            sum += double(top[tap / 9 * row + z(x * 6) + tap % 9]) * weights[c / 16 * panel + tap * 16 + c % 16];
          (*judge)(out[c / 16 * area + floats_of(y * size + x) + c % 16], after(sum * scale[c] + shift[c], act));
        }
    }
  };
  const double outputs = double(size) * size * b.out_channels;
  return {2 * outputs * 27, 4 * (double(b.in_size) * b.in_size * 3 + outputs + 27. * b.out_channels), z(panels) * area,
          run};
}

inline op matvec(const kernel_table& kernels, int k, int n, epilogue act) {
  const int panels = blocks_of(n);
  const std::size_t panel = floats_of((k + 3) / 4 * 4);
  const floats in(floats_of(blocks_of(k)), 1), weights(panel * z(panels), 2, 1 / std::sqrt(k)),
      bias(floats_of(panels), 3), out(floats_of(panels));
  auto run = [=, call = kernels.matvec](op_judge* judge) {
    call({in.get(), k, weights.get(), panel, bias.get(), out.get(), panels, act});
    if (!judge) return;
    for (std::size_t c = 0; c < floats_of(panels); ++c) {
      double sum = bias[c];
      for (std::size_t i = 0; i < z(k); ++i) sum += double(in[i]) * weights[c / 16 * panel + i * 16 + c % 16];
      (*judge)(out[c], after(sum, act));
    }
  };
  return {2. * k * n, 4. * (double(k) * n + k + 2 * n), floats_of(panels), run};
}

/// The gate of squeeze-excite on the projection's weights, chunk after chunk.
inline op gate_weights(const kernel_table& kernels, const block& b) {
  const int k = b.mid_channels, panels = blocks_of(b.out_channels);
  const floats weights(floats_of(k * panels), 1), gate(floats_of(blocks_of(k)), 2), out(floats_of(k * chunk_panels));
  auto run = [=, call = kernels.scale_rows](op_judge* judge) {
    for (int c = 0; c < panels; ++c) {
      float* const to = out.get() + floats_of(c % chunk_panels * k);
      call(weights.get() + floats_of(c * k), gate.get(), to, k);
      for (std::size_t i = 0; judge && i < floats_of(k); ++i)
        (*judge)(to[i], double(weights[floats_of(c * k) + i]) * gate[i / 16]);
    }
  };
  return {double(k) * b.out_channels, 8. * k * b.out_channels, floats_of(panels * k), run};
}

/// The gate on the values: there and back, so that a run leaves them as they were (gates are powers of two).
inline op gate_pixels(const kernel_table& kernels, const block& b) {
  const int pixels = b.out_size * b.out_size, blocks = blocks_of(b.mid_channels);
  const std::size_t plane = floats_of(pixels);
  const floats data(plane * z(blocks), 1), gate(32);
  for (std::size_t i = 0; i < 16; ++i) gate[i] = i % 2 ? 2.f : .25f, gate[16 + i] = 1 / gate[i];
  auto run = [=, call = kernels.scale_pixels](op_judge* judge) {
    for (int turn = 0; turn < 2; ++turn)
      for (int c = 0; c < blocks; ++c) {
        const std::vector<float> old(judge ? data.get() + z(c) * plane : nullptr,
                                     judge ? data.get() + z(c + 1) * plane : nullptr);
        call(data.get() + z(c) * plane, gate.get() + 16 * turn, pixels);
        for (std::size_t i = 0; i < old.size(); ++i)
          (*judge)(data[z(c) * plane + i], double(old[i]) * gate[z(16 * turn) + i % 16]);
      }
  };
  const double values = 2. * pixels * b.mid_channels;
  return {values, 8 * values, 2 * plane * z(blocks), run};
}

inline op mean(const kernel_table& kernels, const block& b) {
  const int pixels = b.in_size * b.in_size, blocks = blocks_of(b.out_channels);
  const std::size_t plane = floats_of(pixels);
  const floats in(plane * chunk_panels, 1), out(floats_of(blocks)); // the map is three panels that are used again
  auto run = [=, call = kernels.mean](op_judge* judge) {
    for (int c = 0; c < blocks; ++c) {
      const float* const from = in.get() + z(c % chunk_panels) * plane;
      call(from, pixels, out.get() + floats_of(c));
      for (std::size_t lane = 0; judge && lane < 16; ++lane) {
        double sum = 0;
        for (std::size_t p = 0; p < z(pixels); ++p) sum += from[p * 16 + lane];
        (*judge)(out[floats_of(c) + lane], sum / pixels);
      }
    }
  };
  const double values = double(pixels) * b.out_channels;
  return {values, 4 * values, floats_of(blocks), run};
}

} // namespace ops_detail

/// Names (with shapes) and makers of the kernel calls of a block.
inline std::vector<std::pair<std::string, op_maker>> ops_of(const block& b) {
  using namespace ops_detail;
  std::vector<std::pair<std::string, op_maker>> list;
  const char* const act = b.act == activation::relu ? "/relu" : b.act == activation::h_swish ? "/h_swish" : "";
  auto product = [](int k, int n, epilogue e) {
    return [=](const kernel_table& t, const block&) { return matvec(t, k, n, e); };
  };
  switch (b.kind) {
  case block_kind::stem: list.emplace_back(text("stem/", b.in_size), stem); break;
  case block_kind::separable:
  case block_kind::inverted_residual:
    if (b.kind == block_kind::inverted_residual)
      list.emplace_back(text("expand/", b.in_size, 'x', b.in_channels, '-', b.mid_channels, act), expand);
    list.emplace_back(text("depthwise/k", int(b.kernel), 's', int(b.stride), '/', b.in_size, 'x', b.mid_channels, act),
                      depthwise);
    if (b.se_channels > 0) {
      list.emplace_back(text("matvec/", b.mid_channels, '-', b.se_channels),
                        product(b.mid_channels, b.se_channels, epilogue::relu));
      list.emplace_back(text("matvec/", b.se_channels, '-', b.mid_channels),
                        product(b.se_channels, b.mid_channels, epilogue::h_sigmoid));
      if (b.out_channels < b.out_size * b.out_size)
        list.emplace_back(text("gate_weights/", b.mid_channels, 'x', b.out_channels), gate_weights);
      else
        list.emplace_back(text("gate_pixels/", b.out_size, 'x', b.mid_channels), gate_pixels);
    }
    list.emplace_back(
        text("project/", b.out_size, 'x', b.mid_channels, '-', b.out_channels, b.residual ? "/residual" : ""), project);
    break;
  case block_kind::final_expand:
    list.emplace_back(text("expand/", b.in_size, 'x', b.in_channels, '-', b.out_channels, act, "/final"), final_expand);
    list.emplace_back(text("mean/", b.in_size, 'x', b.out_channels), mean);
    break;
  default:
    list.emplace_back(text("matvec/", b.in_channels, '-', b.out_channels),
                      product(b.in_channels, b.out_channels, epilogue_for(b.act)));
  }
  return list;
}

} // namespace bench
