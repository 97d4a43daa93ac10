#pragma once
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/core/random.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace dynofa::detail {

/// A predictor network in training: forward, backward, Adam with decoupled weight decay (AdamW). Rows are samples. A
/// template, as all that is made of Eigen's expressions, so that only programs which train compile it.
template <class Scalar = float>
class training_network {
public:
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using row = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;
  using column = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

  /// `active`: how many of the inputs are one in a sample, about.
  training_network(std::size_t inputs, std::size_t active, const std::vector<int>& hidden, random_stream& random) {
    std::vector<Eigen::Index> sizes{static_cast<Eigen::Index>(inputs)};
    sizes.insert(sizes.end(), hidden.begin(), hidden.end());
    sizes.push_back(1);
    for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
      // He's deviation for the inputs that are not zero; the last layer starts small, so that training starts at the
      // mean
      const double fan = l == 0 ? static_cast<double>(active) : static_cast<double>(sizes[l]);
      const double deviation = std::sqrt(2 / fan) * (l + 2 == sizes.size() ? 0.1 : 1);
      layer one{matrix(sizes[l + 1], sizes[l]), row::Zero(sizes[l + 1]), {}, {}, {}, {}, {}};
      for (Eigen::Index i = 0; i < one.weight.size(); ++i)
        one.weight.data()[i] = static_cast<Scalar>(deviation * random.normal());
      one.weight_m = one.weight_v = matrix::Zero(sizes[l + 1], sizes[l]);
      one.bias_m = one.bias_v = one.bias;
      layers_.push_back(std::move(one));
    }
  }

  /// x [n, inputs] → values [n].
  column forward(const matrix& x) {
    const matrix* in = &x;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      layer& one = layers_[l];
      one.out.noalias() = *in * one.weight.transpose();
      one.out.rowwise() += one.bias;
      if (l + 1 < layers_.size()) one.out = one.out.cwiseMax(Scalar(0));
      in = &one.out;
    }
    return layers_.back().out.col(0);
  }

  /// One step down the mean squared error of the batch; returns the batch's sum of squared errors before it.
  double step(const matrix& x, const column& y, Scalar rate, Scalar decay) {
    const column difference = forward(x) - y;
    fade_m_ *= keep_m, fade_v_ *= keep_v;
    gradient_ = difference * (2 / static_cast<Scalar>(x.rows()));
    for (std::size_t l = layers_.size(); l-- > 0;) {
      layer& one = layers_[l];
      const matrix& in = l ? layers_[l - 1].out : x;
      weight_gradient_.noalias() = gradient_.transpose() * in;
      const row bias_gradient = gradient_.colwise().sum();
      if (l) {
        below_.noalias() = gradient_ * one.weight;
        below_.array() *= (in.array() > Scalar(0)).template cast<Scalar>();
      }
      const auto adam = [&](auto& value, auto& m, auto& v, const auto& g, Scalar shrink) {
        m.array() = keep_m * m.array() + (1 - keep_m) * g.array();
        v.array() = keep_v * v.array() + (1 - keep_v) * g.array().square();
        value.array() = value.array() * (1 - rate * shrink) -
                        rate / (1 - fade_m_) * m.array() / ((v.array() / (1 - fade_v_)).sqrt() + Scalar(1e-8));
      };
      adam(one.weight, one.weight_m, one.weight_v, weight_gradient_, decay);
      adam(one.bias, one.bias_m, one.bias_v, bias_gradient, 0);
      std::swap(gradient_, below_);
    }
    return difference.squaredNorm();
  }

  /// The layers, the last one giving value · scale + mean.
  predictor_network network(double scale, double mean) const {
    predictor_network out;
    for (const layer& one : layers_)
      out.push_back({{one.weight.data(), one.weight.data() + one.weight.size()},
                     {one.bias.data(), one.bias.data() + one.bias.size()}});
    for (float& w : out.back().weight) w = static_cast<float>(w * scale);
    out.back().bias[0] = static_cast<float>(out.back().bias[0] * scale + mean);
    return out;
  }

private:
  static constexpr Scalar keep_m = Scalar(0.9), keep_v = Scalar(0.999);
  struct layer {
    matrix weight;
    row bias;
    matrix weight_m, weight_v, out;
    row bias_m, bias_v;
  };
  std::vector<layer> layers_;
  matrix gradient_, below_, weight_gradient_;
  Scalar fade_m_ = 1, fade_v_ = 1;
};

} // namespace dynofa::detail
