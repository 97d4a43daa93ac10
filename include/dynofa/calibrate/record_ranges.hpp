#pragma once
#include "dynofa/backend/concept.hpp"
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/calibrate/range_histogram.hpp"
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/model/batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

namespace dynofa {

/// How activation ranges are found.
struct range_options {
  int images = 2000; ///< taken from the front of the source
  int batch = 16;    ///< the result does not depend on it: whole tensors of so many images lie in memory
  range_rule rule = range_rule::least_square_error; ///< what of the values seen a range leaves out
  double percentile = 99.99;                        ///< for `range_rule::percentile`: above 50, at most 100
  int threads = 1; ///< that preprocess images and look at activations; the network runs on the backend's own
  /// Told after each batch of each pass; false stops with errc::cancelled.
  std::function<bool(std::size_t done, std::size_t total)> progress = {};
};

namespace detail {

/// What has been seen of each byte tensor of a plan: lowest and highest values, then how often which. Extremes and
/// counts are the same in whatever order images come, so threads share images as they like.
class range_recorder {
public:
  range_recorder(const plan& p, int threads)
      : tensors_{byte_tensors(p)}
      , workers_(static_cast<std::size_t>(threads)) {
    seen_.low.resize(range_count(p)), seen_.high.resize(range_count(p));
  }

  /// From now on `see` counts values between the extremes of before.
  void start_counting() { counts_.resize(seen_.low.size() * range_histogram::size); }

  /// These tensors of block b, of the first `images` of a batch.
  template <class Batch>
  void see(const Batch& batch, std::size_t b, std::size_t images, std::initializer_list<byte_tensor::place> places) {
    for (const byte_tensor& t : tensors_) {
      if (t.block != b || std::find(places.begin(), places.end(), t.where) == places.end()) continue;
      const auto sharing = std::min(workers_.size(), images);
      parallel_for(sharing, static_cast<int>(sharing), [&](std::size_t w) {
        worker& own = workers_[w];
        own.start(t, lanes_of(t), counting() ? &seen_ : nullptr);
        for (std::size_t n = w; n < images; n += sharing)
          batch.observe(b, t.where, n, [&](const backend::activation_part& x) { own.take(x); });
      });
      for (std::size_t w = 0; w < sharing; ++w) merge(t, workers_[w]);
    }
  }

  const activation_ranges& extremes() const { return seen_; }
  range_histogram histogram(std::size_t range) const {
    return {seen_.low[range], seen_.high[range],
            std::span(counts_).subspan(range * range_histogram::size, range_histogram::size)};
  }

private:
  static constexpr int together = 8; ///< channels that one loop looks at: their number is nearly always a multiple

  /// One thread's part of one tensor of one batch. A lane is a channel; of a tensor with one range every eighth, which
  /// spares counting one zero after the other in one place.
  struct worker {
    std::vector<float> low, high, inverse;
    std::vector<std::uint32_t> counts; ///< [lane][bin], or none; a batch that they cannot count fits no memory
    bool of_channels = false;

    void start(const byte_tensor& t, std::size_t lanes, const activation_ranges* between) {
      of_channels = t.ranges > 1;
      low.assign(lanes, 0.f), high.assign(lanes, 0.f);
      if (between == nullptr) return;
      inverse.resize(lanes);
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const std::size_t range = t.offset + (of_channels ? lane : 0);
        low[lane] = between->low[range], high[lane] = between->high[range];
        inverse[lane] = range_histogram::inverse_width(low[lane], high[lane]);
      }
      counts.assign(lanes * range_histogram::size, 0);
    }
    void take(const backend::activation_part& x) {
      int c = 0;
      for (; c + together <= x.channels; c += together) take<together>(x, c);
      for (; c < x.channels; ++c) take<1>(x, c);
    }
    template <int Lanes>
    void take(const backend::activation_part& x, int c) {
      const auto lane = static_cast<std::size_t>(of_channels ? x.first + c : c % together);
      const float* const values = x.values + c;
      std::uint32_t* const to = counts.empty() ? nullptr : &counts[lane * range_histogram::size];
      if (to == nullptr)
        widen<Lanes>(values, x, &low[lane], &high[lane]);
      else if constexpr (Lanes == together)
        count(values, x, &low[lane], &inverse[lane], to);
      else
        count_one(values, x, low[lane], inverse[lane], to);
    }
    template <int Lanes>
    static void widen(const float* x, const backend::activation_part& of, float* low, float* high) {
      float least[Lanes], most[Lanes];
      std::copy_n(low, Lanes, least), std::copy_n(high, Lanes, most);
      for (int p = 0; p < of.pixels; ++p, x += of.pitch)
        for (int i = 0; i < Lanes; ++i) {
          least[i] = x[i] < least[i] ? x[i] : least[i];
          most[i] = x[i] > most[i] ? x[i] : most[i];
        }
      std::copy_n(least, Lanes, low), std::copy_n(most, Lanes, high);
    }
    static void count(const float* x, const backend::activation_part& of, const float* low, const float* inverse,
                      std::uint32_t* counts) {
      using quad = range_histogram::quad;
      quad from[together / 4], by[together / 4];
      std::memcpy(from, low, sizeof from), std::memcpy(by, inverse, sizeof by);
      for (int p = 0; p < of.pixels; ++p, x += of.pitch) {
        std::int32_t bin[together];
        for (int i = 0; i < together / 4; ++i) {
          quad values;
          std::memcpy(&values, x + 4 * i, sizeof values);
          const range_histogram::places at = range_histogram::bins_of(values, from[i], by[i]);
          std::memcpy(bin + 4 * i, &at, sizeof at);
        }
        for (int i = 0; i < together; ++i) ++counts[i * range_histogram::size + bin[i]];
      }
    }
    static void count_one(const float* x, const backend::activation_part& of, float low, float inverse,
                          std::uint32_t* counts) {
      for (int p = 0; p < of.pixels; ++p, x += of.pitch) ++counts[range_histogram::bin_of(*x, low, inverse)];
    }
  };

  std::vector<byte_tensor> tensors_;
  std::vector<worker> workers_;
  activation_ranges seen_;
  std::vector<std::uint64_t> counts_; ///< [range][bin]

  bool counting() const { return !counts_.empty(); }
  std::size_t lanes_of(const byte_tensor& t) const {
    return static_cast<std::size_t>(t.ranges > 1 ? t.ranges : together);
  }
  void merge(const byte_tensor& t, const worker& w) {
    for (std::size_t lane = 0; lane < w.low.size(); ++lane) {
      const std::size_t range = t.offset + (w.of_channels ? lane : 0);
      seen_.low[range] = std::min(seen_.low[range], w.low[lane]);
      seen_.high[range] = std::max(seen_.high[range], w.high[lane]);
      for (std::size_t bin = 0; counting() && bin < range_histogram::size; ++bin)
        counts_[range * range_histogram::size + bin] += w.counts[lane * range_histogram::size + bin];
    }
  }
};

/// The first `count` images of a batch through the network with scales and shifts that stay.
template <class Batch>
void see_batch(Batch& batch, const plan& p, const scale_shift& affine, int count, range_recorder& to) {
  using enum byte_tensor::place;
  const auto images = static_cast<std::size_t>(count);
  for (std::size_t b = 0; b < p.blocks.size(); ++b)
    for (int i = 0; i < p.blocks[b].norm_count(); ++i) {
      const plan::norm norm = p.norms[static_cast<std::size_t>(p.first_norm(b) + i)];
      const auto offset = static_cast<std::size_t>(norm.offset), channels = static_cast<std::size_t>(norm.channels);
      // Whatever is shown goes through a convolution next, and no infinity or NaN comes out of it as a finite sum.
      const backend::channel_sums sums = batch.convolve(b, i, count);
      for (std::size_t c = 0; c < channels; ++c)
        if (!std::isfinite(sums.sum[c]))
          throw error(errc::bad_file, text("record_ranges, ", norm_channel(p, offset + c)),
                      "a finite mean of what the convolution before it gives", shown(sums.sum[c] / sums.pixels));
      if (i == 0) to.see(batch, b, images, {input});
      batch.normalise(b, i, std::span(affine.scale).subspan(offset, channels),
                      std::span(affine.shift).subspan(offset, channels));
      if (i == 0) to.see(batch, b, images, {expanded});
      if (i == 1) to.see(batch, b, images, {ungated, projected});
    }
}

} // namespace detail

/// The ranges of a level's activations, over images of `source` as the level sees them: with its batch norm, so
/// calibrate that first, on the same images. Give the backend as many threads as may run, and `packed` weights in fp32
/// or fp16 if there are any already. A plan without byte tensors has no ranges, and no image is run.
///
/// Two passes over the images, each of two to three forward passes on the CPU kernels: the first for lowest and highest
/// values, the second, but for `range_rule::min_max`, for how often which occur. Every image is asked for twice, then.
/// Counts take 4 KiB a range, 80 MB for the largest sub-network of w = 1.2, whose choice among them takes 1.5 s on one
/// thread. Ranges always hold zero. The same bits whatever the threads.
///
/// Throws `error` for options outside their range (errc::invalid_argument), for statistics that `fold` refuses, for
/// what `source.fill` throws, and errc::bad_file, with the batch norm, for activations that are infinite or NaN.
template <inference_backend Backend>
activation_ranges record_ranges(const Backend& backend, const supernet_ptr& net, const arch& a,
                                const bn_statistics& statistics, const image_source& source,
                                const range_options& options = {},
                                std::shared_ptr<const typename Backend::packed> packed = nullptr) {
  static_assert(observing_backend<Backend>,
                "dynofa: this backend's observer is not known here: include the header that declares its "
                "open_observer, such as dynofa/backend/reference_calibration.hpp or "
                "dynofa/backend/cpu/calibration.hpp; ranges recorded on one backend are good for all");
  const auto images = std::min(static_cast<std::size_t>(std::max(options.images, 0)), source.count);
  if (images == 0 || options.batch < 1 || options.threads < 1)
    throw error(errc::invalid_argument, "record_ranges", "at least 1 image, 1 per batch and 1 thread",
                text(images, ", ", options.batch, " and ", options.threads));
  require_argument(options.percentile > 50 && options.percentile <= 100, "record_ranges",
                   "a percentile above 50, at most 100", shown(options.percentile));
  const plan p = make_plan(net->space, a);
  const scale_shift affine = fold(*net, p, statistics);
  if (range_count(p) == 0) return {};
  if (!packed) packed = backend.pack(net);

  const auto capacity = std::min(images, static_cast<std::size_t>(options.batch));
  const std::size_t batches = (images + capacity - 1) / capacity;
  const std::size_t passes = options.rule == range_rule::min_max ? 1 : 2;
  auto batch = open_observer(backend, packed, p, static_cast<int>(capacity));
  detail::range_recorder recorder(p, options.threads);
  for (std::size_t pass = 0; pass < passes; ++pass) {
    if (pass > 0) recorder.start_counting();
    for (std::size_t number = 0; number < batches; ++number) {
      const std::size_t first = number * capacity, count = std::min(capacity, images - first);
      parallel_for(count, options.threads, [&](std::size_t i) {
        thread_local std::vector<float> image;
        image.resize(p.image_values());
        source.fill(first + i, p.arch.r, image);
        batch.load(i, image);
      });
      detail::see_batch(batch, p, affine, static_cast<int>(count), recorder);
      const std::size_t done = pass * batches + number + 1, total = passes * batches;
      if (options.progress && !options.progress(done, total))
        throw error(errc::cancelled, "record_ranges", "to see every batch", text("a stop after ", done, " of ", total));
    }
    check_ranges(p, recorder.extremes(), "record_ranges");
  }

  activation_ranges ranges = recorder.extremes();
  if (options.rule != range_rule::min_max)
    parallel_for(ranges.low.size(), options.threads, [&](std::size_t i) {
      const range_histogram h = recorder.histogram(i);
      std::tie(ranges.low[i], ranges.high[i]) = options.rule == range_rule::percentile
                                                    ? percentile_range(h, options.percentile)
                                                    : least_square_error_range(h);
    });
  return ranges;
}

} // namespace dynofa
