#pragma once
#include "dynofa/backend/cuda.hpp"
#include "dynofa/backend/cuda/picture_schedule.hpp"

#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

namespace dynofa::backend {

/// Preprocessing on the GPU: a picture travels as bytes, through pinned memory, and becomes a level's input there.
///
///     backend::cuda_pictures pictures(gpu, rule);
///     pictures.run(level, workspace, picture, logits);   // as preprocessing::apply, then backend.run
///
/// Mode imagenet_crop gives the same input as on the CPU bit for bit, mode exact the same up to rounding (1e-5). Its
/// memory grows with the largest picture so far. Works on the backend's stream; calls from several threads take turns.
class cuda_pictures {
public:
  /// Throws errc::invalid_argument for a rule out of range.
  cuda_pictures(cuda backend, const data::preprocessing& rule)
      : backend_{std::move(backend)}
      , rule_{rule} {
    rule_.validate();
  }

  /// One picture → logits [classes] of a level of batch 1. Throws what `preprocessing::apply` throws, and
  /// errc::mismatch for a level of another batch.
  void run(cuda::bound& level, cuda::workspace& space, const data::image& picture, std::span<float> logits) {
    if (level.plan.batch != 1)
      throw error(errc::mismatch, "cuda pictures", "a level of batch 1", text(level.plan.batch));
    backend_.run_on(level, space, logits,
                    [&](std::byte* input, void*) { start(picture, static_cast<int>(level.plan.arch.r), input); });
  }

  /// Only the input, back on the host: [r,r,3], for tests.
  void apply(const data::image& picture, int r, std::span<float> out) {
    if (r < 1 || out.size() != image_values(r))
      throw error(errc::invalid_argument, "cuda pictures", text("room for an input of ", r, "×", r, "×3"),
                  text("room for ", out.size()));
    const std::lock_guard turn(backend_.open->turn);
    const auto input = cuda_detail::device_memory(backend_.open->info.index, out.size_bytes(), "an input");
    start(picture, r, static_cast<std::byte*>(input.get()));
    cuda_detail::download(out.data(), input.get(), out.size_bytes(), stream());
    cuda_detail::synchronize(stream());
  }

private:
  cuda backend_;
  data::preprocessing rule_;
  std::shared_ptr<void> staging_, memory_; ///< pinned: picture and taps; on the device: these and what lies between
  std::size_t staging_size_ = 0, memory_size_ = 0;

  void* stream() const { return backend_.open->stream.get(); }
  void start(const data::image& picture, int r, std::byte* input) {
    const cuda_detail::picture_schedule plan(rule_, picture.height, picture.width, r);
    const int device = backend_.open->info.index;
    if (plan.upload_bytes() > staging_size_) {
      staging_ = cuda_detail::pinned_memory(device, plan.upload_bytes(), "a picture");
      staging_size_ = plan.upload_bytes();
    }
    if (plan.bytes() > memory_size_) {
      memory_ = cuda_detail::device_memory(device, plan.bytes(), "a picture");
      memory_size_ = plan.bytes();
    }
    auto *from = static_cast<std::byte*>(staging_.get()), *to = static_cast<std::byte*>(memory_.get());
    plan.fill(picture, from); // whoever staged before waited for the end
    cuda_detail::upload(to, from, plan.upload_bytes(), stream());
    cuda_detail::launch(plan.steps(to, reinterpret_cast<float*>(input)), stream());
  }
};

} // namespace dynofa::backend
