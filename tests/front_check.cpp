#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/data/folder_fingerprint.hpp"
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/family/measure_accuracy.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/report/progress.hpp"
#include "dynofa/space/sampling.hpp"

#include "support/help.hpp"
#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <set>
#include <string>
#include <vector>

namespace {

constexpr const char* help =
    R"(front_check FAMILY IMAGES CALIB [--random N] [--limit N] [--state FILE [--only PART]] [--figure STEM]
    [--rounds N]

Is a family's front worth having? Calibrates N random sub-networks (default 200) and the uniform ones (all
k3/e3/d2, all k5/e4/d3, all k7/e6/d4, at every resolution), evaluates them and the family's levels on the same
images (--limit: so many, drawn), measures all latencies in turn, and compares: accuracies rise with latency and
span 8 points, and at every latency the family is at least as accurate as the best random sub-network. What it
gains over uniform ones is told in points at equal latency and as a factor at equal accuracy. With --state what
was measured is kept (a family file) and a second run goes on behind it, unless it has another super-network or
other images. PART is count, latency or report: only
the latencies need a machine to themselves (some 80 s for 200 random sub-networks and 20 rounds), and the report
measures nothing.)";

using namespace dynofa;
namespace fs = std::filesystem;

constexpr int calibrated_with = 1000; // images

/// One sub-network as it was measured.
struct point {
  dynofa::arch arch;
  double ms = 0, top1 = 0;
};

std::vector<arch> random_archs(const space_description& space, std::size_t count) {
  random_stream random(2, "front_check");
  std::set<arch> drawn;
  while (drawn.size() < count) drawn.insert(random_arch(space, random).canonical());
  return {drawn.begin(), drawn.end()};
}

/// The i-th kernel, ratio and depth that the first stage offers, for all blocks and stages, at every resolution.
std::vector<arch> uniform_archs(const space_description& space) {
  const stage_description& offers = space.stages[0];
  const std::size_t steps = std::min({offers.kernels.size(), offers.expands.size(), offers.depths.size()});
  std::vector<arch> archs;
  for (const auto r : space.resolutions)
    for (std::size_t i = 0; i < steps; ++i) {
      arch a = largest(space);
      a.r = r;
      for (auto& gene : a.ks) gene = offers.kernels[i];
      for (auto& gene : a.e) gene = offers.expands[i];
      for (auto& gene : a.d) gene = offers.depths[i];
      archs.push_back(a.canonical());
    }
  return archs;
}

/// Adds what `all` lacks of `archs`, a handful at a time, each calibrated with 1000 images and evaluated.
void measure(family& all, std::vector<arch> archs, const accuracy_setup<backend::cpu>& setup, const std::string& state,
             const char* what) {
  std::erase_if(archs, [&](const arch& a) { return std::ranges::count(all.levels(), a, &family_level::arch) > 0; });
  report::progress bar(std::cerr, what);
  constexpr std::size_t handful = 12;
  const int threads = setup.calibrating.threads;
  for (std::size_t first = 0; first < archs.size(); first += handful) {
    const auto some = std::span(archs).subspan(first, std::min(handful, archs.size() - first));
    for (auto& level :
         measure_accuracies(setup, some, {.images = calibrated_with, .threads = threads}, {.threads = threads}))
      all.add(std::move(level));
    if (!state.empty()) save_family(state, all);
    bar(first + some.size(), archs.size());
    report::stop_if_interrupted(state.empty() ? "front_check" : state + ", from which the same command goes on");
  }
}

/// The most accurate of `points` within `ms`, or null.
const point* best_within(const std::vector<point>& points, double ms) {
  const point* best = nullptr;
  for (const point& p : points)
    if (p.ms <= ms && (!best || p.top1 > best->top1)) best = &p;
  return best;
}
const point* quickest_with(const std::vector<point>& points, double top1) {
  const point* best = nullptr;
  for (const point& p : points)
    if (p.top1 >= top1 && (!best || p.ms < best->ms)) best = &p;
  return best;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}

int passed = 0, failed = 0;
void verdict(bool good, const std::string& what) {
  (good ? passed : failed) += 1;
  std::cout << (good ? "pass  " : "FAIL  ") << what << '\n';
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  std::vector<std::string> names;
  std::string state, figure, only;
  std::size_t count = 200, limit = 0;
  int rounds = 20;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const bool more = i + 1 < argc;
    if (arg == "--random" && more)
      count = static_cast<std::size_t>(report::read_number(arg, argv[++i], 1, 1'000'000));
    else if (arg == "--limit" && more)
      limit = static_cast<std::size_t>(report::read_number(arg, argv[++i], 1, 1'000'000'000));
    else if (arg == "--rounds" && more)
      rounds = static_cast<int>(report::read_number(arg, argv[++i], 1, 100'000));
    else if (arg == "--only" && more)
      only = argv[++i];
    else if (arg == "--state" && more)
      state = argv[++i];
    else if (arg == "--figure" && more)
      figure = argv[++i];
    else
      names.push_back(arg);
  }
  const bool parted = only == "count" || only == "latency" || only == "report";
  if (names.size() != 3 || (!only.empty() && (!parted || state.empty()))) {
    std::cerr << "usage: front_check FAMILY IMAGES CALIB [--random N] [--limit N] [--state FILE [--only "
                 "count|latency|report]]"
                 " [--figure STEM] [--rounds N]\n";
    return 2;
  }
  if (!state.empty()) require_writable(state);
  if (!figure.empty()) require_writable(figure + ".gp");
  const family f = load_family(names[0]);
  std::vector<std::string> ids;
  for (const auto& c : f.classes()) ids.push_back(c.id);
  data::image_folder images(names[1], ids);
  images.keep_decoded(std::size_t{1} << 30);
  if (limit && limit < images.size()) images = images.subset(limit, 1);
  const int threads = hardware_threads();
  std::vector<arch> levels;
  for (const auto& l : f.levels()) levels.push_back(l.arch);
  const auto random = random_archs(f.space(), count), uniform = uniform_archs(f.space());
  family all(f.net(), f.preprocessing(), f.classes());
  const data::image_folder calibration(names[2], ids);
  const named_inputs inputs = {{"super-network", text("hash ", in_base(16, f.net()->hash()))},
                               {"preprocessing", f.preprocessing().to_string()},
                               {"images", fingerprint(images, threads)},
                               {"calibration images", fingerprint(calibration, threads)},
                               {"calibration", text(calibrated_with, " images, batches of 100")}};
  if (!state.empty() && fs::exists(state)) {
    all = load_family(state);
    require_same_inputs(state, inputs, inputs_of(all));
  }
  set_inputs(all, inputs);
  report::catch_interrupts();
  if (only.empty() || only == "count") {
    const accuracy_setup<backend::cpu> setup{
        f.net(), f.preprocessing(),    decoded_source(calibration, f.preprocessing(), threads),
        images,  {.threads = threads}, {}};
    std::vector<evaluated_level> lacking; // levels keep the statistics that the family has
    for (const auto& l : f.levels()) {
      const auto have = std::ranges::find(all.levels(), l.arch, &family_level::arch);
      if (have != all.levels().end() && have->statistics == l.statistics) continue;
      if (have != all.levels().end()) all.remove(static_cast<std::size_t>(have - all.levels().begin()));
      lacking.push_back({l.arch, l.statistics});
    }
    if (!lacking.empty()) {
      const auto results =
          evaluate(setup.evaluating, f.net(), setup.packed, lacking, images, f.preprocessing(), {.threads = threads});
      for (std::size_t i = 0; i < lacking.size(); ++i)
        all.add({lacking[i].arch, lacking[i].statistics, results[i].accuracy, {}});
    }
    measure(all, random, setup, state, "random ");
    measure(all, uniform, setup, state, "uniform");
  }
  backend::cpu one_core{};
  const std::string device = device_name(one_core);
  if (only.empty() || only == "latency") {
    remeasure_latencies(all, one_core, rounds);
    if (!state.empty()) save_family(state, all);
  }
  if (only == "count" || only == "latency") {
    std::cout << all.levels().size() << " sub-networks of " << levels.size() + random.size() + uniform.size() << '\n';
    return 0;
  }
  const auto points_of = [&](const std::vector<arch>& archs) {
    std::vector<point> points;
    for (const arch& a : archs)
      for (std::size_t i = 0; i < all.levels().size(); ++i)
        if (all.levels()[i].arch == a) {
          const auto* latency = all.latency_on(i, device);
          const measured_accuracy& accuracy = all.levels()[i].accuracy;
          if (!latency || static_cast<std::size_t>(accuracy.images) != images.size())
            throw error(errc::mismatch, "front_check",
                        text("a latency on ", device, " and top-1 of ", images.size(), " images"),
                        text(latency ? "" : "no latency and ", accuracy.images, " images for ", a));
          points.push_back({a, latency->median_ms, accuracy.top1()});
        }
    if (points.size() != archs.size())
      throw error(errc::mismatch, "front_check", text(archs.size(), " measured sub-networks"), text(points.size()));
    std::sort(points.begin(), points.end(), [](const point& a, const point& b) { return a.ms < b.ms; });
    return points;
  };
  const auto ours = points_of(levels), others = points_of(random), plain = points_of(uniform);

  std::cout << device << ", " << images.to_string() << "; " << others.size() << " random and " << plain.size()
            << " uniform sub-networks\n   ms  top-1  best random  best uniform within this latency\n"
            << std::fixed;
  bool rises = true;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    rises &= i == 0 || (ours[i].top1 > ours[i - 1].top1 && ours[i].ms > ours[i - 1].ms);
    const point *r = best_within(others, ours[i].ms), *u = best_within(plain, ours[i].ms);
    std::cout << std::setprecision(3) << std::setw(7) << ours[i].ms << std::setprecision(2) << std::setw(7)
              << ours[i].top1 << std::setw(9) << (r ? text(r->top1) : std::string("-")) << std::setw(12)
              << (u ? text(u->top1) : std::string("-")) << '\n';
  }
  verdict(ours.size() >= 8 && rises, text(ours.size(), " levels, accuracies rise strictly with latency"));
  verdict(ours.back().top1 - ours.front().top1 >= 8,
          text("they span ", ours.back().top1 - ours.front().top1, " points of top-1 and ",
               ours.back().ms / ours.front().ms, " times in latency"));
  std::size_t better = 0;
  std::vector<double> lead;
  for (const point& r : others) {
    const point* l = best_within(ours, r.ms);
    if (!l && r.top1 >= ours.front().top1) ++better; // quicker and more accurate than the quickest level
    if (!l) continue;
    lead.push_back(l->top1 - r.top1);
    if (l->top1 < r.top1) {
      ++better;
      std::cout << "  above the front: " << r.arch << ", " << r.ms << " ms, " << r.top1 << " %\n";
    }
  }
  std::string by = "all are quicker than its quickest level";
  if (!lead.empty())
    by = text("it leads by ", median(lead), " points in the median, ", *std::min_element(lead.begin(), lead.end()),
              " at least");
  verdict(better == 0, text(better, " of ", others.size(), " random sub-networks are above the front; ", by));

  std::vector<double> points_gained, times_gained; // over the best uniform ones only: their own front
  for (const point& u : plain) {
    if (best_within(plain, u.ms)->arch != u.arch) continue;
    if (const point* l = best_within(ours, u.ms)) points_gained.push_back(l->top1 - u.top1);
    if (const point* l = quickest_with(ours, u.top1)) times_gained.push_back(u.ms / l->ms);
  }
  if (points_gained.empty() || times_gained.empty())
    throw error(errc::mismatch, "front_check", "latencies and accuracies that overlap", "none");
  const auto [least, most] = std::minmax_element(points_gained.begin(), points_gained.end());
  const auto [least_x, most_x] = std::minmax_element(times_gained.begin(), times_gained.end());
  std::cout << "against the front of the uniform ones: at equal latency " << median(points_gained)
            << " points in the median (" << *least << " to " << *most << "), at equal accuracy " << median(times_gained)
            << " times as quick (" << *least_x << " to " << *most_x << ")\n";
  if (!figure.empty()) {
    const auto series_of = [](const char* title, const std::vector<point>& points, report::series::look look) {
      report::series s{title, {}, look};
      for (const point& p : points) s.points.push_back({p.ms, p.top1});
      return s;
    };
    using look = report::series::look;
    report::draw(
        {device,
         "milliseconds per image",
         "top-1, per cent",
         {series_of("random, calibrated", others, look::points), series_of("uniform, calibrated", plain, look::points),
          series_of("family", ours, look::line_and_points)}},
        figure);
  }
  std::cout << passed << " passed, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
