#pragma once
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/fused_calibration.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace dynofa::backend {

/// Calibration on the CPU's kernels, images spread over the backend's threads. `packed` in fp32 or fp16.
inline cpu_detail::fused_calibration
open_calibration(const cpu& backend, const std::shared_ptr<const cpu::packed>& packed, const plan& p, int capacity) {
  if (p.batch != 1) throw error(errc::invalid_argument, "cpu calibration", "a plan for one image", text(p.batch));
  if (packed->format == cpu_detail::number_format::bf16)
    throw error(errc::invalid_argument, "cpu calibration", "weights in fp32 or fp16", "bf16");
  const auto values = static_cast<std::size_t>(p.norm_values());
  return {backend, backend.bind(packed, p, {std::vector<float>(values, 1.f), std::vector<float>(values, 0.f)}),
          capacity};
}
} // namespace dynofa::backend

static_assert(dynofa::calibrating_backend<dynofa::backend::cpu>);
