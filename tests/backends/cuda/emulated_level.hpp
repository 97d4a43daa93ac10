#pragma once
#define DYNOFA_CUDA_EMULATION "backends/cuda/emulation.hpp"
#include "dynofa/backend/cuda/dispatch.cuh"
#include "dynofa/backend/cuda/schedule.hpp"
#include "dynofa/backend/reference.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

// A level on the emulated device, and its comparison with the reference backend.

namespace dynofa_test::backends_cuda {

using namespace dynofa;
using namespace dynofa::backend::cuda_detail;

inline std::vector<float> normals(std::size_t n, std::uint64_t seed) {
  random_stream random(seed, "image");
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(random.uniform() * 3.4 - 1.7);
  return v;
}

inline void run_emulated(const std::vector<step>& launches) {
  for (const step& s : launches)
    dispatch(s, [&](auto kernel, const auto& args) {
      emulated().launch({int(s.grid[0]), int(s.grid[1]), int(s.grid[2])}, s.threads, s.shared_bytes,
                        [&] { kernel(args); });
    });
}
/// Memory of the emulated device, aligned as CUDA's.
struct emulated_memory {
  explicit emulated_memory(std::size_t size)
      : bytes(size + 15) {}
  std::byte* begin() {
    return reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(bytes.data()) + 15) / 16 * 16);
  }
  std::vector<std::byte> bytes;
};

/// A level on the emulated device.
struct emulated_level {
  emulated_level(const supernet& net, const plan& p, const scale_shift& affine, precision values, device_limits device)
      : of{p}
      , weights{net, values}
      , layout{std::span(&p, 1), values, device}
      , arena(layout.bytes)
      , norms{interleave_norms(p, affine.scale, affine.shift)}
      , steps{weights, of, layout, {weights.bytes.data(), norms.data(), arena.begin()}, device} {}

  void put(std::size_t offset, std::span<const float> from, bool as_values) {
    for (std::size_t i = 0; i < from.size(); ++i)
      if (as_values && weights.values == precision::fp16)
        reinterpret_cast<std::uint16_t*>(arena.begin() + offset)[i] = float_to_half(from[i]);
      else
        reinterpret_cast<float*>(arena.begin() + offset)[i] = from[i];
  }
  std::vector<float> get(std::size_t offset, std::size_t count, bool as_values) {
    std::vector<float> out(count);
    for (std::size_t i = 0; i < count; ++i)
      out[i] = as_values && weights.values == precision::fp16
                   ? half_to_float(reinterpret_cast<std::uint16_t*>(arena.begin() + offset)[i])
                   : reinterpret_cast<float*>(arena.begin() + offset)[i];
    return out;
  }

  plan of;
  packed_layout weights;
  arena_layout layout;
  emulated_memory arena;
  std::vector<float> norms;
  schedule steps;
};

/// Largest difference, as a share of the wanted values' standard deviation.
inline double difference(std::span<const float> got, std::span<const float> wanted) {
  double worst = 0, sum = 0, square = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!(std::abs(got[i]) < 1e30f)) return 1e30; // also NaN
    worst = std::max(worst, double(std::abs(got[i] - wanted[i])));
    sum += wanted[i], square += double(wanted[i]) * wanted[i];
  }
  const double n = double(got.size());
  return worst / std::sqrt(std::max(square / n - sum / n * sum / n, 1e-12));
}

using block_case = std::tuple<int, int, activation, bool>;

inline void compare(const supernet_ptr& net, const plan& p, precision values, device_limits device,
                    std::set<block_case>* seen) {
  const double block_tolerance = values == precision::fp16 ? 1e-2 : 2e-5;
  const double network_tolerance = values == precision::fp16 ? 5e-2 : 2e-4;
  const backend::reference judge;
  const scale_shift affine = fold(*net, p, stored_statistics(*net, p));
  auto truth = judge.bind(judge.pack(net), p, affine);
  auto space = judge.make_workspace(std::span(&p, 1));
  emulated_level level(*net, p, affine, values, device);

  const auto batch = static_cast<std::size_t>(p.batch);
  const std::vector<float> image = normals(batch * static_cast<std::size_t>(p.blocks[0].in_values()), 5);
  std::vector<float> in = image;
  for (std::size_t b = 0; b < p.blocks.size(); ++b) {
    const bool first = b == 0, last = b + 1 == p.blocks.size();
    std::vector<float> wanted(batch * static_cast<std::size_t>(p.blocks[b].out_values()));
    judge.run_block(truth, space, b, in, wanted);
    level.put(first ? level.layout.image : level.layout.ping, in, !first);
    run_emulated(level.steps.block_alone(b));
    const auto got = level.get(last ? level.layout.logits : level.layout.pong, wanted.size(), !last);
    INFO("block " << b << " of " << text(p.arch) << " kernel " << int(p.blocks[b].kernel));
    CHECK(difference(got, wanted) < block_tolerance);
    in = wanted;
    if (seen && p.blocks[b].kind == block_kind::inverted_residual)
      seen->insert({p.blocks[b].kernel, p.blocks[b].stride, p.blocks[b].act, p.blocks[b].se_channels > 0});
  }
  level.put(level.layout.image, image, false);
  run_emulated(level.steps.network());
  CHECK(difference(level.get(level.layout.logits, in.size(), false), in) < network_tolerance);
}

} // namespace dynofa_test::backends_cuda
