#include "dynofa/accuracy/assess.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/space/search_space.hpp"

#include "support/help.hpp"
#include <chrono>
#include <iomanip>
#include <iostream>

using namespace dynofa;

namespace {

constexpr const char* help = R"(predictor_check TRAIN.jsonl [TEST.jsonl]

Trains an accuracy predictor on JSON lines of {"ks", "e", "d", "r", "top1"} and assesses it on measurements that
it has not seen: those of TEST, or a fifth of TRAIN for each of three seeds. The bar: Kendall tau at least 0.92,
RMSE at most 0.40 points, training within 60 s. The space is once-for-all's w = 1.2 with whatever choices and
resolutions the files show. One line per case; exits 0 only when all pass.)";

int passed = 0, failed = 0;

void check(const std::string& name, const space_description& space, std::span<const measured_arch> train,
           std::span<const measured_arch> test, std::uint64_t seed) {
  // top1 may be a fraction or per cent
  double most = 0;
  for (const auto& one : train) most = std::max(most, one.accuracy);
  const double points = most <= 1 ? 100 : 1;

  training_options options;
  options.seed = seed;
  training_report report;
  const auto start = std::chrono::steady_clock::now();
  const accuracy_predictor predictor = train_predictor(space, train, options, &report);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const prediction_quality q = assess(predictor, test);
  const bool good = q.kendall_tau >= 0.92 && q.rmse * points <= 0.40 && seconds <= 60;
  (good ? passed : failed) += 1;
  std::cout << name << ": " << train.size() << " to learn, " << test.size() << " unseen, Kendall tau " << std::fixed
            << std::setprecision(4) << q.kendall_tau << ", RMSE " << q.rmse * points << " points, Spearman "
            << q.spearman << ", bias " << std::showpos << q.bias * points << std::noshowpos << ", noise about "
            << report.noise * points << ", trained in " << std::setprecision(1) << seconds << " s" << std::defaultfloat
            << (good ? "  pass" : "  FAIL") << std::endl;
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: predictor_check TRAIN.jsonl [TEST.jsonl]\n";
    return 2;
  }
  std::vector<measured_arch> all = load_accuracy_data(argv[1]);
  const std::size_t own = all.size();
  if (argc == 3) {
    const auto test = load_accuracy_data(argv[2]);
    all.insert(all.end(), test.begin(), test.end());
  }
  const space_description space = space_of_data(ofa_w1_2::description, all);
  const std::span<const measured_arch> both(all);
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    if (argc == 3)
      check(text("given test, seed ", seed), space, both.first(own), both.subspan(own), seed);
    else {
      const auto [train, test] = split(both, 0.8, seed);
      check(text("split by seed ", seed), space, train, test, seed);
    }
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 && passed > 0 ? 0 : 1;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
