#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/core/state_file.hpp"
#include "dynofa/search/candidate.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/sampling.hpp"

#include <cmath>
#include <string>

namespace dynofa::search {

namespace detail {
/// The shortest digits that read back as the same number.
inline std::string digits(double value) { return std::isfinite(value) ? nlohmann::json(value).dump() : text(value); }
} // namespace detail

/// What every search depends on: the space, and both models. Models are functions of any kind, so they are told apart
/// by their answers for eight architectures drawn from the space, to six digits; a cost model that measures anew in
/// each run (`varies_between_runs`) by unit and device alone.
template <accuracy_model Accuracy, cost_model Cost>
named_inputs search_inputs(const space_description& space, const Accuracy& accuracy, const Cost& cost) {
  random_stream random(1, "search inputs");
  std::string accuracies, costs = text(cost.unit(), " on ", cost.device());
  for (int i = 0; i < 8; ++i) {
    const arch a = random_arch(space, random);
    accuracies += text(accuracy(a), ' ');
    if constexpr (!varies_between_runs<Cost>) costs += text(' ', cost(a));
  }
  const auto hash = [](const std::string& of) { return text("hash ", in_base(16, fnv1a64(of))); };
  return {{"space", hash(nlohmann::json(space).dump())},
          {"accuracy model", hash(accuracies)},
          {"cost model", text(cost.unit(), ' ', hash(costs))}};
}

} // namespace dynofa::search
