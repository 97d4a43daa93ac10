#include "dynofa/backend/cpu.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/latency/profile.hpp"
#include "dynofa/latency/quality.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/space/search_space.hpp"

#include "support/help.hpp"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

using namespace dynofa;
using steady = std::chrono::steady_clock;

namespace {

constexpr const char* help = R"(latency_check [--seconds N] [--threads N] [--isa NAME] [--seed N] [--save TABLE]

Profiles this machine's CPU backend at 160, 192 and 224 pixels and judges the table on 40 random sub-networks of
once-for-all w = 1.2 that the profiler has not met. Those, and 12 more that calibrate the table, are measured in
one interleaved run. One line per case; exits 0 only when all pass. About two minutes at one thread.)";

using paper_space = search_space<ofa_mobilenet_v3, width<1.2>, depth<2, 3, 4>, expand<3, 4, 6>, kernel<3, 5, 7>,
                                 resolution<160, 192, 224>>;
constexpr std::size_t unseen = 40, calibrating = 12;

double seconds_since(steady::time_point start) { return std::chrono::duration<double>(steady::now() - start).count(); }

int passed = 0, failed = 0;
void verdict(bool good, const std::string& line) {
  (good ? passed : failed) += 1;
  std::cout << (good ? "pass  " : "FAIL  ") << line << std::endl;
}

/// Medians of whole-network runs, all networks in turn, for `seconds`.
std::vector<double> measure(const backend::cpu& cpu, const supernet_ptr& net, const std::vector<arch>& archs,
                            double seconds) {
  const auto packed = cpu.pack(net);
  std::vector<plan> plans;
  std::vector<backend::cpu::bound> levels;
  for (const arch& a : archs) {
    plans.push_back(make_plan(net->space, a));
    levels.push_back(cpu.bind(packed, plans.back(), fold(*net, plans.back(), stored_statistics(*net, plans.back()))));
  }
  auto workspace = cpu.make_workspace(plans);
  std::vector<float> image(224 * 224 * 3, 0.5f), logits(static_cast<std::size_t>(net->space.classes));
  std::vector<samples> times(archs.size());
  std::size_t rounds = 0;
  for (const auto start = steady::now(); rounds < 5 || seconds_since(start) < seconds; ++rounds)
    for (std::size_t i = 0; i < archs.size(); ++i) {
      const std::span<const float> in(image.data(), image_values(archs[i].r));
      cpu.run(levels[i], workspace, in, logits); // brings this network's weights in, as when it stays in use
      const auto before = steady::now();
      cpu.run(levels[i], workspace, in, logits);
      times[i].push_back(std::chrono::nanoseconds(steady::now() - before).count());
    }
  std::vector<double> medians;
  double widest = 0;
  for (const samples& s : times) {
    const auto m = find_median(s);
    medians.push_back(m.median * 1e-6);
    widest = std::max(widest, m.half_width());
  }
  std::cout << "      measured " << archs.size() << " networks in " << rounds << " rounds, medians within +-"
            << 100 * widest << " %\n";
  return medians;
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) rank[order[i]] = static_cast<double>(i);
  return rank;
}
double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const auto x = ranks(a), y = ranks(b);
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) squares += (x[i] - y[i]) * (x[i] - y[i]);
  const double n = static_cast<double>(x.size());
  return 1 - 6 * squares / (n * (n * n - 1));
}

struct agreement {
  double spearman, median, p95;
};
template <cost_model Model>
agreement compare(const Model& model, const std::vector<arch>& archs, const std::vector<double>& measured) {
  std::vector<double> predicted, errors;
  for (std::size_t i = 0; i < unseen; ++i) {
    predicted.push_back(model(archs[i]));
    errors.push_back(std::abs(predicted[i] / measured[i] - 1));
  }
  std::sort(errors.begin(), errors.end());
  const auto at = [&](double q) { return errors[static_cast<std::size_t>(std::ceil(q * unseen)) - 1]; };
  return {spearman(predicted, {measured.begin(), measured.begin() + unseen}), at(0.5), at(0.95)};
}
std::string words(const agreement& a) {
  return text("Spearman ", fixed(a.spearman, 4), ", median error ", fixed(100 * a.median, 2), " %, 95th percentile ",
              fixed(100 * a.p95, 2), " %");
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  double seconds = 15;
  std::uint64_t seed = 1;
  backend::cpu wanted;
  std::string save;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i], value = argv[i + 1];
    if (option == "--seconds") seconds = report::read_number(option, value, 0, 1e6);
    if (option == "--threads") wanted.threads = static_cast<int>(report::read_number(option, value, 1, 1024));
    if (option == "--isa") wanted.isa = value;
    if (option == "--seed") seed = static_cast<std::uint64_t>(report::read_number(option, value, 0, 1e15));
    if (option == "--save") save = value;
  }
  if (!save.empty()) require_writable(save);
  const backend::cpu cpu{.isa = wanted.isa, .threads = wanted.threads};
  const space_description& space = paper_space::description;
  const auto net = std::make_shared<const supernet>(random_supernet(space, 1)); // times do not depend on the weights

  profiler profile(cpu, net, {.seconds_per_resolution = seconds, .seed = seed});
  const auto start = steady::now();
  profile.run();
  const double spent = seconds_since(start) / 3;
  const latency_table table = profile.table();
  const profile_report report = profile.report();
  std::cout << table.device << ", " << table.backend << ": " << report.keys << " operations timed, "
            << report.unsettled.size() << " not within 2 %, drift " << 100 * report.drift << " %, noise "
            << 100 * report.noise << " %\n";
  if (!save.empty()) save_latency_table(save, table);

  const table_quality quality = examine(table, space);
  verdict(quality.missing.empty() && quality.entries == 3 * 96,
          text(quality.entries, " entries for 3 resolutions, ", quality.missing.size(), " missing"));
  std::cout << summary(quality);
  verdict(spent <= 40, text("profiling one resolution took ", spent, " s (at most 40)"));

  random_stream random(seed, "latency_check");
  std::vector<arch> archs;
  const auto carriers = profile.whole_networks();
  while (archs.size() < unseen + calibrating) {
    arch a = random_arch(space, random);
    a.r = space.resolutions[archs.size() % 3];
    const auto same = [&](const auto& c) { return c.arch == a; };
    if (std::none_of(carriers.begin(), carriers.end(), same) && std::find(archs.begin(), archs.end(), a) == archs.end())
      archs.push_back(a);
  }
  const std::vector<double> measured = measure(cpu, net, archs, 40);

  const table_model sum(space, table);
  std::vector<milliseconds> few;
  for (std::size_t i = unseen; i < archs.size(); ++i) few.emplace_back(measured[i]);
  const calibrated_model calibrated(sum, std::span(archs).subspan(unseen), few);
  const agreement alone = compare(sum, archs, measured), good = compare(calibrated, archs, measured);
  std::cout << "      table alone:    " << words(alone) << '\n';
  std::cout << "      table + affine of the profile's own runs: " << words(compare(profile.model(), archs, measured))
            << '\n';
  const affine_fit& fit = calibrated.fit();
  double worst = 0;
  for (double e : fit.residuals) worst = std::max(worst, std::abs(e));
  std::cout << "      table + affine: " << words(good) << "\n      affine: measured = " << fit.slope << " * sum + "
            << fit.intercept << " ms from " << calibrating << " runs, largest residual " << worst
            << " ms, leave-one-out " << fit.leave_one_out_rms() << " ms rms\n";
  verdict(good.spearman >= 0.99, text("Spearman ", good.spearman, " on ", unseen, " unseen networks (at least 0.99)"));
  verdict(good.median <= 0.03, text("median error ", 100 * good.median, " % (at most 3 %)"));
  verdict(good.p95 <= 0.08, text("95th percentile ", 100 * good.p95, " % (at most 8 %)"));

  std::cout << passed << " passed, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
