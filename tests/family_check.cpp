#include "dynofa/backend/cpu.hpp"
#include "dynofa/calibrate/evaluate.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/report/progress.hpp"

#include "support/help.hpp"
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>

constexpr const char* help = R"(family_check FILE IMAGES

Measures every level of a family file again, on any folder of labelled images of the same classes, and states
how far the file's claims are off. A level passes if its top-1 lies within what chance explains: the two 95 %
intervals overlap. On the images it was made with, the counts are the same to the image.)";

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  using namespace dynofa;
  if (argc != 3) {
    std::cerr << "family_check FILE IMAGES\n";
    return 2;
  }
  family f = load_family(argv[1]);
  std::vector<std::string> ids;
  for (const auto& c : f.classes()) ids.push_back(c.id);
  const data::image_folder images(argv[2], ids);
  std::vector<evaluated_level> levels;
  for (const auto& l : f.levels()) levels.push_back({l.arch, l.statistics, l.format});
  const backend::cpu one_core{};
  report::progress bar(std::cerr, "evaluate");
  const auto results = evaluate(one_core, f.net(), one_core.pack(f.net()), levels, images, f.preprocessing(),
                                {.threads = hardware_threads(), .progress = std::ref(bar)});
  const auto here = measure_latencies(one_core, f);
  int passed = 0, failed = 0;
  std::cout << images.to_string() << "; here: " << here.at(0).device
            << "\nlevel   r  top-1 claimed  here   difference  "
            << "claimed ms  here ms\n"
            << std::fixed;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto& claim = f.levels()[i].accuracy;
    const auto& now = results[i].accuracy;
    const auto a = claim.top1_interval(), b = now.top1_interval();
    const bool good = claim.images > 0 && a.low <= b.high && b.low <= a.high;
    const auto* ms = f.latency_on(i, here[i].device);
    std::cout << std::setw(5) << i << std::setw(5) << levels[i].arch.r << std::setprecision(2) << std::setw(11)
              << claim.top1() << std::setw(11) << now.top1() << std::setw(11) << std::showpos
              << now.top1() - claim.top1() << std::noshowpos << std::setprecision(3) << std::setw(12)
              << (ms ? text(ms->median_ms) : std::string("-")) << std::setw(10) << here[i].median_ms
              << (good ? "\n" : "  FAILED\n");
    (good ? passed : failed) += 1;
  }
  std::cout << passed << " passed, " << failed << " failed\n";
  return failed == 0 && passed > 0 ? 0 : 1;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
