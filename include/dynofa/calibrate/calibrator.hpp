#pragma once
#include "dynofa/backend/concept.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/core/finite.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/plan.hpp"
#include "dynofa/model/supernet.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa {

/// Which variance becomes a layer's running variance.
enum class variance_rule {
  within_batches, ///< the mean of each batch's own variance: what once-for-all and Dynamic-OFA do
  pooled,         ///< of all images together: adds the spread of the batches' means
};

/// What a calibrator has seen so far, kept by whoever wants to go on later, and what that depends on. Sums are weighted
/// by batch size.
struct calibration_state {
  std::vector<double> mean, variance, square; ///< weighted sums, one per channel of the plan
  std::int64_t images = 0;                    ///< seen so far, in all batches
  dynofa::arch arch;                          ///< that is calibrated
  std::uint64_t supernet_hash = 0;            ///< `supernet::hash`
  int batch = 0;                              ///< images of a whole batch: each is normalised by itself
  std::string inputs;                         ///< what the images are, as the calibrator was told
};

/// Collects the batch-norm statistics of one architecture, batch after batch.
///
/// The reference's rule (once-for-all, set_running_statistics): every batch norm normalises with the mean and the
/// biased variance of the batch in hand, so later layers see normalised activations; the running statistics become the
/// averages over batches, weighted by their size, without momentum.
///
///     calibrator c(backend, net, backend.pack(net), arch, 100);
///     c.load(0, image); …  c.load(99, image);     // from any thread, one image each
///     c.add(100);                                 // one batch through the network
///     bn_statistics s = c.statistics();
///
/// Cost on the CPU kernels: one and a half to two forward passes per image (raw depthwise outputs travel through
/// memory), of ResNets one. Memory (`bytes`): the narrow activations of a batch twice and its widest depthwise output;
/// of ResNets the wide activations twice, 8.4 MB per image of 224 pixels.
template <class Backend>
class calibrator {
  static_assert(
      requires(const Backend& b, const std::shared_ptr<const typename Backend::packed>& packed, const dynofa::plan& p) {
        { open_calibration(b, packed, p, 1) } -> backend::calibration_batch;
      },
      "dynofa: this backend's calibration is not known here: include the header that declares its "
      "open_calibration, such as dynofa/backend/reference_calibration.hpp, dynofa/backend/cpu/calibration.hpp "
      "or dynofa/backend/cuda/calibration.hpp");

public:
  /// `inputs` says what the images are, such as `preprocessing::to_string()` and the folder they come from: a state is
  /// good for the same ones only.
  calibrator(const Backend& backend, const supernet_ptr& net,
             const std::shared_ptr<const typename Backend::packed>& packed, const arch& a, int batch,
             variance_rule rule = variance_rule::within_batches, std::string inputs = "")
      : net_{net}
      , plan_{make_plan(net->space, a)}
      , capacity_{checked(batch)}
      , rule_{rule}
      , batch_{open_calibration(backend, packed, plan_, batch)}
      , seen_{std::vector<double>(channels()),
              std::vector<double>(channels()),
              std::vector<double>(channels()),
              0,
              plan_.arch,
              net->hash(),
              batch,
              std::move(inputs)} {}

  /// Image [r,r,3] becomes number n of the coming batch.
  void load(std::size_t n, std::span<const float> image) {
    if (n >= static_cast<std::size_t>(capacity_) ||
        image.size() != static_cast<std::size_t>(plan_.blocks[0].in_values()))
      throw error(errc::invalid_argument, "calibrator",
                  text("image ", capacity_ - 1, " at most, of ", plan_.blocks[0].in_values(), " values"),
                  text("image ", n, " of ", image.size()));
    batch_.load(n, image);
  }

  /// Runs the first `count` loaded images as one batch and adds its statistics. Throws errc::bad_file, with the batch
  /// norm and the channel, as soon as a mean or variance is infinite or NaN; then nothing of the batch is added.
  void add(int count) {
    if (count < 1 || count > capacity_)
      throw error(errc::invalid_argument, "calibrator", text("1 to ", capacity_, " images"), text(count));
    std::vector<float> scale, shift;
    calibration_state seen = seen_;
    for (std::size_t b = 0; b < plan_.blocks.size(); ++b)
      for (int i = 0; i < plan_.blocks[b].norm_count(); ++i) {
        const backend::channel_sums sums = batch_.convolve(b, i, count);
        const norm_parameters& n = net_->norm(plan_.blocks[b], i);
        const auto offset =
            static_cast<std::size_t>(plan_.norms[static_cast<std::size_t>(plan_.first_norm(b) + i)].offset);
        scale.resize(sums.sum.size()), shift.resize(sums.sum.size());
        for (std::size_t c = 0; c < sums.sum.size(); ++c) {
          const double mean = sums.sum[c] / sums.pixels;
          const double variance = std::max(0.0, sums.square[c] / sums.pixels - mean * mean);
          // max() makes 0 of NaN, so the sums are asked as well
          if (!std::isfinite(mean) || !std::isfinite(sums.square[c]))
            throw error(errc::bad_file, text("calibrator, ", norm_channel(plan_, offset + c)),
                        "a finite mean and mean square of a batch",
                        text(shown(mean), " and ", shown(sums.square[c] / sums.pixels)));
          seen.mean[offset + c] += count * mean;
          seen.variance[offset + c] += count * variance;
          seen.square[offset + c] += count * mean * mean;
          const double factor = n.weight[c] / std::sqrt(variance + plan_.space.bn_epsilon);
          scale[c] = static_cast<float>(factor);
          shift[c] = static_cast<float>(n.bias[c] - mean * factor);
        }
        batch_.normalise(b, i, scale, shift);
      }
    seen.images += count;
    seen_ = std::move(seen);
  }

  /// Of all batches so far. Throws `error` before the first, and with norm and channel for what no float holds.
  bn_statistics statistics() const {
    if (seen_.images == 0) throw error(errc::invalid_argument, "calibrator", "at least one batch", "none");
    bn_statistics s;
    const double n = static_cast<double>(seen_.images);
    for (std::size_t c = 0; c < channels(); ++c) {
      const double mean = seen_.mean[c] / n;
      // Pooled: E[x²] − mean², where E[x²] of a batch is its variance plus its squared mean.
      const double between = rule_ == variance_rule::pooled ? std::max(0.0, seen_.square[c] / n - mean * mean) : 0.0;
      s.mean.push_back(static_cast<float>(mean));
      s.var.push_back(static_cast<float>(seen_.variance[c] / n + between));
    }
    check_statistics(plan_, s, "calibrator");
    return s;
  }

  /// To go on where another calibrator of the same architecture, super-network, batch size and inputs stopped: the
  /// result is that of one run. Throws errc::mismatch, with what differs, for a state of others, and for one that
  /// cannot be.
  const calibration_state& state() const { return seen_; }
  /// Goes on from `state`; see `state()`.
  void restore(calibration_state state) {
    const auto expect_same = [](std::string_view what, const auto& own, const auto& other) {
      if (!(own == other))
        throw error(errc::mismatch, "calibrator", text("a state of ", what, own), text("one of ", what, other));
    };
    const auto hex = [](std::uint64_t hash) { return in_base(16, hash); };
    expect_same("architecture ", seen_.arch, state.arch);
    expect_same("super-network ", hex(seen_.supernet_hash), hex(state.supernet_hash));
    expect_same("batches of ", seen_.batch, state.batch);
    expect_same("inputs ", seen_.inputs, state.inputs);
    for (const auto* sums : {&state.mean, &state.variance, &state.square})
      if (sums->size() != channels() ||
          !std::all_of(sums->begin(), sums->end(), [](double v) { return std::isfinite(v); }))
        throw error(errc::mismatch, "calibrator", text("finite sums of ", channels(), " channels"),
                    text("others, of ", sums->size()));
    if (state.images < 0) throw error(errc::mismatch, "calibrator", "a count of images", text(state.images));
    seen_ = std::move(state);
  }

  std::int64_t images() const { return seen_.images; } ///< seen so far
  const dynofa::plan& plan() const { return plan_; }   ///< of a whole batch
  std::size_t bytes() const { return batch_.bytes(); } ///< of the batch's activations

private:
  std::size_t channels() const { return static_cast<std::size_t>(plan_.norm_values()); }
  static int checked(int batch) {
    if (batch < 1) throw error(errc::invalid_argument, "calibrator", "a batch of at least 1 image", text(batch));
    return batch;
  }
  supernet_ptr net_;
  dynofa::plan plan_;
  int capacity_;
  variance_rule rule_;
  decltype(open_calibration(std::declval<const Backend&>(),
                            std::declval<const std::shared_ptr<const typename Backend::packed>&>(),
                            std::declval<const dynofa::plan&>(), 1)) batch_;
  calibration_state seen_;
};

} // namespace dynofa
