#pragma once
#include "dynofa/backend/reference.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace dynofa::backend {

/// The reference backend's: whole tensors, plain loops.
class reference_calibration {
public:
  /// Makes room for batches of at most `capacity` images.
  reference_calibration(supernet_ptr net, plan p, int capacity)
      : net_{std::move(net)}
      , plan_{std::move(p)}
      , images_(static_cast<std::size_t>(capacity)) {}

  ///@{
  /// As dynofa::backend::observing_batch asks.
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
      if (i == 0 && b > 0 && plan_.blocks[b - 1].kind == block_kind::max_pool) p.now = plain::max_pool(p.now);
      if (i == 0) p.input = p.now;
      if (i == 3) p.branch = p.now;
      p.now = i == 3
                  ? plain::pointwise(plain::average_windows(p.input, block.stride), *net_, block, weight_role::shortcut)
                  : convolution(block, i, p.now);
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
    const bool is_last = i + 1 == block.norm_count();
    for (std::size_t n = 0; n < active_; ++n) {
      picture& p = images_[n];
      plain::normalise(p.now, scale, shift, block.norm_act(i));
      if (block.se_channels > 0 && i + 2 == block.norm_count()) {
        p.ungated = p.now;
        plain::squeeze_excite(p.now, *net_, block);
      }
      if (!is_last) continue;
      if (block.residual) p.now += p.input;
      if (block.projects_shortcut()) p.now += p.branch;
      for (float& v : p.now) v = plain::activate(block.out_act, v);
    }
  }
  void logits(std::size_t n, std::span<float> out) const {
    image_tensor x = plain::pool(images_[n].now);
    for (const block& b : plan_.blocks) {
      if (b.kind != block_kind::feature_mix && b.kind != block_kind::classifier) continue;
      x = plain::pointwise(x, *net_, b, weight_role::output);
      if (net_->layout.find(b, weight_role::output_bias))
        plain::add_bias(x, net_->array(b, weight_role::output_bias), b.act);
      else
        for (float& v : x) v = plain::activate(b.act, v);
    }
    std::copy_n(x.begin(), out.size(), out.begin());
  }
  template <class Visit>
  void observe(std::size_t, byte_tensor::place where, std::size_t n, Visit&& visit) const {
    const picture& p = images_[n];
    const image_tensor& x = where == byte_tensor::place::input     ? p.input
                            : where == byte_tensor::place::ungated ? p.ungated
                                                                   : p.now;
    const auto channels = static_cast<int>(x.shape(2));
    visit(activation_part{x.data(), static_cast<int>(x.shape(0) * x.shape(1)), x.shape(2), 0, channels});
  }
  std::size_t bytes() const {
    std::size_t total = 0;
    for (const picture& p : images_) total += 4 * (p.now.size() + p.input.size() + p.branch.size() + p.ungated.size());
    return total;
  }
  ///@}

private:
  struct picture {
    image_tensor now, input;
    image_tensor branch;  ///< of a bottleneck, while its shortcut is convolved
    image_tensor ungated; ///< before squeeze-excite, of the last block that has one
  };
  supernet_ptr net_;
  plan plan_;
  std::vector<picture> images_;
  std::size_t active_ = 0;

  image_tensor convolution(const block& b, int i, const image_tensor& in) const {
    if (b.kind == block_kind::stem || b.kind == block_kind::convolution)
      return plain::convolution(in, *net_, b, weight_role::output, b.stride);
    const int to_projection = b.projection_norm() - i; // which is the last convolution of the branch
    if (b.mid_channels == 0 || to_projection == 0) return plain::pointwise(in, *net_, b, weight_role::output);
    if (to_projection == 2) return plain::pointwise(in, *net_, b, weight_role::expand);
    if (b.kind == block_kind::bottleneck) return plain::convolution(in, *net_, b, weight_role::dense, b.stride);
    return plain::depthwise(in, net_->array(b, weight_role::depthwise), b.kernel, b.stride);
  }
};

/// What `calibrating_backend` looks for.
inline reference_calibration open_calibration(const reference&, const std::shared_ptr<const reference::packed>& packed,
                                              const plan& p, int capacity) {
  return {packed->net, p, capacity};
}
/// What `observing_backend` looks for.
inline reference_calibration open_observer(const reference&, const std::shared_ptr<const reference::packed>& packed,
                                           const plan& p, int capacity) {
  return {packed->net, p, capacity};
}
} // namespace dynofa::backend

static_assert(dynofa::calibrating_backend<dynofa::backend::reference>);
static_assert(dynofa::observing_backend<dynofa::backend::reference>);
