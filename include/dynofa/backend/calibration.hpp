#pragma once
#include "dynofa/backend/reference.hpp"

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace dynofa::backend {

/// Sum and sum of squares of every channel of one convolution's output, over all pixels of a batch.
struct channel_sums {
  std::vector<double> sum, square;
  double pixels = 0; ///< that were summed per channel
};

/// What a batch of images in the middle of a network can do, convolution by convolution: the interface that batch-norm
/// calibration needs on top of `inference_backend`. `open_calibration(backend, packed, plan, capacity)` makes one.
///
///  * `load(n, image)`            image [r,r,3] becomes picture n of the batch
///  * `convolve(b, i, count)`     convolution i of block b on pictures 0 … count − 1 → the sums of its raw output, the
///                                same bit for bit on any number of threads
///  * `normalise(b, i, scale, shift)` what follows it: batch norm, activation and, at their places, squeeze-excite and
///                                residual
///  * `logits(n, out)`            after the last norm: pool, feature mix and classifier of picture n
///  * `bytes()`                   of memory that the batch takes
template <class C>
concept calibration_batch = requires(C& c, std::size_t i, int count, std::span<const float> in, std::span<float> out) {
  c.load(i, in);
  { c.convolve(i, count, count) } -> std::same_as<channel_sums>;
  c.normalise(i, count, in, in);
  c.logits(i, out);
  { c.bytes() } -> std::convertible_to<std::size_t>;
};

/// The reference backend's: whole tensors, plain loops.
class reference_calibration {
public:
  reference_calibration(supernet_ptr net, plan p, int capacity)
      : net_{std::move(net)}
      , plan_{std::move(p)}
      , images_(static_cast<std::size_t>(capacity)) {}

  void load(std::size_t n, std::span<const float> image) {
    const auto r = static_cast<std::size_t>(plan_.blocks[0].in_size);
    images_[n].now = image_tensor::from_shape({r, r, 3});
    std::copy(image.begin(), image.end(), images_[n].now.begin());
  }
  channel_sums convolve(std::size_t b, int i, int count) {
    const block& block = plan_.blocks[b];
    const auto channels = static_cast<std::size_t>(block.norm_channels(i));
    channel_sums s{std::vector<double>(channels), std::vector<double>(channels), 0};
    active_ = static_cast<std::size_t>(count);
    for (std::size_t n = 0; n < active_; ++n) {
      picture& p = images_[n];
      if (i == 0) p.input = p.now;
      p.now = convolution(block, i, p.now);
      for (std::size_t at = 0; at < p.now.size(); ++at) {
        const double x = p.now.data()[at];
        s.sum[at % channels] += x;
        s.square[at % channels] += x * x;
      }
      s.pixels += static_cast<double>(p.now.shape(0) * p.now.shape(1));
    }
    return s;
  }
  void normalise(std::size_t b, int i, std::span<const float> scale, std::span<const float> shift) {
    const block& block = plan_.blocks[b];
    const bool last = i + 1 == block.norm_count();
    const bool projects = last && block.mid_channels > 0;
    for (std::size_t n = 0; n < active_; ++n) {
      picture& p = images_[n];
      plain::normalise(p.now, scale, shift, projects ? activation::identity : block.act);
      if (block.se_channels > 0 && i + 2 == block.norm_count())
        plain::squeeze_excite(p.now, weights(block), block.se_channels);
      if (projects && block.residual) p.now += p.input;
    }
  }
  void logits(std::size_t n, std::span<float> out) const {
    image_tensor x = plain::pool(images_[n].now);
    const block& mix = plan_.blocks[plan_.blocks.size() - 2];
    x = plain::pointwise(x, net_->feature_mix.data(), mix.out_channels, mix.in_channels);
    for (float& v : x) v = plain::activate(mix.act, v);
    x = plain::pointwise(x, net_->classifier.data(), plan_.space.classes, mix.out_channels);
    for (std::size_t c = 0; c < out.size(); ++c) out[c] = x.data()[c] + net_->classifier_bias[c];
  }
  std::size_t bytes() const {
    std::size_t total = 0;
    for (const picture& p : images_) total += 4 * (p.now.size() + p.input.size());
    return total;
  }

private:
  struct picture {
    image_tensor now, input;
  };
  supernet_ptr net_;
  plan plan_;
  std::vector<picture> images_;
  std::size_t active_ = 0;

  const block_weights& weights(const block& b) const {
    return net_->blocks[static_cast<std::size_t>(b.supernet_index)];
  }
  image_tensor convolution(const block& b, int i, const image_tensor& in) const {
    if (b.kind == block_kind::stem) return plain::stem(in, net_->stem, b.out_channels, b.stride);
    if (b.kind == block_kind::final_expand)
      return plain::pointwise(in, net_->final_expand.data(), b.out_channels, b.in_channels);
    const block_weights& w = weights(b);
    const int from_the_end = b.norm_count() - i;
    if (from_the_end == 1) return plain::pointwise(in, w.project.data(), b.out_channels, w.mid_channels);
    if (from_the_end == 2) return plain::depthwise(in, w.depthwise_of(b.kernel), b.kernel, b.stride);
    return plain::pointwise(in, w.expand.data(), b.mid_channels, w.in_channels);
  }
};

inline reference_calibration open_calibration(const reference&, const std::shared_ptr<const reference::packed>& packed,
                                              const plan& p, int capacity) {
  return {packed->net, p, capacity};
}
static_assert(calibration_batch<reference_calibration>);

} // namespace dynofa::backend
