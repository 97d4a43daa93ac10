#pragma once
#include "dynofa/backend/session.hpp"
#include "dynofa/calibrate/calibrator.hpp"
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace dynofa {

/// Where calibration images come from: `fill(n, r, image)` writes picture n of `count`, preprocessed for resolution r,
/// to image [r,r,3]. Called from several threads at once. A camera, a tensor and a folder all fit.
struct image_source {
  std::size_t count = 0;                                                  ///< of pictures
  std::function<void(std::size_t n, int r, std::span<float> image)> fill; ///< throws what reading a picture throws
};

/// The pictures of a folder in an order drawn from `seed`, decoded once (`threads` at a time) and kept: 2000 of 128×128
/// are 98 MB. The order matters: batches of a folder in its own order hold few classes each, which makes the variance
/// within batches too small (measured on Tiny ImageNet: 0.4 to 1.1 points of top-1 lost). Bad pictures are missing
/// where the folder skips them.
inline image_source decoded_source(const data::image_folder& ordered, const data::preprocessing& rule, int threads,
                                   std::uint64_t seed = 1, const data::load_progress& progress = {}) {
  const data::image_folder folder = ordered.subset(ordered.size(), seed);
  auto pictures = std::make_shared<std::vector<data::image>>(folder.size());
  data::for_each_image(
      folder, threads, [&](std::size_t i, int, const data::image& picture) { (*pictures)[i] = picture; }, progress);
  std::erase_if(*pictures, [](const data::image& picture) { return picture.pixels.empty(); }); // bad ones, skipped
  return {pictures->size(),
          [pictures, rule](std::size_t n, int r, std::span<float> image) { rule.apply((*pictures)[n], r, image); }};
}

/// How statistics are found.
struct calibration_options {
  int images = 2000; ///< taken from the front of the source, in its order, which should mix the classes
  int batch = 100;   ///< the result depends on it: the paper's code uses 16, once-for-all 200
  variance_rule rule = variance_rule::within_batches; ///< what the variance is taken over
  int threads = 1;                                    ///< that preprocess images; the network runs on the backend's own
  int report_every = 250;                             ///< images between two points of the convergence report
  /// Told after each batch of each architecture; false stops with errc::cancelled.
  std::function<bool(std::size_t done, std::size_t total)> progress = {};
};

/// How much the statistics still moved: between two points of the report, over all channels.
struct calibration_step {
  int images = 0;         ///< so far
  double mean_change = 0; ///< root mean square of the change of a mean, in standard deviations of its channel
  double var_change = 0;  ///< root mean square of the relative change of a variance
  /// Root mean square of the change of the logits of the first images (at most 16), in standard deviations of these.
  double logit_change = 0;
};

/// Statistics of one architecture.
struct calibration_result {
  dynofa::arch arch;                         ///< what was calibrated, as given
  bn_statistics statistics;                  ///< for `session::load`
  int images = 0;                            ///< that they are an average of
  std::vector<calibration_step> convergence; ///< ascending in images; empty if `report_every` images were never reached
};

namespace detail {
inline calibration_step change_of(const bn_statistics& before, const bn_statistics& now, int images) {
  calibration_step s{images, 0, 0, 0};
  const auto n = static_cast<double>(now.mean.size());
  for (std::size_t c = 0; c < now.mean.size(); ++c) {
    const double var = std::max(1e-12, double(now.var[c]));
    s.mean_change += (now.mean[c] - before.mean[c]) * double(now.mean[c] - before.mean[c]) / var / n;
    s.var_change += (now.var[c] - before.var[c]) * double(now.var[c] - before.var[c]) / (var * var) / n;
  }
  s.mean_change = std::sqrt(s.mean_change), s.var_change = std::sqrt(s.var_change);
  return s;
}

/// The logits of a few images under statistics that are still moving.
template <class Backend>
class logit_probe {
public:
  logit_probe(session<Backend> runner, const arch& a, std::vector<std::vector<float>> images)
      : runner_{std::move(runner)}
      , arch_{a}
      , images_{std::move(images)} {}

  /// How far they moved since the last call, in standard deviations; 0 at the first.
  double move_to(const bn_statistics& statistics) {
    auto level = runner_.load(arch_, statistics);
    std::vector<float> now;
    for (const auto& image : images_) {
      const auto logits = runner_.run(level, image);
      now.insert(now.end(), logits.begin(), logits.end());
    }
    double change = 0, sum = 0, square = 0;
    for (std::size_t i = 0; i < now.size(); ++i) {
      change += before_.empty() ? 0 : (now[i] - before_[i]) * double(now[i] - before_[i]);
      sum += now[i], square += now[i] * double(now[i]);
    }
    const double n = static_cast<double>(now.size());
    before_ = std::move(now);
    return std::sqrt(change / std::max(1e-12, square - sum * sum / n));
  }

private:
  session<Backend> runner_;
  dynofa::arch arch_;
  std::vector<std::vector<float>> images_;
  std::vector<float> before_;
};

} // namespace detail

/// The batch-norm statistics of each architecture at its own resolution (paper §3.3). All architectures see
/// the same images in the same order, one architecture after the other. Give the backend as many threads as may run,
/// and `packed` weights if there are any already.
///
/// Throws `error` for options outside their range and for what `source.fill` throws; deterministic, whatever the
/// threads.
template <inference_backend Backend>
std::vector<calibration_result> calibrate(const Backend& backend, const supernet_ptr& net, std::span<const arch> archs,
                                          const image_source& source, const calibration_options& options = {},
                                          std::shared_ptr<const typename Backend::packed> packed = nullptr) {
  const auto images = std::min(static_cast<std::size_t>(std::max(options.images, 0)), source.count);
  if (images == 0 || options.batch < 1 || options.threads < 1)
    throw error(errc::invalid_argument, "calibrate", "at least 1 image, 1 per batch and 1 thread",
                text(images, ", ", options.batch, " and ", options.threads));
  if (!packed) packed = backend.pack(net);
  const auto batch = std::min(images, static_cast<std::size_t>(options.batch));
  const std::size_t batches = (images + batch - 1) / batch;
  std::vector<calibration_result> results;
  for (const arch& a : archs) results.push_back({make_plan(net->space, a).arch, {}, 0, {}});

  // One architecture after the other: a batch's activations are the largest thing in memory, so only one set exists.
  for (std::size_t k = 0; k < results.size(); ++k) {
    calibration_result& result = results[k];
    calibrator<Backend> c(backend, net, packed, result.arch, static_cast<int>(batch), options.rule);
    const auto values = static_cast<std::size_t>(c.plan().blocks[0].in_values());
    bn_statistics before;
    int reported = 0;
    std::vector<std::vector<float>> shown(options.report_every > 0 ? std::min<std::size_t>(batch, 16) : 0);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      shown[i].resize(values);
      source.fill(i, result.arch.r, shown[i]);
    }
    detail::logit_probe<Backend> probe({backend, net, packed}, result.arch, std::move(shown));
    for (std::size_t first = 0, number = 1; first < images; first += batch, ++number) {
      const std::size_t count = std::min(batch, images - first);
      parallel_for(count, options.threads, [&](std::size_t i) {
        thread_local std::vector<float> image;
        image.resize(values);
        source.fill(first + i, result.arch.r, image);
        c.load(i, image);
      });
      c.add(static_cast<int>(count));
      result.images = static_cast<int>(c.images());
      if (options.report_every > 0 && (result.images - reported >= options.report_every || first + count == images)) {
        bn_statistics now = c.statistics();
        const double logit_change = probe.move_to(now);
        if (!before.mean.empty()) {
          result.convergence.push_back(detail::change_of(before, now, result.images));
          result.convergence.back().logit_change = logit_change;
        }
        before = std::move(now);
        reported = result.images;
      }
      if (options.progress && !options.progress(k * batches + number, results.size() * batches))
        throw error(errc::cancelled, "calibrate", "to see every batch", text("a stop after ", number, " of ", batches));
    }
    result.statistics = c.statistics();
  }
  return results;
}

} // namespace dynofa
