#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/finite.hpp"
#include "dynofa/model/plan.hpp"
#include "dynofa/model/ranges.hpp"
#include "dynofa/model/supernet.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa {

/// Running mean and (biased) variance of every batch norm of one architecture, concatenated in the order of
/// `plan::norms`: 10 456 … 25 416 channels for w = 1.2. Good for one architecture at one resolution. With them the
/// ranges of its activations, where int8 was prepared.
struct bn_statistics {
  std::vector<float> mean, var;  ///< one per channel
  activation_ranges ranges = {}; ///< empty in levels of float formats
  friend bool operator==(const bn_statistics&, const bn_statistics&) = default;
};

/// What a kernel's epilogue applies after a convolution: y = x · scale + shift, per channel, in the same order. And the
/// ranges by which int8 levels make bytes of what comes out.
struct scale_shift {
  std::vector<float> scale, shift; ///< one per channel
  activation_ranges ranges = {};   ///< empty in levels of float formats
};

/// The super-network's own running statistics, cut to the architecture. Right for the largest sub-network, wrong for
/// every other: calibrate those.
inline bn_statistics stored_statistics(const supernet& net, const plan& p) {
  bn_statistics s;
  for (std::size_t b = 0; b < p.blocks.size(); ++b)
    for (int i = 0; i < p.blocks[b].norm_count(); ++i) {
      const norm_parameters& n = net.norm(p.blocks[b], i);
      const auto channels = p.blocks[b].norm_channels(i);
      s.mean.insert(s.mean.end(), n.mean.begin(), n.mean.begin() + channels);
      s.var.insert(s.var.end(), n.var.begin(), n.var.begin() + channels);
    }
  return s;
}
/// The same for the architecture's plan.
inline bn_statistics stored_statistics(const supernet& net, const arch& a) {
  return stored_statistics(net, make_plan(net.space, a));
}

/// Whether they can be of anything: finite, variances at least 0.
inline bool are_sound(const bn_statistics& s) {
  return first_not_finite(s.mean) == s.mean.size() && first_not_finite(s.var) == s.var.size() &&
         std::all_of(s.var.begin(), s.var.end(), [](float v) { return v >= 0; });
}

/// The norm that value `at` of a plan's statistics belongs to, by its name in the super-network's checkpoint, and the
/// channel.
inline std::string norm_channel(const plan& p, std::size_t at) {
  const network_layout layout(p.space);
  for (const block& b : p.blocks)
    for (int i = 0; i < b.norm_count(); ++i) {
      const auto channels = static_cast<std::size_t>(b.norm_channels(i));
      if (at < channels) return text(layout.key(layout.norms[layout.norm_index(b, i)]), ", channel ", at);
      at -= channels;
    }
  return text("value ", at);
}

/// Throws errc::mismatch unless `s` has the length that `p` needs, errc::bad_file, with norm and channel, unless
/// everything in it is finite and no variance is negative; for ranges what `check_ranges` throws. `where` says whose
/// they are.
inline void check_statistics(const plan& p, const bn_statistics& s, std::string_view where = "batch-norm statistics") {
  const auto wanted = static_cast<std::size_t>(p.norm_values());
  if (s.mean.size() != wanted || s.var.size() != wanted)
    throw error(errc::mismatch, where, text(wanted, " channels for ", p.arch),
                text(s.mean.size(), " means and ", s.var.size(), " variances"));
  check_ranges(p, s.ranges, where);
  if (are_sound(s)) return;
  for (std::size_t i = 0; i < wanted; ++i)
    if (!std::isfinite(s.mean[i]) || !std::isfinite(s.var[i]) || s.var[i] < 0)
      throw error(errc::bad_file, text(where, ", ", norm_channel(p, i)),
                  "a finite mean, a finite variance of at least 0", text(shown(s.mean[i]), " and ", shown(s.var[i])));
}

/// What every backend's `bind` asks: throws errc::mismatch unless `p` is a plan of the packed super-network's space and
/// there are as many scales and shifts as it has batch-norm channels.
inline void check_bind(const char* where, const space_description& packed, const plan& p, const scale_shift& norms) {
  if (!(p.space == packed))
    throw error(errc::mismatch, where, "a plan of the packed super-network's space",
                text("a plan of another space, ", p.arch));
  const auto wanted = static_cast<std::size_t>(p.norm_values());
  if (norms.scale.size() != wanted || norms.shift.size() != wanted)
    throw error(errc::mismatch, where, text(wanted, " scales and shifts for ", p.arch),
                text(norms.scale.size(), " scales and ", norms.shift.size(), " shifts"));
}

/// scale = weight / sqrt(var + epsilon), shift = bias − mean · scale, for every batch norm of the plan. Throws for
/// statistics that `check_statistics` refuses, and errc::bad_file for scales or shifts beyond the range of a float.
inline scale_shift fold(const supernet& net, const plan& p, const bn_statistics& s) {
  check_statistics(p, s);
  scale_shift f;
  f.ranges = s.ranges;
  f.scale.reserve(s.mean.size());
  f.shift.reserve(s.mean.size());
  std::size_t at = 0;
  for (std::size_t b = 0; b < p.blocks.size(); ++b)
    for (int i = 0; i < p.blocks[b].norm_count(); ++i) {
      const norm_parameters& n = net.norm(p.blocks[b], i);
      for (std::size_t c = 0; c < static_cast<std::size_t>(p.blocks[b].norm_channels(i)); ++c, ++at) {
        const float scale = n.weight[c] / std::sqrt(s.var[at] + p.space.bn_epsilon);
        f.scale.push_back(scale);
        f.shift.push_back(n.bias[c] - s.mean[at] * scale);
      }
    }
  for (const auto* values : {&f.scale, &f.shift})
    if (const auto bad = first_not_finite(*values); bad < values->size())
      throw error(errc::bad_file, text("batch norm ", norm_channel(p, bad)), "a finite scale and shift",
                  text(shown(f.scale[bad]), " and ", shown(f.shift[bad])));
  return f;
}

/// The checkpoint name of batch norm i of block b of a plan, with the indices of the extracted sub-network.
inline std::string norm_name(const plan& p, std::size_t b, int i) {
  const network_layout layout(p.space);
  return layout.norm_key(p.blocks[b], i, key_form::extracted, layout.number_in(p.blocks, b));
}

} // namespace dynofa
