#pragma once
#include "dynofa/core/affine_fit.hpp"
#include "dynofa/latency/additive_costs.hpp"
#include "dynofa/latency/table.hpp"

#include <concepts>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace dynofa {

/// Anything that tells what an architecture costs and in which unit: "ms", "MACs", "parameters", "bytes", … `device()`
/// names the device it speaks of; empty where the cost is the same on all.
template <class M>
concept cost_model = requires(const M& model, const arch& a) {
  { model(a) } -> std::convertible_to<double>;
  { model.unit() } -> std::convertible_to<std::string>;
  { model.device() } -> std::convertible_to<std::string>;
};

/// Whether a cost model says another thing of the same architecture in the next run of a program, as one that measures
/// does.
template <class M>
inline constexpr bool varies_between_runs = false;

/// A cost model whose value is `costs()(a) * scale() + offset()` with scale > 0: its extremes are exact.
template <class M>
concept additive_cost_model = cost_model<M> && requires(const M& model) {
  { model.costs() } -> std::convertible_to<const additive_costs&>;
  { model.scale() } -> std::convertible_to<double>;
  { model.offset() } -> std::convertible_to<double>;
};

/// Latency in ms as the sum of a table's entries (paper §3.2), indexed by gene at construction: a prediction adds about
/// 20 numbers and builds no strings. Copies share the index.
class table_model {
public:
  /// The median counts where a table has one, else the mean. Throws errc::missing_key if the table lacks an entry that
  /// an architecture of the space can need.
  table_model(const space_description& space, const latency_table& table,
              latency_statistic which = latency_statistic::median)
      : device_{table.device}
      , costs_{std::make_shared<const additive_costs>(space, [&](const plan& p, std::size_t n, auto add) {
        for_each_operation(
            p, n, [&](const operation_key& key) { add(figure(table.at(p.arch.r, to_string(key)), which).count()); });
      })} {}

  ///@{
  /// As dynofa::additive_cost_model asks; milliseconds. Throws errc::invalid_arch.
  double operator()(const arch& a) const { return (*costs_)(a); }
  std::string unit() const { return "ms"; }
  const std::string& device() const { return device_; }
  const additive_costs& costs() const { return *costs_; }
  double scale() const { return 1; }
  double offset() const { return 0; }
  ///@}

private:
  std::string device_;
  std::shared_ptr<const additive_costs> costs_;
};

/// A table corrected by a few whole-network runs: measured ≈ scale · sum + offset (least squares). On the published
/// Jetson GPU table the sum alone is 2.05–2.3 × low, the corrected one within 1.4 ms of 41–62.
class calibrated_model {
public:
  /// `measured[i]` is the latency of `archs[i]`. Throws errc::invalid_argument for fewer than two, for architectures
  /// that all have one table sum, and for measurements that fall as the sum rises.
  calibrated_model(table_model table, std::span<const arch> archs, std::span<const milliseconds> measured)
      : table_{std::move(table)} {
    std::vector<double> x, y;
    for (const arch& a : archs) x.push_back(table_(a));
    for (milliseconds m : measured) y.push_back(m.count());
    fit_ = fit_affine(x, y, "latency calibration");
    require_argument(fit_.slope > 0, "latency calibration", "measurements that rise with the table's sum",
                     "a slope of ", fit_.slope);
  }

  ///@{
  /// As dynofa::additive_cost_model asks; milliseconds. Throws errc::invalid_arch.
  double operator()(const arch& a) const { return fit_(table_(a)); }
  std::string unit() const { return "ms"; }
  const std::string& device() const { return table_.device(); }
  const additive_costs& costs() const { return table_.costs(); }
  double scale() const { return fit_.slope; }
  double offset() const { return fit_.intercept; }
  ///@}
  /// Slope, intercept, residuals and leave-one-out errors in ms.
  const affine_fit& fit() const { return fit_; }

private:
  table_model table_;
  affine_fit fit_;
};

/// What can be counted: multiply-accumulates, learnable parameters.
class count_model {
public:
  /// Counts one image's.
  static count_model macs(const space_description& space) {
    return {"MACs",
            additive_costs(space, [](const plan& p, std::size_t n, auto add) { add(double(p.blocks[n].macs())); })};
  }
  /// Weights, biases, batch norm's scale and shift.
  static count_model parameters(const space_description& space) {
    return {"parameters", additive_costs(space, [](const plan& p, std::size_t n, auto add) {
              add(double(p.blocks[n].parameters()));
            })};
  }
  ///@{
  /// As dynofa::additive_cost_model asks. Throws errc::invalid_arch.
  double operator()(const arch& a) const { return (*costs_)(a); }
  const std::string& unit() const { return unit_; }
  std::string device() const { return {}; }
  const additive_costs& costs() const { return *costs_; }
  double scale() const { return 1; }
  double offset() const { return 0; }
  ///@}

private:
  count_model(std::string unit, additive_costs costs)
      : unit_{std::move(unit)}
      , costs_{std::make_shared<const additive_costs>(std::move(costs))} {}
  std::string unit_;
  std::shared_ptr<const additive_costs> costs_;
};

/// Bytes of the largest input plus output of one block, per image (fp32): a maximum, so not additive.
class activation_model {
public:
  /// Keeps a copy of the space.
  explicit activation_model(const space_description& space)
      : space_{space} {}
  ///@{
  /// As dynofa::cost_model asks. Throws errc::invalid_arch.
  double operator()(const arch& a) const { return static_cast<double>(make_plan(space_, a).activation_bytes()); }
  std::string unit() const { return "bytes"; }
  std::string device() const { return {}; }
  ///@}

private:
  space_description space_;
};

/// A model and the most that it may say, in its unit.
template <cost_model Model>
struct limit {
  Model model; ///< what is asked
  double most; ///< included
};

/// The first model's cost where every further limit holds, infinite elsewhere: a search under several constraints.
template <cost_model Primary, class... Limits>
class composite_model {
public:
  /// Takes copies.
  explicit composite_model(Primary primary, Limits... limits)
      : primary_{std::move(primary)}
      , limits_{std::move(limits)...} {}
  ///@{
  /// As dynofa::cost_model asks, of the first model.
  double operator()(const arch& a) const {
    const bool good = std::apply([&](const auto&... l) { return (... && (l.model(a) <= l.most)); }, limits_);
    return good ? primary_(a) : std::numeric_limits<double>::infinity();
  }
  std::string unit() const { return primary_.unit(); }
  std::string device() const { return primary_.device(); }
  ///@}

private:
  Primary primary_;
  std::tuple<Limits...> limits_;
};
/// It varies where one of its models does.
template <cost_model Primary, cost_model... Models>
inline constexpr bool varies_between_runs<composite_model<Primary, limit<Models>...>> = (varies_between_runs<Primary> ||
                                                                                         ... ||
                                                                                         varies_between_runs<Models>);

} // namespace dynofa
