#pragma once
#include "dynofa/backend/cuda.hpp"
#include "dynofa/backend/cuda/calibration_schedule.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace dynofa::backend {

namespace cuda_detail {

/// A batch of images in the middle of a network, in device memory and fp32 throughout. Sums repeat bit for bit.
class calibration {
public:
  calibration(cuda backend, std::shared_ptr<const packed_supernet> weights, const plan& p, int capacity)
      : backend_{std::move(backend)}
      , weights_{std::move(weights)}
      , plan_{p}
      , layout_{p, capacity}
      , image_values_{static_cast<std::size_t>(p.blocks[0].in_values())} {
    if (p.batch != 1) throw error(errc::invalid_argument, "cuda calibration", "a plan for one image", text(p.batch));
    if (weights_->layout.values != precision::fp32)
      throw error(errc::unsupported, "cuda calibration", "weights packed in fp32", "fp16");
    const int device = backend_.open->info.index;
    if (weights_->device != device)
      throw error(errc::mismatch, "cuda calibration", text("weights on device ", device), text(weights_->device));
    require_runnable(weights_->layout, p, capacity); // before memory is asked for
    const auto channels = static_cast<std::size_t>(layout_.most_channels);
    images_bytes_ = static_cast<std::size_t>(capacity) * image_values_ * sizeof(float);
    vectors_bytes_ = 2 * channels * sizeof(double);
    memory_ = device_memory(device, layout_.bytes, "a batch under calibration");
    images_ = pinned_memory(device, images_bytes_, "images");
    vectors_ = pinned_memory(device, vectors_bytes_, "sums");
    const std::lock_guard turn(backend_.open->turn);
    auto* identity = static_cast<float*>(vectors_.get());
    std::fill_n(identity, channels, 1.f), std::fill_n(identity + channels, channels, 0.f);
    upload(arena() + layout_.identity, identity, 2 * channels * sizeof(float), stream());
    synchronize(stream());
  }

  void load(std::size_t n, std::span<const float> image) {
    check(image.size() == image_values_ && (n + 1) * image.size_bytes() <= images_bytes_, "an image of the batch");
    std::memcpy(static_cast<float*>(images_.get()) + n * image_values_, image.data(), image.size_bytes());
  }

  channel_sums convolve(std::size_t b, int i, int count) {
    const std::lock_guard turn(backend_.open->turn);
    count_ = count;
    if (b == 0)
      upload(arena() + layout_.arena.image, images_.get(),
             static_cast<std::size_t>(count) * image_values_ * sizeof(float), stream());
    const calibration_schedule steps = schedule_of();
    launch(steps.convolve(b, i), stream());
    const auto channels = static_cast<std::size_t>(plan_.blocks[b].norm_channels(i));
    download(vectors_.get(), arena() + layout_.sums, 2 * channels * sizeof(double), stream());
    synchronize(stream());
    const auto* sums = static_cast<const double*>(vectors_.get());
    return {{sums, sums + channels}, {sums + channels, sums + 2 * channels}, static_cast<double>(steps.pixels(b, i))};
  }

  void normalise(std::size_t b, int i, std::span<const float> scale, std::span<const float> shift) {
    check(scale.size() == shift.size() && 2 * scale.size_bytes() <= vectors_bytes_, "scales and shifts of one norm");
    const std::lock_guard turn(backend_.open->turn);
    auto* norms = static_cast<float*>(vectors_.get()); // free: `convolve` waits for its sums
    std::copy(scale.begin(), scale.end(), norms);
    std::copy(shift.begin(), shift.end(), norms + scale.size());
    upload(arena() + layout_.norms, norms, 2 * scale.size_bytes(), stream());
    launch(schedule_of().normalise(b, i), stream());
  }

  void logits(std::size_t n, std::span<float> out) {
    const std::lock_guard turn(backend_.open->turn);
    launch(schedule_of().logits(n), stream());
    std::vector<float> values(out.size());
    download(values.data(), arena() + layout_.logits, out.size_bytes(), stream());
    synchronize(stream());
    std::copy(values.begin(), values.end(), out.begin());
  }

  std::size_t bytes() const { return layout_.bytes + images_bytes_ + vectors_bytes_; }

private:
  cuda backend_;
  std::shared_ptr<const packed_supernet> weights_;
  plan plan_;
  calibration_layout layout_;
  std::size_t image_values_, images_bytes_ = 0, vectors_bytes_ = 0;
  std::shared_ptr<void> memory_, images_, vectors_; ///< the batch; pinned: pictures; scales and shifts in, sums out
  int count_ = 0;

  static void check(bool good, const char* expected) {
    if (!good) throw error(errc::invalid_argument, "cuda calibration", expected, "another size");
  }
  std::byte* arena() const { return static_cast<std::byte*>(memory_.get()); }
  void* stream() const { return backend_.open->stream.get(); }
  calibration_schedule schedule_of() const {
    return {weights_->layout,
            plan_,
            layout_,
            {static_cast<const std::byte*>(weights_->memory.get()),
             reinterpret_cast<const float*>(arena() + layout_.identity), arena()},
            backend_.open->info.limits(),
            count_};
  }
};

} // namespace cuda_detail

/// Calibration on the GPU, in fp32: `packed` by a backend of precision "fp32". Give the statistics to levels of either
/// precision.
inline cuda_detail::calibration open_calibration(const cuda& backend, const std::shared_ptr<const cuda::packed>& packed,
                                                 const plan& p, int capacity) {
  return {backend, packed, p, capacity};
}
} // namespace dynofa::backend

static_assert(dynofa::calibrating_backend<dynofa::backend::cuda>);
