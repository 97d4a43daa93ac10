#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/search_space.hpp"

#include <string>

/// The space of the super-network in assets/: w = 1.2, 200 classes, trained on 64–128 pixel images.
using tinyimagenet_space =
    dynofa::search_space<dynofa::ofa_mobilenet_v3, dynofa::width<1.2>, dynofa::classes<200>, dynofa::depth<2, 3, 4>,
                         dynofa::expand<3, 4, 6>, dynofa::kernel<3, 5, 7>, dynofa::resolution<64, 80, 96, 112, 128>>;

/// A space by the name a user types, or from a JSON file.
inline dynofa::space_description space_named(const std::string& name) {
  if (name == "w1.0") return dynofa::ofa_w1_0::description;
  if (name == "w1.2") return dynofa::ofa_w1_2::description;
  if (name == "proxyless") return dynofa::ofa_proxyless_w1_3::description;
  if (name == "resnet50") return dynofa::ofa_resnet50_space::description;
  if (name == "tinyimagenet") return tinyimagenet_space::description;
  if (name.ends_with(".json")) return dynofa::parse_space(dynofa::map_file(name).text());
  throw dynofa::error(dynofa::errc::invalid_argument, "--space",
                      "w1.0, w1.2, proxyless, resnet50, tinyimagenet or a file named ….json", name);
}
