#pragma once
#include "dynofa/search/candidate.hpp"

#include <span>
#include <string>

namespace dynofa::search {

/// A candidate and the number format it is to run in.
struct candidate_in_format : candidate {
  std::string format; ///< as a level's: "" is the backend's own
};

/// The same architecture in the same number format.
inline bool same_level(const candidate_in_format& a, const candidate_in_format& b) {
  return a.arch == b.arch && a.format == b.format;
}

/// What no other beats over all number formats.
using front_in_formats = pareto_front<candidate_in_format, &candidate_in_format::cost, &candidate_in_format::accuracy>;

/// What a search found for one number format, with a cost model of that format.
struct found_in_format {
  std::string format; ///< as a level's
  const front& found; ///< has to outlive this
  double lost = 0;    ///< points of accuracy that the format costs, by measurement: taken from every prediction
};

/// One front over several number formats of the same space. A level's format is a choice of its own and not tied to any
/// gene, so a search per format, each with the latencies of that format, and the front of all that they found is the
/// search over both. Of equal candidates the format that stands first stays.
///
///     const auto floats = search::pareto(space, accuracy, latency), bytes = search::pareto(space, accuracy, in_int8);
///     const auto all = search::join_formats({{{"", floats.all}, {"int8", bytes.all, 0.05}}});
inline front_in_formats join_formats(std::span<const found_in_format> formats) {
  front_in_formats all;
  for (const found_in_format& one : formats)
    for (candidate c : one.found.members()) {
      c.accuracy -= one.lost;
      all.insert({c, one.format});
    }
  return all;
}

} // namespace dynofa::search
