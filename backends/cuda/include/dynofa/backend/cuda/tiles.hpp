#pragma once
#include "dynofa/backend/cuda/step.hpp"
#include "dynofa/core/block.hpp"
#include "dynofa/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

// How the fused kernel cuts an inverted residual into thread blocks, chosen by an estimate of the time.

namespace dynofa::backend::cuda_detail {

/// How the fused kernel cuts the outputs of one block, and with how many threads.
struct tiles {
  std::int32_t height, width, across, count, threads;
  std::uint32_t shared_bytes;
};

/// Every way to cut that fits, `visit(tiles, cycles)`, with an estimate of its time. Large tiles compute less twice
/// (halos), small ones fill a large GPU with one image. The estimate counts instructions per warp: 32 pixels expanded,
/// a run of four outputs slid over. A thread block alone on a multiprocessor waits some cycles per instruction; many
/// share its four schedulers, and those that do not all fit come one by one as others end. On an H100 and in fp16 what
/// it chooses takes 0.7 % longer than the best of 40 measured for batches of 64 (sum of 70 blocks), 5 % for single
/// images.
template <class Visit>
void for_each_tiling(const block& b, precision p, int batch, device_limits device, Visit&& visit) {
  const bool half = p == precision::fp16;
  const int slices = padded_depth(p, b.in_channels) / slice_of(p), chunks = ceil_div(b.mid_channels, channel_chunk);
  // Where the numbers come from. fp16: least squares over the times of 5000 tilings of 140 blocks on an H100, which
  // `gpu_figures tilings` prints. fp32: instructions counted in the compiled kernel, cycles as in fp16 but for what its
  // products take more.
  // Instructions of a warp: to expand 32 pixels (an epilogue, and the products of each slice of input channels), to
  // begin, and to slide over four outputs (a window's rows: loads and multiply-adds, then the store).
  const double per_strip = half ? 145 + slices * 53 : 250 + slices * 590, setup = 290;
  const double per_row =
      half ? (3 * b.stride + b.kernel) * 2.0 + 5.5 * b.kernel : (3 * b.stride + b.kernel) + 9.0 * b.kernel;
  const double per_run = b.kernel * per_row + (half ? 45 : 60);
  // Cycles per instruction of a thread block that is alone on its multiprocessor, and of one that shares its four
  // schedulers; and for each value of squeeze-excite's hidden layer that the gate kernel adds up.
  const double alone = half ? 3.8 : 6.0, crowded = half ? 1.13 : 1.2, per_share = half ? 0.11 : 0.075;
  for (const int threads : {256, 128})
    for (int height = 1; height <= std::min(b.out_size, 16); ++height)
      for (int width = 4; width < std::min(b.out_size + 4, 32); width += 4) {
        const int warps = threads / 32;
        const halo span = halo_of(b.kernel, b.stride, height, width);
        if (span.height * span.width * span.width >= 1 << 20) continue; // see small_division
        const std::uint32_t bytes = expand_depthwise_room(p, b.in_channels, b.kernel, b.stride, span, warps).bytes;
        if (bytes > device.shared_bytes) continue;
        const int across = ceil_div(b.out_size, width), count = across * ceil_div(b.out_size, height);
        const int pixels = std::min(span.height, b.in_size) * std::min(span.width, b.in_size);
        const double instructions = setup + ceil_div(ceil_div(pixels, 32), warps) * per_strip +
                                    ceil_div(height * width / 4, threads / 16) * per_run;
        const int resident = std::max(1, std::min(static_cast<int>(device.shared_bytes / bytes), 512 / threads));
        const double share = double(chunks) * count * batch / device.multiprocessors;
        const double together = std::min(std::ceil(share), double(resident));
        const double cycles =
            std::max(1.0, share / resident) * std::max(alone, crowded * together * warps / 4) * instructions +
            per_share * chunks * count * b.se_channels; // the gate kernel adds up as many
        visit(tiles{height, width, across, count, threads, bytes}, cycles);
      }
}

/// The tiles with the least estimated time.
inline tiles tiles_of(const block& b, precision p, int batch, device_limits device) {
  tiles best{};
  double least = 0;
  for_each_tiling(b, p, batch, device, [&](const tiles& t, double cycles) {
    if (least > 0 && cycles >= least) return;
    least = cycles;
    best = t;
  });
  if (least == 0)
    throw error(errc::unsupported, "cuda backend",
                text("a block that fits ", device.shared_bytes, " bytes of shared memory"),
                text("kernel ", int(b.kernel), " on ", b.in_channels, " channels"));
  return best;
}

} // namespace dynofa::backend::cuda_detail
