#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/model/channel_plan.hpp"
#include "dynofa/space/search_space.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// slimmable.json: the published slimmable networks, and the spaces that hold them.

namespace bench {

using free_mobilenet_v2 = dynofa::search_space<dynofa::mobilenet_v2, dynofa::width<1.5>, dynofa::resolution<224>>;
using free_mnasnet = dynofa::search_space<dynofa::mnasnet, dynofa::width<1.5>, dynofa::resolution<224>>;
/// Of 11 widths a space takes 8.
using width_by_tenths = dynofa::search_space<dynofa::mobilenet_v2, dynofa::resolution<128, 160, 192, 224>,
                                             dynofa::one_width<0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0>>;
using width_by_twentieths = dynofa::search_space<dynofa::mobilenet_v2, dynofa::resolution<128, 160, 192, 224>,
                                                 dynofa::one_width<0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0>>;

/// The largest architecture at one width. Throws `error` for a width that the space does not offer.
inline dynofa::arch arch_of_width(const dynofa::space_description& space, double width, int r) {
  dynofa::arch a = largest(space);
  a.w = {};
  for (std::size_t i = 0; i < space.widths.size(); ++i)
    if (dynofa::decimal::exactly(width) == space.widths[i]) a.w = {static_cast<std::uint8_t>(i)};
  dynofa::require_argument(!a.w.empty(), "width", "one that its space offers", width);
  a.r = static_cast<std::uint16_t>(r);
  return a;
}

/// A network of the file, in its space: `arch`, or `channels` at the resolution of `arch`.
struct slimmable_network {
  std::string system, network;
  double mmacs = 0, top1 = 0; ///< as published
  dynofa::arch arch;
  std::vector<int> channels;
};

/// Every network of the file's list: `visit.operator()<Space>(slimmable_network)`. Throws nlohmann's exceptions for
/// fields that are missing or of another type, and `error` for a width that is none of theirs.
template <class Visit>
void for_each_slimmable(const nlohmann::json& list, Visit visit) {
  for (const auto& n : list) {
    slimmable_network made{.system = n.at("system"),
                           .network = n.at("network"),
                           .mmacs = n.at("mmacs"),
                           .top1 = n.at("top1"),
                           .arch = {},
                           .channels = {}};
    const int r = n.at("resolution");
    const auto in = [&]<class Space>(Space*) {
      made.arch =
          n.contains("channels") ? largest(Space::description) : arch_of_width(Space::description, n.at("width"), r);
      made.arch.r = static_cast<std::uint16_t>(r);
      visit.template operator()<Space>(made);
    };
    if (n.contains("channels")) {
      made.channels = n.at("channels").get<std::vector<int>>();
      made.network == "mnasnet" ? in(static_cast<free_mnasnet*>(nullptr))
                                : in(static_cast<free_mobilenet_v2*>(nullptr));
      continue;
    }
    const auto width = dynofa::decimal::exactly(n.at("width").get<double>());
    width&& width_by_tenths::description.widths.contains(*width) ? in(static_cast<width_by_tenths*>(nullptr))
                                                                 : in(static_cast<width_by_twentieths*>(nullptr));
  }
}

} // namespace bench
