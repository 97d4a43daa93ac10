#pragma once
#include "story.hpp"

// The networks of Figures 4 and 5: the paper's two families, the slimmable systems it is compared with, and
// once-for-all's specialised networks, which cannot be switched.

namespace paper {

/// One point of the figures.
struct candidate {
  std::string system, name;
  plan network;
  const supernet_ptr& (*net)(); ///< random weights, made once
  double published_mmacs, top1; ///< as published, of trained weights; 0 multiply-adds: not said
  std::vector<double> ms = {};  ///< of single images
};

/// Resolutions of the fine-tuned networks: one is beyond what the super-network's own space offers.
using static_mobilenet_v3 =
    search_space<ofa_mobilenet_v3, width<1.2>, depth<2, 3, 4>, expand<3, 4, 6>, kernel<3, 5, 7>, resolution<224, 236>>;

/// In the order of the legend; those of a system stand together. Throws nlohmann's exceptions for files of another
/// form.
inline std::vector<candidate> candidates(const story& s) {
  std::vector<candidate> all;
  for (const char* key : {"cpu", "gpu"})
    for (const auto& n : s.published.at("dynamic_ofa"))
      for (const bench::network& known : paper_networks_for(key))
        if (known.name == n.at("name"))
          all.push_back({text("Dynamic-OFA, ", caps(key), " family"), std::string(known.name),
                         make_plan(ofa_w1_2::description, known.arch), &bench::paper_supernet, 0, n.at("top1")});
  bench::for_each_slimmable(s.slimmable.at("networks"), [&]<class Space>(const bench::slimmable_network& n) {
    const bool by_channels = !n.channels.empty();
    const std::string of = n.network == "mnasnet" ? "MnasNet" : "MBv2";
    all.push_back({text(n.system, '-', of),
                   by_channels ? text(n.mmacs, "M") : text(Space::description.widths[n.arch.w[0]], " at ", n.arch.r),
                   by_channels ? make_channel_plan(Space::description, n.channels, n.arch.r)
                               : make_plan(Space::description, n.arch),
                   &bench::seeded_supernet<Space>, n.mmacs, n.top1});
  });
  for (const auto& n : s.published.at("static_ofa")) {
    const bool v3 = n.at("space") == "mobilenet_v3";
    const space_description& space = v3 ? static_mobilenet_v3::description : ofa_proxyless_w1_3::description;
    all.push_back({"static OFA", n.at("name"), make_plan(space, conform(space, read_arch(n))),
                   v3 ? &bench::seeded_supernet<static_mobilenet_v3> : &bench::seeded_supernet<ofa_proxyless_w1_3>,
                   n.at("mmacs"), n.at("top1")});
  }
  for (const candidate& c : all) // a network that is not the published one would be compared under its name
    if (const double mmacs = 1e-6 * static_cast<double>(c.network.macs());
        c.published_mmacs > 0 && std::abs(mmacs - c.published_mmacs) > 1)
      throw error(errc::mismatch, c.system + ", " + c.name, text(c.published_mmacs, " million multiply-adds"),
                  text(mmacs));
  return all;
}

inline std::vector<std::string> systems(const std::vector<candidate>& all) {
  std::vector<std::string> names;
  for (const candidate& c : all)
    if (names.empty() || names.back() != c.system) names.push_back(c.system);
  return names;
}

} // namespace paper
