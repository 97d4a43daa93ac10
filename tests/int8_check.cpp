#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/reference_int8.hpp"
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/calibrate/evaluate.hpp"
#include "dynofa/calibrate/record_ranges.hpp"
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/space/sampling.hpp"

#include "support/checks.hpp"
#include "support/help.hpp"
#include <algorithm>
#include <atomic>
#include <cmath>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr const char* help =
    R"(int8_check FAMILY IMAGES CALIB [--only WORD] [--random N] [--seed S] [--limit N] [--calibration N] [--rule RULE] [--save FILE] [--threads N]

What int8 costs the levels of FAMILY, its smallest and largest sub-networks, two between them, and N (20) random ones:
top-1 on the labelled folder IMAGES against fp32, on the same images, with McNemar's counts. Batch norm of those that are
no levels is calibrated with CALIB first, then the ranges of all are recorded with it. RULE: least_square_error (the
default), min_max or percentile. WORD: only those whose name has it, such as "level 5". FILE: the
family with its ranges, which runs in fp32 and int8. Then memory, and whether the kernels follow the integer rule.)";

using namespace dynofa;
using support::check, support::fixed;

struct candidate {
  std::string name;
  evaluated_level level;
  double most_lost; ///< points of top-1
};

/// Of each image, whether a level is right.
using verdicts = std::vector<char>;

/// Every level of both formats over all images.
struct judged {
  std::vector<verdicts> floats, bytes;
  judged(const backend::cpu& one, const supernet_ptr& net, const std::vector<candidate>& all,
         const data::image_folder& images, const data::preprocessing& rule, int threads)
      : floats(all.size(), verdicts(images.size()))
      , bytes(floats) {
    struct worker {
      session<backend::cpu> in_floats, in_bytes;
      std::vector<session<backend::cpu>::level> float_levels, byte_levels;
    };
    const auto packed = one.pack(net), packed_bytes = one.pack(net, "int8");
    std::vector<std::unique_ptr<worker>> workers(static_cast<std::size_t>(threads));
    for (auto& w : workers) {
      w = std::make_unique<worker>(worker{{one, net, packed}, {one, net, packed_bytes}, {}, {}});
      for (const candidate& c : all) {
        w->float_levels.push_back(w->in_floats.load(c.level.arch, c.level.statistics));
        w->byte_levels.push_back(w->in_bytes.load(c.level.arch, c.level.statistics));
      }
    }
    std::atomic<std::size_t> next{0};
    const image_source source = decoded_source(images, rule, threads);
    const data::image_folder order = images.subset(images.size(), 1); // as the source has them
    parallel_for(workers.size(), threads, [&](std::size_t t) {
      std::vector<float> image;
      for (std::size_t n; (n = next++) < source.count;) {
        int resolution = 0;
        for (std::size_t l = 0; l < all.size(); ++l) {
          if (all[l].level.arch.r != resolution) {
            resolution = all[l].level.arch.r;
            image.resize(image_values(resolution));
            source.fill(n, resolution, image);
          }
          const auto label = static_cast<std::size_t>(order.label(n));
          floats[l][n] = argmax(workers[t]->in_floats.run(workers[t]->float_levels[l], image)) == label;
          bytes[l][n] = argmax(workers[t]->in_bytes.run(workers[t]->byte_levels[l], image)) == label;
        }
        if (n % 500 == 0) std::cerr << "  " << n << " of " << source.count << " images\n";
      }
    });
  }
};

range_rule rule_named(const std::string& name) {
  if (name == "min_max") return range_rule::min_max;
  if (name == "percentile") return range_rule::percentile;
  require_argument(name == "least_square_error", "--rule", "least_square_error, min_max or percentile", name);
  return range_rule::least_square_error;
}

/// The family with the ranges that were recorded for its levels.
family with_ranges(family f, const std::vector<candidate>& recorded) {
  for (std::size_t i = 0; i < f.levels().size(); ++i)
    for (const candidate& c : recorded)
      if (c.level.arch == f.levels()[i].arch) {
        family_level level = f.levels()[i];
        level.statistics.ranges = c.level.statistics.ranges;
        f.remove(i);
        f.add(std::move(level)); // its place depends on what stays
        break;
      }
  return f;
}

/// Bits that a level and its weights take in memory, against copies of its own in fp32.
void check_memory(const backend::cpu& one, const family& f, const std::vector<candidate>& levels) {
  session floats(one, f.net()), bytes(one, f.net(), one.pack(f.net(), "int8"));
  const double share = double(bytes.packed()->bytes()) / double(floats.packed()->bytes());
  check(share <= 0.30,
        text("packed super-network: ", bytes.packed()->bytes(), " bytes, ", fixed(share, 3), " of fp32 (0.30)"));
  std::size_t added = 0, copies = 0;
  const std::size_t count = std::min<std::size_t>(8, levels.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto& l = levels[i * levels.size() / count].level;
    added += bytes.load(l.arch, l.statistics)->bytes();
    copies += static_cast<std::size_t>(make_plan(f.space(), l.arch).weight_bytes());
  }
  const double all = double(bytes.packed()->bytes() + added) / double(copies);
  check(double(added) / double(copies) <= 0.07,
        text(count, " levels: ", added, " bytes beside the shared weights, ", fixed(double(added) / double(copies), 4),
             " of fp32 copies (0.07); with the weights ", fixed(all, 3)));
}

/// The kernels beside the integer rule as plain loops: every block of real images, given what the rule gave before it.
/// Whole networks would not do: where a sum falls on a tie, a code may be the next one, and what follows differs. That
/// happens where codes are made with gates of squeeze-excite, whose sums of floats have another order here and there:
/// one code then changes all channels of its pixel. Elsewhere instruction sets with fused multiply-add have the same
/// codes.
void check_exactness(const family& f, const candidate& c, const image_source& source) {
  const plan p = make_plan(f.space(), c.level.arch);
  for (const auto& isa : backend::cpu_detail::available_isas()) {
    const backend::cpu b{.isa = std::string(isa.name), .weights = "int8"};
    session kernels(b, f.net());
    session judge(backend::reference_int8::by(b.byte_rule()), f.net());
    auto level = kernels.load(c.level.arch, c.level.statistics);
    auto wanted = judge.load(c.level.arch, c.level.statistics);
    std::size_t pixels = 0, others = 0, ungated = 0;
    const std::size_t images = std::min<std::size_t>(4, source.count);
    for (std::size_t n = 0; n < images; ++n) {
      std::vector<float> in(p.image_values());
      source.fill(n, c.level.arch.r, in);
      for (const block& each : p.blocks) {
        const auto i = static_cast<std::size_t>(&each - p.blocks.data());
        std::vector<float> right(static_cast<std::size_t>(each.out_values())), got(right.size());
        judge.run_block(wanted, i, in, right);
        kernels.run_block(level, i, in, got);
        float largest = 0;
        for (const float x : right) largest = std::max(largest, std::abs(x));
        const auto channels = static_cast<std::size_t>(each.out_channels);
        for (std::size_t v = 0; v < right.size(); v += channels) {
          bool same = true;
          for (std::size_t k = v; k < v + channels; ++k) same &= std::abs(got[k] - right[k]) <= 1e-5f * largest;
          ++pixels, others += !same, ungated += !same && each.se_channels == 0;
        }
        in = std::move(right);
      }
    }
    const bool fused = isa.name != "portable";
    check(double(others) <= 1e-3 * double(pixels) && (ungated == 0 || !fused),
          text(isa.name, ", ", c.name, ": ", others, " of ", pixels, " pixels of the blocks of ", images,
               " images are not the integer rule's to 1e-5 (1 in 1000), ", ungated,
               " of them in blocks without squeeze-excite (0 with fused multiply-add)"));
  }
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  std::vector<std::string> names;
  std::string rule = "least_square_error", only, save;
  int threads = hardware_threads(), limit = 0, random = 20, calibration = 2000;
  std::uint64_t seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto number = [&](double least, double most) { return report::read_number(arg, argv[++i], least, most); };
    if (i + 1 < argc && arg == "--threads")
      threads = static_cast<int>(number(1, 256));
    else if (i + 1 < argc && arg == "--limit")
      limit = static_cast<int>(number(1, 1e9));
    else if (i + 1 < argc && arg == "--random")
      random = static_cast<int>(number(0, 1000));
    else if (i + 1 < argc && arg == "--calibration")
      calibration = static_cast<int>(number(1, 1e9));
    else if (i + 1 < argc && arg == "--seed")
      seed = static_cast<std::uint64_t>(number(0, 1e9));
    else if (i + 1 < argc && arg == "--rule")
      rule = argv[++i];
    else if (i + 1 < argc && arg == "--only")
      only = argv[++i];
    else if (i + 1 < argc && arg == "--save")
      save = argv[++i];
    else
      names.push_back(arg);
  }
  if (names.size() != 3) {
    std::cerr << "usage: int8_check FAMILY IMAGES CALIB [options]; --help explains\n";
    return 2;
  }
  return support::count_checks([&] {
    const family f = load_family(names[0]);
    data::image_folder images(names[1]);
    if (limit > 0 && static_cast<std::size_t>(limit) < images.size()) images = images.subset(std::size_t(limit), 1);
    const image_source source = decoded_source(data::image_folder(names[2]), f.preprocessing(), threads);
    const backend::cpu one, all{.threads = threads};
    const auto packed = one.pack(f.net());

    std::vector<candidate> candidates;
    for (std::size_t i = 0; i < f.levels().size(); ++i)
      candidates.push_back({text("level ", i), {f.levels()[i].arch, f.levels()[i].statistics}, 0.4});
    arch middle = largest(f.space());
    for (std::size_t i = 0; i < middle.ks.size(); ++i) middle.ks[i] = 5, middle.e[i] = decimal(4);
    for (auto& d : middle.d) d = 3;
    middle.r = f.space().resolutions[f.space().resolutions.size() / 2];
    arch narrow = smallest(f.space());
    narrow.r = largest(f.space()).r;
    candidates.push_back({"smallest", {smallest(f.space()), {}}, 0.5});
    candidates.push_back({"smallest, finest images", {narrow, {}}, 0.5});
    candidates.push_back({"middle", {middle, {}}, 0.5});
    candidates.push_back({"largest", {largest(f.space()), {}}, 0.5});
    random_stream stream(seed, "int8_check");
    for (int i = 0; i < random; ++i)
      candidates.push_back({text("random ", i), {conform(f.space(), random_arch(f.space(), stream)), {}}, 0.5});
    std::erase_if(candidates, [&](const candidate& c) { return c.name.find(only) == std::string::npos; });
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      evaluated_level& l = candidates[i].level;
      std::cerr << "  preparing " << candidates[i].name << '\n';
      if (l.statistics.mean.empty())
        l.statistics = calibrate(all, f.net(), std::span(&l.arch, 1), source,
                                 {.images = calibration, .threads = threads, .report_every = 0}, packed)[0]
                           .statistics;
      l.statistics.ranges = record_ranges(
          all, f.net(), l.arch, l.statistics, source,
          {.images = calibration, .batch = 16 * threads, .rule = rule_named(rule), .threads = threads}, packed);
    }
    if (!save.empty()) save_family(save, with_ranges(f, candidates));
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const auto& a, const auto& b) { return a.level.arch.r < b.level.arch.r; });

    const judged verdict(one, f.net(), candidates, images, f.preprocessing(), threads);
    double total = 0;
    const double n = static_cast<double>(images.size());
    for (std::size_t l = 0; l < candidates.size(); ++l) {
      int right = 0, right_bytes = 0, lost = 0, won = 0;
      for (std::size_t i = 0; i < images.size(); ++i) {
        const bool a = verdict.floats[l][i], b = verdict.bytes[l][i];
        right += a, right_bytes += b, lost += a && !b, won += !a && b;
      }
      const double loss = 100 * (right - right_bytes) / n;
      total += loss;
      check(loss <= candidates[l].most_lost,
            text(candidates[l].name, " at ", candidates[l].level.arch.r, ": top-1 ", fixed(100 * right / n, 2), " -> ",
                 fixed(100 * right_bytes / n, 2), ", ", fixed(loss, 2), " points lost (",
                 fixed(candidates[l].most_lost, 1), "), ", lost, " images lost and ", won, " won"));
    }
    const double mean = total / double(candidates.size());
    check(mean <= 0.1, text("on average ", fixed(mean, 3), " points lost (0.1)"));
    std::vector<candidate> levels;
    for (const candidate& c : candidates)
      if (c.name.starts_with("level")) levels.push_back(c);
    if (levels.empty()) return;
    check_memory(one, f, levels);
    check_exactness(f, levels.front(), source);
  });
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
