#pragma once
#include "dynofa/accuracy/data.hpp"
#include "dynofa/family/family.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/report/figure.hpp"

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

// A family for people: a table, two figures, and what its accuracies can tell apart.

namespace dynofa {

/// The levels as a table in Markdown, with their latencies on `device`, and with their number formats where a level has
/// one of its own. Throws errc::missing_key for a level that was not measured there.
inline std::string markdown_table(const family& f, std::string_view device) {
  const bool formats = std::ranges::any_of(f.levels(), [](const family_level& l) { return !l.format.empty(); });
  std::string table = text("| level |", formats ? " format |" : "", " r | M MACs | top-1 (95 %) | top-5 | ms | KB |\n",
                           formats ? "|--" : "", "|--|--|--|--|--|--|--|\n");
  for (std::size_t i = 0; i < f.levels().size(); ++i) {
    const auto& l = f.levels()[i];
    const auto* latency = f.latency_on(i, device);
    if (!latency) throw error(errc::missing_key, text("level ", l.arch), text("a latency on ", device), "none");
    const auto [low, high] = l.accuracy.top1_interval();
    const std::string format = !formats ? "" : l.format.empty() ? " | –" : " | " + l.format;
    table += text("| ", i, format, " | ", l.arch.r, " | ", fixed(double(make_plan(f.space(), l.arch).macs()) / 1e6, 1),
                  " | ", fixed(l.accuracy.top1()), " (", fixed(low), "-", fixed(high), ") | ", fixed(l.accuracy.top5()),
                  " | ", fixed(latency->median_ms, 3), " | ", f.level_bytes(i) / 1000, " |\n");
  }
  return table;
}

/// Whether one accuracy lies in the 95 % intervals of all levels: then their order may be chance, and more labelled
/// images are needed. False for less than two levels.
inline bool accuracies_overlap(const family& f) {
  double highest_low = 0, lowest_high = 100;
  for (const auto& l : f.levels()) {
    const auto [low, high] = l.accuracy.top1_interval();
    highest_low = std::max(highest_low, low), lowest_high = std::min(lowest_high, high);
  }
  return f.levels().size() > 1 && highest_low <= lowest_high;
}

/// Draws top-1 over latency as `folder`/accuracy_latency.* and over work as accuracy_macs.*: the levels, and `others`
/// that were measured too, with the latencies that a model predicts for them. Throws what `report::draw` and
/// `markdown_table` throw.
template <cost_model Latency>
void draw_family(const family& f, const std::string& device, std::span<const measured_arch> others,
                 const Latency& latency, const std::filesystem::path& folder) {
  using look = report::series::look;
  const auto macs = [&](const arch& a) { return double(make_plan(f.space(), a).macs()) / 1e6; };
  report::series front{"this family, measured", {}, look::line_and_points}, front_macs = front;
  report::series cloud{"others measured on the way (fewer images)", {}, look::points}, cloud_macs = cloud;
  for (std::size_t i = 0; i < f.levels().size(); ++i) {
    const auto& l = f.levels()[i];
    if (const auto* ms = f.latency_on(i, device)) front.points.push_back({ms->median_ms, l.accuracy.top1()});
    front_macs.points.push_back({macs(l.arch), l.accuracy.top1()});
  }
  for (const auto& m : others) {
    cloud.points.push_back({latency(m.arch), m.accuracy});
    cloud_macs.points.push_back({macs(m.arch), m.accuracy});
  }
  report::draw({"Accuracy and latency on " + device, "milliseconds per image", "top-1, per cent", {cloud, front}},
               folder / "accuracy_latency");
  report::draw({"Accuracy and work", "million multiply-accumulates", "top-1, per cent", {cloud_macs, front_macs}},
               folder / "accuracy_macs");
}

} // namespace dynofa
