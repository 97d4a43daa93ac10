#pragma once
#include "dynofa/core/pareto_front.hpp"
#include "dynofa/data/class_names.hpp"
#include "dynofa/data/preprocess.hpp"
#include "dynofa/family/level.hpp"
#include "dynofa/model/tensor.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa {

/// What design time keeps in the file of a family and run time hands on unread: a text, and tensors by name.
struct family_section {
  /// JSON in the sections that are ours; UTF-8.
  std::string text;
  state_dict tensors; ///< by names of their own
};

/// A super-network and the sub-networks of it that are worth switching between: what design time hands to run time.
///
/// A value. Levels stand in order of measured top-1, then of multiply-accumulates. Every level fits the super-network:
/// its architecture is in the space, its statistics have the right length, no architecture occurs twice in one number
/// format.
class family {
public:
  /// Throws errc::invalid_argument for no network or one extracted sub-network, for a wrong preprocessing, and unless
  /// there is a name for every class (or none at all).
  family(supernet_ptr net, data::preprocessing preprocessing, std::vector<data::class_name> classes)
      : net_{std::move(net)}
      , preprocessing_{preprocessing}
      , classes_{std::move(classes)} {
    if (!net_ || net_->only)
      throw error(errc::invalid_argument, "family", "a super-network", net_ ? "one extracted sub-network" : "none");
    preprocessing_.validate();
    if (!classes_.empty() && classes_.size() != static_cast<std::size_t>(net_->space.classes))
      throw error(errc::invalid_argument, "family class names", std::to_string(net_->space.classes),
                  std::to_string(classes_.size()));
  }

  const supernet_ptr& net() const { return net_; }               ///< never null, at full width
  const space_description& space() const { return net_->space; } ///< of the super-network
  /// What images need before the network sees them.
  const data::preprocessing& preprocessing() const { return preprocessing_; }
  const std::vector<data::class_name>& classes() const { return classes_; } ///< by label; empty if nobody named them
  const std::vector<family_level>& levels() const { return levels_; }       ///< ascending in top-1, then as they came

  /// By name, of small letters: "provenance", and "predictor" and "table" where design time left them
  /// (family/design_sections.hpp).
  std::map<std::string, family_section> sections = {{"provenance", {"{}", {}}}};

  /// Bytes that one more level costs in memory and file, besides some hundred for its description: a mean and a
  /// variance per batch-norm channel, in fp32, 82–185 KiB for w = 1.2, and two floats per activation range.
  std::size_t level_bytes(std::size_t i) const {
    const bn_statistics& s = levels_.at(i).statistics;
    return 4 * (s.mean.size() + s.var.size() + s.ranges.low.size() + s.ranges.high.size());
  }

  /// Throws errc::invalid_arch, errc::mismatch (length of the statistics, an architecture that is there already in this
  /// number format), errc::bad_file (statistics that cannot be, with norm and channel) or errc::invalid_argument (such
  /// measurements, or a format's name of other things than up to 32 small letters and digits).
  void add(family_level level) {
    const plan p = make_plan(net_->space, level.arch);
    check_statistics(p, level.statistics, "family level");
    check(level.accuracy), check_format(level.format);
    for (std::size_t i = 0; i < level.latency.size(); ++i) {
      check(level.latency[i]);
      for (std::size_t j = 0; j < i; ++j)
        if (level.latency[j].device == level.latency[i].device)
          throw error(errc::mismatch, "family level", "one latency per device", "two of " + level.latency[i].device);
    }
    if (find(p.arch, level.format))
      throw error(errc::mismatch, "family", "each architecture once in a number format",
                  text("a second ", level.arch, level.format.empty() ? "" : " in ", level.format));
    level.arch = p.arch;
    insert(std::move(level));
  }
  /// Level `i` goes, later ones move up. Throws errc::invalid_argument for no such level.
  void remove(std::size_t i) {
    require(i);
    levels_.erase(levels_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  /// Replaces what was measured of level i; latency: of the same device. The order of levels may change with accuracy.
  void set_accuracy(std::size_t i, const measured_accuracy& accuracy) {
    require(i), check(accuracy);
    family_level level = std::move(levels_[i]);
    level.accuracy = accuracy;
    remove(i);
    insert(std::move(level));
  }
  /// One per device: replaces the level's latency of that device, or adds it. Throws for no such level,
  /// errc::invalid_argument for one that cannot be.
  void set_latency(std::size_t i, measured_latency latency) {
    require(i), check(latency);
    for (auto& have : levels_[i].latency)
      if (have.device == latency.device) return void(have = std::move(latency));
    levels_[i].latency.push_back(std::move(latency));
  }

  /// The level of an architecture in a number format.
  std::optional<std::size_t> find(const arch& a, std::string_view format = "") const {
    for (std::size_t i = 0; i < levels_.size(); ++i)
      if (levels_[i].format == format && levels_[i].arch == a) return i;
    return std::nullopt;
  }
  /// What level i took on a device, or null if it was not measured there.
  const measured_latency* latency_on(std::size_t i, std::string_view device) const {
    for (const auto& l : levels_.at(i).latency)
      if (l.device == device) return &l;
    return nullptr;
  }
  /// The levels that no other beats: ascending in median latency on `device` and strictly ascending in measured top-1.
  /// Throws errc::missing_key for a level without both measurements.
  std::vector<std::size_t> front(std::string_view device) const {
    for (std::size_t i = 0; i < levels_.size(); ++i)
      if (!latency_on(i, device) || levels_[i].accuracy.images == 0)
        throw error(errc::missing_key, text("level ", levels_[i].arch),
                    text("an accuracy, and a latency on ", printable(device)), "a level without");
    return front_of_indices(
        levels_.size(), [&](std::size_t i) { return latency_on(i, device)->median_ms; },
        [&](std::size_t i) { return levels_[i].accuracy.top1(); });
  }
  /// Removes the levels that are not on that front; returns how many.
  std::size_t keep_front(std::string_view device) {
    std::vector<family_level> kept;
    for (std::size_t i : front(device)) kept.push_back(std::move(levels_[i]));
    levels_.swap(kept);
    return kept.size() - levels_.size();
  }

private:
  void require(std::size_t i) const {
    if (i >= levels_.size())
      throw error(errc::invalid_argument, "family", text("a level below ", levels_.size()), text(i));
  }
  static void check(const measured_accuracy& a) {
    if (a.images < 0 || a.correct < 0 || a.correct5 < a.correct || a.correct5 > a.images)
      throw error(errc::invalid_argument, "measured accuracy", "0 ≤ correct ≤ correct of five ≤ images",
                  text(a.correct, ", ", a.correct5, " and ", a.images));
  }
  static void check_format(const std::string& name) {
    const bool plain =
        std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
    if (!plain || name.size() > 32)
      throw error(errc::invalid_argument, "family level, number format", "up to 32 small letters and digits",
                  printable(name));
  }
  static void check(const measured_latency& l) {
    for (double ms : {l.median_ms, l.p95_ms, l.min_ms})
      if (!(ms >= 0 && std::isfinite(ms)))
        throw error(errc::invalid_argument, "measured latency", "finite milliseconds of at least 0", text(ms));
    if (l.images < 0) throw error(errc::invalid_argument, "measured latency", "a count of images", text(l.images));
  }
  void insert(family_level level) {
    const auto macs = [&](const family_level& l) { return make_plan(net_->space, l.arch).macs(); };
    const auto before = [&](const family_level& l) {
      const double x = l.accuracy.top1(), y = level.accuracy.top1();
      if (x != y) return x < y;
      const auto m = macs(l), n = macs(level);
      if (m != n) return m < n;
      return l.arch == level.arch ? l.format < level.format : l.arch < level.arch;
    };
    levels_.insert(std::find_if_not(levels_.begin(), levels_.end(), before), std::move(level));
  }

  supernet_ptr net_;
  data::preprocessing preprocessing_;
  std::vector<data::class_name> classes_;
  std::vector<family_level> levels_;
};

} // namespace dynofa
