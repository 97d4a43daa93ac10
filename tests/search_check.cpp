#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/search/pareto.hpp"
#include "dynofa/space/search_space.hpp"

#include "golden/sections_de.hpp"
#include "support/help.hpp"
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <vector>

using namespace dynofa;
namespace fs = std::filesystem;

namespace {

constexpr const char* help = R"(search_check DIR [--seeds N]

The search bar on a folder with a search.json. Tables (lut_DEVICE.json), predictor (acc_predictor.safetensors)
and the paper's sub-networks (paper_subnets.json) are taken from it or from a folder beside it. At every limit
and for every seed: at least the accuracy of the recorded evolution, at least that of the paper's own
sub-network within the limit; all limits of a device in one run too, all devices together within 5 s; a median
of at most 1 s per limit. One line per case; exits 0 only when all pass.)";

constexpr double tolerance = 1e-6; // of a predicted accuracy, as recorded outputs have float32 rounding

struct bar {
  double limit, wanted;
};

nlohmann::json read(const fs::path& path) { return nlohmann::json::parse(map_file(path).text()); }

fs::path needed(const fs::path& dir, const std::string& name) {
  const fs::path file = golden::shared_file(dir, name);
  if (file.empty()) throw error(errc::io, dir.string(), "a file " + name + " there or beside", "none");
  return file;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int passed = 0, failed = 0;
std::string verdict(bool good) {
  (good ? passed : failed) += 1;
  return good ? "  pass" : "  FAIL";
}

void check_device(const fs::path& dir, const std::string& device, std::vector<bar> bars, const space_description& space,
                  const accuracy_predictor& accuracy, std::uint64_t seeds, std::vector<double>& walls,
                  std::vector<double>& family_walls) {
  const table_model latency(space, load_latency_table(needed(dir, "lut_" + device + ".json")));
  if (const fs::path file = golden::shared_file(dir, "paper_subnets.json"); !file.empty()) {
    const nlohmann::json paper = read(file); // never worse than the paper's own sub-network within the limit
    for (const auto& subnet : paper.at("subnets"))
      if (const arch a = read_arch(subnet); is_legal(space, a))
        for (bar& b : bars)
          if (latency(a) <= b.limit) b.wanted = std::max(b.wanted, accuracy(a));
  }
  for (const bar& b : bars) {
    double least = 1, slowest = 0;
    std::size_t evaluations = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      search::pareto_options options;
      options.limits = {b.limit};
      options.evaluations = 80000;
      options.seed = seed;
      const auto start = std::chrono::steady_clock::now();
      const auto found = search::pareto(space, accuracy, latency, std::move(options));
      walls.push_back(seconds_since(start));
      slowest = std::max(slowest, walls.back());
      least = std::min(least, found.best(0).accuracy);
      evaluations = std::max(evaluations, found.evaluations());
    }
    std::cout << std::left << std::setw(12) << device << std::right << std::setw(7) << b.limit << " ms: worst of "
              << seeds << " seeds " << std::fixed << std::setprecision(5) << least << ", wanted " << b.wanted << " ("
              << std::showpos << least - b.wanted << std::noshowpos << "), " << evaluations << " evaluations, slowest "
              << std::setprecision(2) << slowest << " s" << std::defaultfloat << std::setprecision(6)
              << verdict(least >= b.wanted - tolerance) << std::endl;
  }
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    search::pareto_options options;
    for (const bar& b : bars) options.limits.push_back(b.limit);
    options.seed = seed;
    options.threads = hardware_threads();
    const auto start = std::chrono::steady_clock::now();
    const auto found = search::pareto(space, accuracy, latency, std::move(options));
    const double wall = seconds_since(start);
    family_walls[seed - 1] += wall;
    double margin = 1;
    for (const bar& b : bars) margin = std::min(margin, found.all.best_within(b.limit)->accuracy - b.wanted);
    std::cout << std::left << std::setw(12) << device << std::right << " family of " << bars.size() << ", seed " << seed
              << ": least margin " << std::fixed << std::setprecision(5) << std::showpos << margin << std::noshowpos
              << ", " << found.evaluations() << " evaluations, front of " << found.all.members().size() << ", "
              << std::setprecision(2) << wall << " s" << std::defaultfloat << std::setprecision(6)
              << verdict(margin >= -tolerance && wall <= 5) << std::endl;
  }
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  const bool seeds_given = argc == 4 && std::string(argv[2]) == "--seeds";
  if (argc != 2 && !seeds_given) {
    std::cerr << "usage: search_check DIR [--seeds N]\n";
    return 2;
  }
  const auto seeds = static_cast<std::uint64_t>(seeds_given ? report::read_number("SEEDS", argv[3], 1, 1000) : 5);
  const fs::path dir = argv[1];
  const nlohmann::json search = read(dir / "search.json");
  space_description space = ofa_w1_2::description;
  if (search.contains("settings") && search["settings"].contains("resolutions")) {
    space.resolutions = {};
    for (const auto& r : search["settings"]["resolutions"]) space.resolutions.push_back(r.get<std::uint16_t>());
  }
  const accuracy_predictor accuracy = load_official_predictor(needed(dir, "acc_predictor.safetensors"), space);
  std::map<std::string, std::vector<bar>> devices;
  for (const auto& run : search.at("runs")) {
    const double wanted = run.contains("best_accuracy_over_seeds") ? run["best_accuracy_over_seeds"].get<double>()
                                                                   : run.at("best_accuracy").get<double>();
    devices[run.at("device")].push_back({run.at("latency_constraint_ms"), wanted});
  }
  std::vector<double> walls, family_walls(seeds);
  for (const auto& [device, bars] : devices)
    check_device(dir, device, bars, space, accuracy, seeds, walls, family_walls);
  const double slowest_family = *std::max_element(family_walls.begin(), family_walls.end());
  std::cout << "families of all devices together, all cores, slowest seed " << slowest_family << " s"
            << verdict(slowest_family <= 5) << std::endl;
  if (!walls.empty()) {
    std::nth_element(walls.begin(), walls.begin() + std::ptrdiff_t(walls.size() / 2), walls.end());
    const double median = walls[walls.size() / 2];
    std::cout << "median wall time of one limit " << median << " s" << verdict(median <= 1) << std::endl;
  }
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 && passed > 0 ? 0 : 1;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
