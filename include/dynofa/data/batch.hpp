#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/data/image.hpp"
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/preprocess.hpp"

#include <xtensor/xtensor.hpp>

#include <cstddef>
#include <span>

namespace dynofa::data {

namespace detail {
inline xt::xtensor<float, 4> empty_batch(std::size_t count, int r) {
  if (r < 1) throw error(errc::invalid_argument, "batch", "a resolution of at least 1", text(r));
  const auto side = static_cast<std::size_t>(r);
  return xt::xtensor<float, 4>::from_shape({count, side, side, 3});
}
/// Picture i of a batch, as the r·r·3 values it occupies.
inline std::span<float> slot(xt::xtensor<float, 4>& batch, std::size_t i) {
  const std::size_t stride = batch.shape()[1] * batch.shape()[2] * batch.shape()[3];
  return {batch.data() + i * stride, stride};
}
} // namespace detail

/// Preprocessed pictures, [N,r,r,3].
inline xt::xtensor<float, 4> batch(std::span<const image> pictures, const preprocessing& rule, int r) {
  auto out = detail::empty_batch(pictures.size(), r);
  for (std::size_t i = 0; i < pictures.size(); ++i) rule.apply(pictures[i], r, detail::slot(out, i));
  return out;
}

/// All pictures of a data set, read and preprocessed on `threads` threads, [N,r,r,3] in the order of the data set:
/// N·r·r·12 bytes, so draw a `subset` of a large one first. Errors and cancelling as in `for_each_image`.
inline xt::xtensor<float, 4> batch(const image_folder& dataset, const preprocessing& rule, int r, int threads = 1,
                                   const load_progress& progress = {}) {
  auto out = detail::empty_batch(dataset.size(), r);
  for_each_image(
      dataset, threads, [&](std::size_t i, int, const image& picture) { rule.apply(picture, r, detail::slot(out, i)); },
      progress);
  return out;
}

} // namespace dynofa::data
