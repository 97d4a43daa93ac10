#pragma once
#include "dynofa/report/figure.hpp"
#include "dynofa/runtime/image_record.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa::runtime {

/// The form of the paper's Figures 6 to 8: latency of every image against time, one colour per level, the limit dashed,
/// and below it the top-1 of the level that ran. Time is the sum of latencies, as if images ran without a pause. Only
/// levels that ran are shown. Throws errc::mismatch for an image on a level that `levels` has not.
inline report::figure figure_of(std::span<const image_record> images, std::span<const level_figures> levels,
                                std::string title) {
  using look = report::series::look;
  std::vector<report::series> by_level(levels.size());
  report::series limit{"limit", {}, look::dashed_line}, top1{"of the level", {}, look::steps};
  double seconds = 0;
  for (const image_record& r : images) {
    if (r.level >= levels.size())
      throw error(errc::mismatch, text("image ", r.image), text("a level below ", levels.size()), text(r.level));
    seconds += r.latency_ms / 1000;
    by_level[r.level].points.push_back({seconds, r.latency_ms});
    limit.points.push_back({seconds, r.wanted.limit_ms()}); // without a limit: not finite, so not drawn
    top1.points.push_back({seconds, levels[r.level].top1});
  }
  report::figure f{std::move(title), "seconds", "milliseconds per image", {}, 1000, 700, "top-1, per cent", {top1}};
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (by_level[i].points.empty()) continue;
    by_level[i].title = text("level ", i);
    f.all.push_back(std::move(by_level[i]));
  }
  f.all.push_back(std::move(limit));
  return f;
}

} // namespace dynofa::runtime
