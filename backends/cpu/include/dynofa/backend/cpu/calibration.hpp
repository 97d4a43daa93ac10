#pragma once
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/fused_calibration.hpp"
#include "dynofa/backend/cpu/observer.hpp"
#include "dynofa/backend/cpu/whole_calibration.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace dynofa::backend {

namespace cpu_detail {

/// A level whose scales and shifts are the identity. Throws errc::invalid_argument for plans of several images and
/// weights in bf16.
inline cpu::bound raw_level(const cpu& backend, const std::shared_ptr<const packed_supernet>& weights, const plan& p) {
  if (p.batch != 1) throw error(errc::invalid_argument, "cpu calibration", "a plan for one image", text(p.batch));
  if (weights->format == number_format::bf16 || weights->format == number_format::int8)
    throw error(errc::invalid_argument, "cpu calibration", "weights in fp32 or fp16",
                weights->format == number_format::bf16 ? "bf16" : "int8");
  const auto values = static_cast<std::size_t>(p.norm_values());
  return backend.bind(weights, p, {std::vector<float>(values, 1.f), std::vector<float>(values, 0.f)});
}

/// A batch of images in the middle of a network, on the hand-written kernels: in the way that suits its blocks.
class calibration {
public:
  calibration(const cpu& backend, const std::shared_ptr<const packed_supernet>& weights, const plan& p, int capacity)
      : chosen_{choose(backend, weights, p, capacity)} {}

  void load(std::size_t n, std::span<const float> image) {
    std::visit([&](auto& c) { c.load(n, image); }, chosen_);
  }
  channel_sums convolve(std::size_t b, int i, int count) {
    return std::visit([&](auto& c) { return c.convolve(b, i, count); }, chosen_);
  }
  void normalise(std::size_t b, int i, std::span<const float> scale, std::span<const float> shift) {
    std::visit([&](auto& c) { c.normalise(b, i, scale, shift); }, chosen_);
  }
  void logits(std::size_t n, std::span<float> out) {
    std::visit([&](auto& c) { c.logits(n, out); }, chosen_);
  }
  std::size_t bytes() const {
    return std::visit([](const auto& c) { return c.bytes(); }, chosen_);
  }

private:
  using ways = std::variant<fused_calibration, whole_calibration>;
  ways chosen_;

  static ways choose(const cpu& backend, const std::shared_ptr<const packed_supernet>& weights, const plan& p,
                     int capacity) {
    cpu::bound raw = raw_level(backend, weights, p);
    if (std::all_of(p.blocks.begin(), p.blocks.end(), fused_calibration::knows))
      return ways{std::in_place_type<fused_calibration>, backend, std::move(raw), capacity};
    return ways{std::in_place_type<whole_calibration>, backend, std::move(raw), capacity};
  }
};

} // namespace cpu_detail

/// Calibration on the CPU's kernels, images spread over the backend's threads. `packed` in fp32 or fp16.
inline cpu_detail::calibration open_calibration(const cpu& backend, const std::shared_ptr<const cpu::packed>& packed,
                                                const plan& p, int capacity) {
  return {backend, packed, p, capacity};
}

/// The same with all tensors whole, to be looked at, whatever the network: for w = 1.2 at 224 pixels 17.5 MB an
/// image.
inline cpu_detail::observer open_observer(const cpu& backend, const std::shared_ptr<const cpu::packed>& packed,
                                          const plan& p, int capacity) {
  return {backend, cpu_detail::raw_level(backend, packed, p), capacity};
}
} // namespace dynofa::backend

static_assert(dynofa::calibrating_backend<dynofa::backend::cpu>);
static_assert(dynofa::observing_backend<dynofa::backend::cpu>);
