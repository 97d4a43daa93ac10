#pragma once
#include "dynofa/space/arch.hpp"

#include <concepts>
#include <span>

namespace dynofa {

/// Anything that tells the accuracy of an architecture, in whatever unit its data had (fraction or per cent).
template <class M>
concept accuracy_model = requires(const M& model, const arch& a) {
  { model(a) } -> std::convertible_to<double>;
};

/// One that is quicker on many architectures at once: `model.predict(archs, values)`. Each value is what the model says
/// of that architecture alone, bit for bit.
template <class M>
concept batch_accuracy_model = accuracy_model<M> &&
    requires(const M& model, std::span<const arch> archs, std::span<double> out) {
  model.predict(archs, out);
};

/// Accuracies of `archs` → `out` (same length), in one batch where the model can.
template <accuracy_model M>
void predict_all(const M& model, std::span<const arch> archs, std::span<double> out) {
  if constexpr (batch_accuracy_model<M>)
    model.predict(archs, out);
  else
    for (std::size_t i = 0; i < archs.size(); ++i) out[i] = model(archs[i]);
}

/// The accuracy that a model of batches gives to one architecture.
template <class M>
double predict_one(const M& model, const arch& a) {
  double value = 0;
  model.predict(std::span(&a, 1), std::span(&value, 1));
  return value;
}

} // namespace dynofa
