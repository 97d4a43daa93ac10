#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/model/tensor.hpp"
#include "dynofa/model/units.hpp"
#include "dynofa/space/description.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What a network's units consist of: their weight arrays and batch norms, what files call them, and which prefix of
// each array a sub-network reads. The only place that knows. Readers, writers, hashes, random weights, exports and the
// backends' packing walk over a `network_layout` and have no list of their own.

namespace dynofa {

/// What an array of weights does in its unit.
enum class weight_role : std::uint8_t {
  expand,         ///< [mid][in] of the 1×1 expansion, in a bottleneck of the 1×1 reduction
  depthwise,      ///< [mid][k][k], an array for each offered kernel size
  se_reduce,      ///< [hidden][mid] of squeeze-excite
  se_reduce_bias, ///< [hidden]
  se_expand,      ///< [mid][hidden]
  se_expand_bias, ///< [mid]
  output,         ///< what makes the unit's output: [out][mid] of a projection, [out][in], or [out][in][k][k]
  output_bias,    ///< [out]
  dense,          ///< [mid][mid][k][k] of a bottleneck
  shortcut,       ///< [out][in] of its shortcut, where that is not its input
};

/// What sets the extent of an axis. A block reads as much of it as it has such channels: sub-networks are prefixes.
enum class axis_of : std::uint8_t {
  in,     ///< input channels
  mid,    ///< channels of the k×k convolution
  hidden, ///< channels inside squeeze-excite
  out,    ///< output channels
  taps,   ///< k×k, never cut
};

namespace detail {

/// A row of the tables below. The key of an array in a checkpoint is its unit's key, `layer` and `parameter`.
struct weight_row {
  weight_role role;
  std::string_view layer, parameter;
  bool wrapped;          ///< once-for-all wraps this elastic layer: `.conv.conv.weight` for `.conv.weight`
  std::string_view name; ///< in family files, after the unit's name
  inline_vector<axis_of, 4> axes;
  double gain; ///< of random weights: their variance times the fan-in (model/random_supernet.hpp)
};
struct norm_row {
  std::string_view layer;
  bool wrapped; ///< `.bn.bn` for `.bn`
  axis_of channels;
};
struct unit_rows {
  block_kind kind;
  std::string_view key, name; ///< in checkpoints and in family files; blocks are followed by their number
  std::span<const weight_row> weights;
  std::span<const norm_row> norms;
};

using enum axis_of;
inline constexpr weight_row stem_weights[] = {
    {weight_role::output, "", ".conv.weight", false, "", {out, in, taps, taps}, 1}};
inline constexpr norm_row stem_norms[] = {{"", false, out}};

inline constexpr weight_row separable_weights[] = {
    {weight_role::depthwise, ".conv.depth_conv", ".conv.weight", false, ".depthwise", {mid, taps, taps}, 2},
    {weight_role::output, ".conv.point_linear", ".conv.weight", false, ".project", {out, mid}, 1.25}};
inline constexpr norm_row separable_norms[] = {{".conv.depth_conv", false, mid}, {".conv.point_linear", false, out}};

inline constexpr weight_row block_weights[] = {
    {weight_role::expand, ".conv.inverted_bottleneck", ".conv.weight", true, ".expand", {mid, in}, 1},
    {weight_role::depthwise, ".conv.depth_conv", ".conv.weight", true, ".depthwise", {mid, taps, taps}, 2},
    {weight_role::se_reduce, ".conv.depth_conv.se.fc.reduce", ".weight", false, ".se_reduce", {hidden, mid}, 2},
    {weight_role::se_reduce_bias, ".conv.depth_conv.se.fc.reduce", ".bias", false, ".se_reduce.bias", {hidden}, 0},
    {weight_role::se_expand, ".conv.depth_conv.se.fc.expand", ".weight", false, ".se_expand", {mid, hidden}, 8},
    {weight_role::se_expand_bias, ".conv.depth_conv.se.fc.expand", ".bias", false, ".se_expand.bias", {mid}, 0},
    {weight_role::output, ".conv.point_linear", ".conv.weight", true, ".project", {out, mid}, 1.25}};
inline constexpr norm_row block_norms[] = {
    {".conv.inverted_bottleneck", true, mid}, {".conv.depth_conv", true, mid}, {".conv.point_linear", true, out}};

inline constexpr weight_row convolution_weights[] = {
    {weight_role::output, "", ".conv.weight", true, "", {out, in, taps, taps}, 2}};
inline constexpr norm_row convolution_norms[] = {{"", true, out}};
inline constexpr weight_row residual_convolution_weights[] = {
    {weight_role::output, ".conv", ".conv.weight", true, "", {out, in, taps, taps}, 2}};
inline constexpr norm_row residual_convolution_norms[] = {{".conv", true, out}};

inline constexpr weight_row bottleneck_weights[] = {
    {weight_role::expand, ".conv1", ".conv.weight", true, ".expand", {mid, in}, 2},
    {weight_role::dense, ".conv2", ".conv.weight", true, ".dense", {mid, mid, taps, taps}, 2},
    {weight_role::output, ".conv3", ".conv.weight", true, ".project", {out, mid}, 1.25},
    {weight_role::shortcut, ".downsample", ".conv.weight", true, ".shortcut", {out, in}, 1}};
inline constexpr norm_row bottleneck_norms[] = {
    {".conv1", true, mid}, {".conv2", true, mid}, {".conv3", true, out}, {".downsample", true, out}};

inline constexpr weight_row final_expand_weights[] = {
    {weight_role::output, "", ".conv.weight", false, "", {out, in}, 1}};
inline constexpr norm_row final_expand_norms[] = {{"", false, out}};
inline constexpr weight_row feature_mix_weights[] = {
    {weight_role::output, "", ".conv.weight", false, "", {out, in}, 4}};
inline constexpr weight_row classifier_weights[] = {
    {weight_role::output, ".linear", ".weight", false, "", {out, in}, 4},
    {weight_role::output_bias, ".linear", ".bias", false, ".bias", {out}, 0}};
inline constexpr weight_row elastic_classifier_weights[] = {
    {weight_role::output, ".linear", ".weight", true, "", {out, in}, 4},
    {weight_role::output_bias, ".linear", ".bias", true, ".bias", {out}, 0}};

/// By kind of block, in the order of the enumeration.
inline constexpr unit_rows rows_of_units[] = {
    {block_kind::stem, "first_conv", "supernet.stem", stem_weights, stem_norms},
    {block_kind::convolution, "input_stem.", "supernet.stem.", convolution_weights, convolution_norms},
    {block_kind::max_pool, "max_pooling", "supernet.max_pooling", {}, {}},
    {block_kind::separable, "blocks.", "supernet.block.", separable_weights, separable_norms},
    {block_kind::inverted_residual, "blocks.", "supernet.block.", block_weights, block_norms},
    {block_kind::bottleneck, "blocks.", "supernet.block.", bottleneck_weights, bottleneck_norms},
    {block_kind::final_expand, "final_expand_layer", "supernet.final_expand", final_expand_weights, final_expand_norms},
    {block_kind::average_pool, "average_pool", "supernet.average_pool", {}, {}},
    {block_kind::feature_mix, "feature_mix_layer", "supernet.feature_mix", feature_mix_weights, {}},
    {block_kind::classifier, "classifier", "supernet.classifier", classifier_weights, {}}};

// Units that are called otherwise, or whose layers are wrapped, in some networks.
inline constexpr unit_rows rows_of_pooled_mix{block_kind::final_expand, "feature_mix_layer", "supernet.feature_mix",
                                              final_expand_weights, final_expand_norms};
inline constexpr unit_rows rows_of_deep_stem{block_kind::stem, "input_stem.", "supernet.stem.", convolution_weights,
                                             convolution_norms};
inline constexpr unit_rows rows_of_residual_convolution{block_kind::convolution, "input_stem.", "supernet.stem.",
                                                        residual_convolution_weights, residual_convolution_norms};
inline constexpr unit_rows rows_of_elastic_classifier{
    block_kind::classifier, "classifier", "supernet.classifier", elastic_classifier_weights, {}};

constexpr const unit_rows& rows_of(const space_description& space, const block& unit) {
  switch (unit.kind) {
  case block_kind::stem:
    if (space.has_deep_stem()) return rows_of_deep_stem;
    break;
  case block_kind::convolution:
    if (unit.residual) return rows_of_residual_convolution;
    break;
  case block_kind::final_expand:
    if (space.final_width == 0) return rows_of_pooled_mix;
    break;
  case block_kind::classifier:
    if (space.has_deep_stem()) return rows_of_elastic_classifier;
    break;
  default: break;
  }
  return rows_of_units[static_cast<std::size_t>(unit.kind)];
}

constexpr int extent(axis_of axis, const block& b) {
  switch (axis) {
  case in: return b.in_channels;
  case mid: return b.mid_channels;
  case hidden: return b.se_channels;
  case out: return b.out_channels;
  default: return b.kernel;
  }
}

/// Old once-for-all files say ".mobile_inverted_conv." where newer ones say ".conv."
inline constexpr std::string_view old_block_layer = ".mobile_inverted_conv.", block_layer = ".conv.",
                                  block_prefix = "blocks.", wrapped_layers[] = {".conv.conv.", ".bn.bn."};

} // namespace detail

/// How much of an array is read: the first `columns` values of each of the first `rows` rows, which lie `pitch` apart.
struct weight_extent {
  int rows = 0, columns = 0, pitch = 0; ///< in values
  /// How many values are read.
  constexpr std::size_t size() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }
  friend constexpr bool operator==(const weight_extent&, const weight_extent&) = default;
};

/// One array of weights at full width, row-major.
struct weight_array {
  const detail::weight_row* row = nullptr; ///< the row of the network's table that it comes from
  std::int16_t unit = 0;                   ///< which of `network_layout::units`
  std::uint8_t kernel = 0;                 ///< of depthwise: which size
  std::int16_t made_from = -1; ///< of depthwise: the array of the next larger size that a transform makes it from
  shape_type shape;            ///< outermost axis first: output channels

  weight_role role() const { return row->role; } ///< what a block uses it for
  /// What block `b` of the same unit reads.
  weight_extent extent_in(const block& b) const {
    weight_extent e{detail::extent(row->axes[0], b), 1, 1};
    for (std::size_t i = 1; i < shape.size(); ++i) {
      const auto full = static_cast<int>(shape[i]);
      e.columns *= row->axes[i] == axis_of::taps ? full : detail::extent(row->axes[i], b);
      e.pitch *= full;
    }
    return e;
  }
  /// The whole array.
  weight_extent extent() const {
    const auto columns = static_cast<int>(size() / static_cast<std::size_t>(shape[0]));
    return {static_cast<int>(shape[0]), columns, columns};
  }
  std::size_t size() const { return static_cast<std::size_t>(value_count(shape)); } ///< values at full width
};

/// One batch norm at full width.
struct norm_array {
  std::int16_t unit = 0;     ///< which of `network_layout::units`
  std::uint8_t index = 0;    ///< of its unit, counted from 0
  std::int32_t channels = 0; ///< at full width
};

/// How the layers of a checkpoint are called: in a super-network elastic layers wrap plain ones, and blocks have the
/// super-network's numbers; an extracted sub-network has plain layers and numbers without gaps.
enum class key_form : std::uint8_t {
  supernet,  ///< wrapped
  extracted, ///< plain
};

/// What a super-network consists of, in the order in which it is stored.
class network_layout {
public:
  std::vector<block> units;          ///< at full width; their sizes are of no image
  std::vector<weight_array> weights; ///< unit by unit
  std::vector<norm_array> norms;     ///< unit by unit

  network_layout() = default;
  /// Lists what a legal space's super-network consists of.
  explicit network_layout(const space_description& space)
      : units{units_of(space)} {
    for (const block& u : units) {
      const detail::unit_rows& rows = rows_.emplace_back(detail::rows_of(space, u));
      numbers_.push_back(number_in(units, static_cast<std::size_t>(u.unit)));
      first_weights_.push_back(weights.size()), first_norms_.push_back(norms.size());
      for (const auto& row : rows.weights) {
        if (u.se_channels == 0 && row.role >= weight_role::se_reduce && row.role <= weight_role::se_expand_bias)
          continue;
        if (row.role == weight_role::shortcut && !u.projects_shortcut()) continue;
        if (row.role == weight_role::depthwise && u.gene >= 0)
          for (int k : space.stages[space.stage_of(static_cast<std::size_t>(u.gene))].kernels) add(row, u, k);
        else
          add(row, u, u.kernel);
      }
      for (int i = 0; i < u.norm_count(); ++i)
        norms.push_back({u.unit, static_cast<std::uint8_t>(i), u.norm_channels(i)});
    }
    first_weights_.push_back(weights.size()), first_norms_.push_back(norms.size());
  }

  ///@{
  /// Those of one unit, in the order in which they are stored.
  std::span<const weight_array> weights_of(std::int16_t unit) const { return of(weights, first_weights_, unit); }
  std::span<const norm_array> norms_of(std::int16_t unit) const { return of(norms, first_norms_, unit); }
  ///@}

  /// The index in `weights` of a block's array; of its kernel size where there are several. Nothing if it has none.
  std::optional<std::size_t> find(const block& b, weight_role role) const {
    for (const weight_array& w : weights_of(b.unit))
      if (w.role() == role && (role != weight_role::depthwise || w.kernel == b.kernel)) return index_of(w);
    return std::nullopt;
  }
  /// Where `w`, which has to lie in `weights`, lies there.
  std::size_t index_of(const weight_array& w) const { return static_cast<std::size_t>(&w - weights.data()); }
  /// The index in `norms` of batch norm i of a block.
  std::size_t norm_index(const block& b, int i) const {
    return first_norms_[static_cast<std::size_t>(b.unit)] + static_cast<std::size_t>(i);
  }

  /// "blocks.7", "first_conv": what a checkpoint calls a unit; `number` is the block's in that file.
  std::string key(const block& unit, std::size_t number) const {
    return numbered(rows_[static_cast<std::size_t>(unit.unit)].key, number);
  }
  /// The checkpoint's name of an array. Of depthwise arrays only the largest size stands in the file of a
  /// super-network; the others' key is that of the matrix that makes them (`transform_key`).
  std::string key(const weight_array& w, key_form form, std::size_t number) const {
    const bool wraps = form == key_form::supernet && w.row->wrapped, is_linear = w.row->layer == ".linear";
    return text(key(units[static_cast<std::size_t>(w.unit)], number), w.row->layer,
                wraps ? is_linear ? ".linear" : ".conv" : "", w.row->parameter);
  }
  /// As a super-network's checkpoint calls it.
  std::string key(const weight_array& w) const { return key(w, key_form::supernet, number_of(w.unit)); }
  /// "blocks.7.conv.depth_conv.conv.7to5_matrix"
  std::string transform_key(const weight_array& w) const {
    const weight_array& from = weights[static_cast<std::size_t>(w.made_from)];
    return text(key(units[static_cast<std::size_t>(w.unit)], number_of(w.unit)), w.row->layer, ".conv.",
                int(from.kernel), "to", int(w.kernel), "_matrix");
  }
  /// Batch norm i of a unit: "blocks.7.conv.depth_conv.bn", in an elastic unit of a super-network ".bn.bn".
  std::string norm_key(const block& unit, int i, key_form form, std::size_t number) const {
    const auto& row = rows_[static_cast<std::size_t>(unit.unit)].norms[static_cast<std::size_t>(i)];
    const bool wraps = form == key_form::supernet && row.wrapped;
    return text(key(unit, number), row.layer, wraps ? ".bn.bn" : ".bn");
  }
  /// As a super-network's checkpoint calls it, without the parameter at its end.
  std::string key(const norm_array& n) const {
    return norm_key(units[static_cast<std::size_t>(n.unit)], n.index, key_form::supernet, number_of(n.unit));
  }
  /// The shape that a checkpoint gives an array: convolutions have four axes.
  static shape_type checkpoint_shape(const weight_array& w) { return checkpoint_shape(w, w.shape); }
  /// The same for a part of it.
  static shape_type checkpoint_shape(const weight_array& w, shape_type shape) {
    if (w.role() == weight_role::depthwise) return {shape[0], 1, shape[1], shape[2]};
    if (shape.size() == 2 && w.row->layer != ".linear") return {shape[0], shape[1], 1, 1};
    return shape;
  }

  /// What family files call an array or a norm.
  std::string name(const weight_array& w) const {
    const std::string size = w.role() == weight_role::depthwise ? std::to_string(w.kernel) : "";
    return text(unit_name(w.unit), w.row->name, size);
  }
  /// What family files call a norm.
  std::string name(const norm_array& n) const {
    const bool several = units[static_cast<std::size_t>(n.unit)].norm_count() > 1;
    return text(unit_name(n.unit), ".norm", several ? std::to_string(n.index) : "");
  }

  /// The number of a unit among those of a super-network that are called alike: 0 for the first block behind the stem.
  std::size_t number_of(std::int16_t unit) const { return numbers_[static_cast<std::size_t>(unit)]; }
  /// The same of block i of a plan: its number in the file of the extracted sub-network.
  std::size_t number_in(std::span<const block> blocks, std::size_t i) const {
    const auto word = [&](const block& b) { return rows_[static_cast<std::size_t>(b.unit)].key; };
    return static_cast<std::size_t>(std::count_if(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(i),
                                                  [&](const block& b) { return word(b) == word(blocks[i]); }));
  }

private:
  std::vector<detail::unit_rows> rows_;                  ///< of each unit
  std::vector<std::size_t> numbers_;                     ///< of each unit
  std::vector<std::size_t> first_weights_, first_norms_; ///< of each unit, and the end

  template <class Array>
  static std::span<const Array> of(const std::vector<Array>& all, const std::vector<std::size_t>& first,
                                   std::int16_t unit) {
    const auto u = static_cast<std::size_t>(unit);
    return std::span(all).subspan(first[u], first[u + 1] - first[u]);
  }
  void add(const detail::weight_row& row, block u, int kernel) {
    u.kernel = static_cast<std::uint8_t>(kernel);
    weight_array w{&row, u.unit, row.role == weight_role::depthwise ? u.kernel : std::uint8_t{0}, -1, {}};
    for (const axis_of axis : row.axes) w.shape.push_back(detail::extent(axis, u));
    if (w.kernel > 0 && kernel < units[static_cast<std::size_t>(u.unit)].kernel)
      w.made_from = static_cast<std::int16_t>(weights.size() + 1); // sizes ascend
    weights.push_back(w);
  }
  std::string unit_name(std::int16_t unit) const {
    const block& u = units[static_cast<std::size_t>(unit)];
    return numbered(rows_[static_cast<std::size_t>(u.unit)].name, number_of(unit));
  }
  static std::string numbered(std::string_view word, std::size_t number) {
    return word.ends_with('.') ? text(word, number) : std::string(word);
  }
};

} // namespace dynofa
