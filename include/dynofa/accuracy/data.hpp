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
  dynofa::arch arch;
  double accuracy;
};

/// Reads JSON lines `{"ks": […], "e": […], "d": […], "r": 160, "top1": 0.55}`; other fields and empty lines are
/// ignored. Throws errc::bad_file with the line number for whatever is wrong, for more than 10^6 lines, and for no line
/// at all.
inline std::vector<measured_arch> parse_accuracy_data(std::string_view source,
                                                      const std::string& where = "accuracy data") {
  std::vector<measured_arch> data;
  for_each_line(source, where, [&](std::string_view one, const std::string& place) {
    if (data.size() == 1000000) throw error(errc::bad_file, place, "at most 1000000 architectures", "more");
    const auto json = detail::parse_bounded(one, place);
    const double top1 = detail::json_field(json, place).object()["top1"].number(-1000, 1000);
    try {
      data.push_back({read_arch(json), top1});
    } catch (const error& fault) {
      throw error(errc::bad_file, text(place, ", ", fault.where()), fault.expected(), fault.got());
    }
    if (!data.back().arch.well_formed())
      throw error(
          errc::bad_file, place, "as many ks as e, a whole number per d",
          text(data.back().arch.ks.size(), ", ", data.back().arch.e.size(), " and ", data.back().arch.d.size()));
  });
  if (data.empty()) throw error(errc::bad_file, where, "at least one line", "none");
  return data;
}
inline std::vector<measured_arch> load_accuracy_data(const std::filesystem::path& path) {
  return parse_accuracy_data(map_file(path).text(), path.string());
}

/// `space` as the data shows it: with the data's resolutions instead of its own (a super-network can be measured at
/// others than it was published for), and with the kernels, ratios and depths of the data besides its own. Throws
/// errc::invalid_argument for architectures of another number of stages or blocks, for choices that no space offers
/// (kernels 3, 5, 7; ratios and depths 1 … 8), and for more than 64 resolutions.
inline space_description space_of_data(space_description space, std::span<const measured_arch> data) {
  const auto fault = [](std::string expected, std::string got) {
    return error(errc::invalid_argument, "space of accuracy data", std::move(expected), std::move(got));
  };
  const gene_list genes = space.genes();
  std::set<std::uint16_t> resolutions;
  std::vector<std::array<std::set<decimal>, 3>> offered(space.stages.size()); // by kind of gene
  const auto offers = [&](const gene& g) -> std::set<decimal>& {
    return offered[g.stage][static_cast<std::size_t>(g.kind)];
  };
  for (const gene& g : genes)
    if (g.kind != gene_kind::resolution)
      space.offered(g, [&](const auto& list) { offers(g).insert(list.begin(), list.end()); });
  for (const auto& one : data) {
    const arch& a = one.arch;
    if (a.ks.size() != space.block_count() || a.e.size() != a.ks.size() || a.d.size() != offered.size())
      throw fault(text(offered.size(), " stages and ", space.block_count(), " blocks"),
                  text(a.d.size(), " depths and ", a.ks.size(), " kernels"));
    for (const gene& g : genes)
      if (g.kind == gene_kind::resolution)
        resolutions.insert(a.r);
      else
        offers(g).insert(a.get(g));
  }
  const auto least_and_most = [&](const std::set<decimal>& values, int least, int most, const char* what) {
    if (*values.begin() < decimal(least) || *values.rbegin() > decimal(most))
      throw fault(text(what, " in ", least, "..", most), text(*values.begin(), "..", *values.rbegin()));
  };
  const auto whole = [](const std::set<decimal>& values) {
    choices list;
    for (const decimal v : values) list.push_back(static_cast<std::uint8_t>(int(v)));
    return list;
  };
  for (std::size_t s = 0; s < offered.size(); ++s) {
    auto& stage = space.stages[s];
    const auto& depths = offered[s][static_cast<std::size_t>(gene_kind::depth)];
    const auto& expands = offered[s][static_cast<std::size_t>(gene_kind::expand)];
    const auto& kernels = offered[s][static_cast<std::size_t>(gene_kind::kernel)];
    least_and_most(depths, 1, static_cast<int>(space.blocks_of(s)), "depths");
    least_and_most(expands, 1, 8, "expand ratios");
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
