#pragma once
#include "dynofa/family/level.hpp"
#include "dynofa/model/keys.hpp"
#include "dynofa/model/safetensors.hpp"
#include "dynofa/space/json.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa {

/// Dynamic-OFA's published families (nets_6, nets_7) as levels of an official w1.2 super-network.
///
/// `networks`: JSON {"subnets": [{"platform": "gpu", "level": 0, "ks": […], "e": […], "d": […], "r": 176,
/// "top1": 74.2, "latency_ms": 41.2}, …]}; those of `platform` are taken. `statistics`: safetensors with
/// `levelN/LAYER.mean` and `.var`, the layers named as in the extracted network: with d < 4 its block 7 is another than
/// the super-network's, so names are mapped through the architecture. Accuracy is given as of the 50 000 images it was
/// measured on; top-5 was not published and counts as top-1. Throws `error` for whatever does not fit the space.
inline std::vector<family_level> load_published_levels(const std::filesystem::path& networks, std::string_view platform,
                                                       const std::filesystem::path& statistics,
                                                       const space_description& space) {
  const auto document = detail::parse_bounded(map_file(networks).text(), networks.string());
  const state_dict stored = with_canonical_keys(read_safetensors(statistics).tensors, statistics.string());
  std::vector<family_level> levels;
  std::size_t used = 0;
  detail::json_field(document, networks.string())["subnets"].each(256, [&](const detail::json_field& field) {
    if (!field.object().has("platform") || !field["platform"].is_word(platform)) return;
    family_level level;
    level.arch = read_arch(field.value());
    const plan p = make_plan(space, level.arch);
    level.arch = p.arch;
    const int images = 50'000;
    level.accuracy.images = images;
    level.accuracy.correct = static_cast<int>(std::lround(field["top1"].positive(100) / 100 * images));
    level.accuracy.correct5 = level.accuracy.correct;
    const double ms = field["latency_ms"].positive(1e9);
    level.latency = {{text("published ", platform), ms, ms, ms, 0}};

    const std::string prefix = text("level", field["level"].whole_number(0, 255), '/');
    const auto take = [&](const std::string& layer, const char* part, int channels, std::vector<float>& into) {
      const std::string name = prefix + layer + part;
      const auto found = stored.find(name);
      if (found == stored.end()) throw error(errc::missing_key, statistics.string(), text("a tensor ", name), "none");
      if (found->second.shape != shape_type{channels})
        throw error(errc::shape_mismatch, text(statistics.string(), ", tensor ", name), text(channels, " channels"),
                    to_string(found->second.shape));
      const auto values = found->second.to_floats();
      into.insert(into.end(), values.begin(), values.end());
      ++used;
    };
    for (std::size_t b = 0; b < p.blocks.size(); ++b)
      for (int i = 0; i < p.blocks[b].norm_count(); ++i) {
        take(norm_name(p, b, i), ".mean", p.blocks[b].norm_channels(i), level.statistics.mean);
        take(norm_name(p, b, i), ".var", p.blocks[b].norm_channels(i), level.statistics.var);
      }
    check_statistics(p, level.statistics, statistics.string());
    levels.push_back(std::move(level));
  });
  if (levels.empty())
    throw error(errc::missing_key, networks.string(), text("sub-networks of platform ", printable(platform)), "none");
  if (used != stored.size())
    throw error(errc::extra_key, statistics.string(), text(used, " tensors for these sub-networks"),
                text(stored.size()));
  return levels;
}

} // namespace dynofa
