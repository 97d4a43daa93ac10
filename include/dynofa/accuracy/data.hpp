#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/space/json.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa {

/// An architecture and the accuracy that was measured for it.
struct measured_arch {
  dynofa::arch arch; ///< well-formed; `load_accuracy_data` also checks it against a space
  double accuracy;   ///< top-1, in the unit of the data: percent, or a share of 1
};

namespace detail {

inline constexpr std::size_t most_measured_archs = 1'000'000;

/// Whether an architecture is one of a ResNet, {d, e, w}: which blocks belong to which stage, its space says.
inline bool leaves_kernels_out(const arch& a) { return a.ks.empty() && !a.w.empty() && !a.e.empty() && !a.d.empty(); }

/// Whether a text is once-for-all's acc.dict: one object whose names are architectures.
inline bool is_accuracy_dict(std::string_view source) {
  const auto take = [&](char wanted) {
    source.remove_prefix(std::min(source.find_first_not_of(" \t\r\n"), source.size()));
    const bool there = source.starts_with(wanted);
    source.remove_prefix(there);
    return there;
  };
  return take('{') && take('"') && take('{');
}

/// `a`, which has the genes of the blocks that run and of no others, with `blocks_of(s)` blocks in stage s.
template <class BlocksOf>
arch with_inactive_blocks(const arch& a, BlocksOf blocks_of) {
  arch whole = a;
  whole.ks = {}, whole.e = {};
  std::size_t next = 0;
  for (std::size_t s = 0; s < a.d.size(); next += a.d[s++])
    for (std::size_t i = 0; i < blocks_of(s); ++i) {
      const std::size_t from = next + (i < a.d[s] ? i : 0);
      whole.ks.push_back(a.ks[from]), whole.e.push_back(a.e[from]);
    }
  return whole;
}

/// Where no architecture has genes of blocks that do not run, these are added: each stage gets as many blocks as it has
/// in `space`, or, without one, as the deepest stage of all has. They do not count, but the genes' places do.
inline void add_inactive_blocks(std::span<measured_arch> data, const space_description* space) {
  std::size_t per_stage = 0, most_stages = 0;
  for (const auto& [a, accuracy] : data) {
    std::size_t active = 0;
    for (std::size_t s = 0; s < a.d.size(); ++s) {
      const std::size_t depth = a.d[s];
      if (depth == 0 || (space && (s >= space->stages.size() || depth > space->blocks_of(s)))) return;
      active += depth, per_stage = std::max(per_stage, depth);
    }
    if (a.ks.size() != active || a.e.size() != active) return;
    most_stages = std::max<std::size_t>(most_stages, a.d.size());
  }
  if (per_stage * most_stages > max_blocks) return;
  for (measured_arch& one : data)
    one.arch = with_inactive_blocks(one.arch, [&](std::size_t s) { return space ? space->blocks_of(s) : per_stage; });
}

} // namespace detail

/// Reads JSON lines `{"ks": […], "e": […], "d": […], "r": 160, "top1": 0.55}`, other fields and empty lines ignored, or
/// once-for-all's acc.dict, `{"{\"ks\": […], …}": 0.55, …}`; architectures as `read_arch` takes them, or all of them
/// without the genes of blocks that do not run. `space` is the one that they are of, as far as stages and blocks go; it
/// has to be given where stages have different numbers of blocks, as ProxylessNAS' do. Throws errc::bad_file with the
/// line or the entry for whatever is wrong, for more than 10^6 architectures, and for none at all.
inline std::vector<measured_arch> parse_accuracy_data(std::string_view source,
                                                      const std::string& where = "accuracy data",
                                                      const space_description* space = nullptr) {
  std::vector<measured_arch> data;
  const auto misshapen = [&](const std::string& place, const arch& a) {
    return error(errc::bad_file, place,
                 space ? text(space->block_count(), " ks and e, ", space->stages.size(), " d")
                       : "as many ks as e, a whole number per d",
                 text(a.ks.size(), ", ", a.e.size(), " and ", a.d.size()));
  };
  const auto add = [&](const nlohmann::json& json, double accuracy, const std::string& place) {
    if (data.size() == detail::most_measured_archs)
      throw error(errc::bad_file, place, text("at most ", detail::most_measured_archs, " architectures"), "more");
    try {
      data.push_back({read_arch(json), accuracy});
    } catch (const error& fault) {
      throw error(errc::bad_file, text(place, ", ", fault.where()), fault.expected(), fault.got());
    }
    const arch& a = data.back().arch;
    if (detail::leaves_kernels_out(a)) return;
    if (a.ks.size() != a.e.size() || a.ks.empty() || a.d.empty()) throw misshapen(place, a);
  };
  constexpr double least = -1000, most = 1000; // fractions or per cent, of whatever sign
  if (detail::is_accuracy_dict(source)) {
    const auto all = detail::parse_bounded(source, where, 64u << 20);
    detail::json_field(all, where)
        .members(1, detail::most_measured_archs, "entry",
                 [&](const std::string& a, const detail::json_field& accuracy) {
                   const std::string place = text(where, ", entry ", printable(a));
                   add(detail::parse_bounded(a, place), accuracy.number(least, most), place);
                 });
  } else
    for_each_line(source, where, [&](std::string_view one, const std::string& place) {
      const auto json = detail::parse_bounded(one, place);
      add(json, detail::json_field(json, place).object()["top1"].number(least, most), place);
    });
  if (data.empty()) throw error(errc::bad_file, where, "at least one line", "none");
  if (space)
    for (measured_arch& one : data) one.arch = completed(*space, one.arch);
  detail::add_inactive_blocks(data, space);
  for (std::size_t i = 0; i < data.size(); ++i) {
    arch& a = data[i].arch;
    if (space) a = dealt(*space, a);
    if (!space && detail::leaves_kernels_out(a)) continue;
    if (!a.well_formed() || (space && (a.d.size() != space->stages.size() || a.ks.size() != space->block_count())))
      throw misshapen(text(where, ", architecture ", i + 1), a);
  }
  return data;
}
/// The same of a file. Throws errc::io where it cannot be read, errc::bad_file for what is no such list.
inline std::vector<measured_arch> load_accuracy_data(const std::filesystem::path& path,
                                                     const space_description* space = nullptr) {
  return parse_accuracy_data(map_file(path).text(), path.string(), space);
}

/// `space` as the data shows it: with the data's resolutions instead of its own (a super-network can be measured at
/// others than it was published for), and with the kernels, ratios and depths of the data besides its own. Throws
/// errc::invalid_argument for architectures of another number of stages or blocks, for choices that no space offers
/// (kernels 3, 5, 7; ratios and depths 1 … 8), for widths that this one does not offer, and for more than 64
/// resolutions.
inline space_description space_of_data(space_description space, std::span<const measured_arch> data) {
  const auto fault = [](std::string expected, std::string got) {
    return error(errc::invalid_argument, "space of accuracy data", std::move(expected), std::move(got));
  };
  const gene_list genes = space.genes();
  std::set<std::uint16_t> resolutions;
  std::vector<std::array<std::set<decimal>, 3>> offered(space.stages.size()); // depths, kernels, ratios
  const auto offers = [&](const gene& g) -> std::set<decimal>& {
    return offered[g.stage][static_cast<std::size_t>(g.kind)];
  };
  const auto is_open = [](const gene& g) { return g.kind == gene_kind::depth || g.of_block(); };
  for (const gene& g : genes)
    if (is_open(g)) space.offered(g, [&](const auto& list) { offers(g).insert(list.begin(), list.end()); });
  for (const auto& one : data) {
    const arch a = completed(space, one.arch);
    if (a.ks.size() != space.block_count() || a.e.size() != a.ks.size() || a.d.size() != offered.size())
      throw fault(text(offered.size(), " stages and ", space.block_count(), " blocks"),
                  text(a.d.size(), " depths and ", a.ks.size(), " kernels"));
    if (a.w.size() != space.width_count() ||
        std::any_of(a.w.begin(), a.w.end(), [&](auto w) { return w >= space.widths.size(); }))
      throw fault(text(space.width_count(), " widths of ", space.widths.size(), " on offer"),
                  text("w ", detail::list_of(a.w)));
    for (const gene& g : genes)
      if (g.kind == gene_kind::resolution)
        resolutions.insert(a.r);
      else if (is_open(g))
        offers(g).insert(a.get(g));
  }
  const auto least_and_most = [&](const std::set<decimal>& values, decimal least, int most, const char* what) {
    if (*values.begin() < least || *values.rbegin() > decimal(most))
      throw fault(text(what, " in ", least, "..", most), text(*values.begin(), "..", *values.rbegin()));
  };
  const auto whole = [](const std::set<decimal>& values) {
    choices list;
    for (const decimal v : values) list.push_back(static_cast<std::uint8_t>(int(v)));
    return list;
  };
  for (std::size_t s = 0; s < offered.size(); ++s) {
    auto& stage = space.stages[s];
    if (stage.kind == block_kind::stem) continue; // it has its depths, and no blocks
    const auto& depths = offered[s][static_cast<std::size_t>(gene_kind::depth)];
    const auto& expands = offered[s][static_cast<std::size_t>(gene_kind::expand)];
    const auto& kernels = offered[s][static_cast<std::size_t>(gene_kind::kernel)];
    const int fixed = stage.fixed_blocks;
    least_and_most(depths, fixed > 0 ? 0 : 1, static_cast<int>(space.blocks_of(s)) - fixed, "depths");
    least_and_most(expands, stage.kind == block_kind::bottleneck ? decimal(0.01) : decimal(1), 8, "expand ratios");
    if (expands.size() > ratios::capacity)
      throw fault(text("at most ", ratios::capacity, " expand ratios"), text(expands.size()));
    least_and_most(kernels, 3, 7, "kernels");
    for (const decimal k : kernels)
      if (int(k) % 2 == 0) throw fault("kernels of 3, 5 and 7", text(k));
    stage.depths = whole(depths), stage.kernels = whole(kernels);
    stage.expands = {expands.begin(), expands.end()};
  }
  if (resolutions.empty() || resolutions.size() > max_resolutions || *resolutions.begin() < 1)
    throw fault(text("1 to ", max_resolutions, " resolutions above 0"), std::to_string(resolutions.size()));
  space.resolutions = {resolutions.begin(), resolutions.end()};
  return space;
}

namespace detail {
template <class T>
void shuffle(std::vector<T>& values, random_stream& random) {
  for (std::size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[random.below(static_cast<std::uint32_t>(i))]);
}
} // namespace detail

/// A seeded shuffle, then the first `fraction` of the data and the rest.
inline std::pair<std::vector<measured_arch>, std::vector<measured_arch>> split(std::span<const measured_arch> data,
                                                                               double fraction, std::uint64_t seed) {
  std::vector<measured_arch> all(data.begin(), data.end());
  random_stream random(seed, "split");
  detail::shuffle(all, random);
  const auto cut = static_cast<std::ptrdiff_t>(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(all.size()));
  return {{all.begin(), all.begin() + cut}, {all.begin() + cut, all.end()}};
}

} // namespace dynofa
