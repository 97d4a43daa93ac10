#include <dynofa/accuracy/data.hpp>
#include <dynofa/accuracy/train.hpp>
#include <dynofa/family/file.hpp>
#include <dynofa/family/measure.hpp>
#include <dynofa/latency/profile.hpp>
#include <dynofa/report/program.hpp>
#include <dynofa/runtime/forecast.hpp>
#include <dynofa/runtime/manager.hpp>
#include <dynofa/search/family_selection.hpp>
#include <dynofa/search/pareto.hpp>
#include <dynofa/testing/conformance.hpp>

#include "onednn.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

// What the library does with a backend that it has never seen: judge it, profile it, search on it, hold a target on it.
//
//   lesson [SECONDS]        of the profile, per resolution

static_assert(dynofa::inference_backend<lesson::onednn>);

static int program(int argc, char** argv) {
  using namespace dynofa;
  if (argc > 1 && std::string(argv[1]) == "--help")
    return std::puts(
               "lesson [SECONDS]: judges, profiles, searches and runs on oneDNN; SECONDS of profile per resolution"),
           0;
  const lesson::onednn backend;

  // 1. Is it right? Every block and whole networks against the reference backend, and all that the concept promises.
  const conformance::report report = conformance::judge(backend);
  for (const std::string& finding : report.findings) std::printf("%s\n", finding.c_str());
  std::printf("%s: %zu findings, blocks within %.1e, logits within %.1e of the reference's rms\n",
              backend.name().c_str(), report.findings.size(), report.worst_block, report.worst_logits);
  if (!report.passed()) return 1;

  // 2. How quick is it, and which sub-networks are worth having on it?
  family f = load_family(DYNOFA_ASSETS "/tinyimagenet.dynofa");
  profiler profile(backend, f.net(), {.quick = true, .seconds_per_resolution = argc > 1 ? std::atof(argv[1]) : 2.0});
  profile.run();
  const table_model latency(f.space(), profile.table());
  const auto measured = load_accuracy_data(DYNOFA_ASSETS "/tinyimagenet_accuracy.jsonl");
  const accuracy_predictor accuracy =
      train_predictor(f.space(), measured, {.members = 2, .epochs = 10, .taught = 4000});
  search::pareto_options options;
  options.levels = 6, options.evaluations = 2000;
  search::pareto_search search(f.space(), accuracy, latency, options);
  search.run();
  for (const auto& level : search::select_levels(search.state().all, 4))
    std::printf("predicted: %5.2f ms  %5.2f %%  %s\n", level.cost, 100 * level.accuracy, text(level.arch).c_str());

  // 3. The family's levels on it, timed, and a target that only some of them can hold.
  f.keep_front(remeasure_latencies(f, backend, 9));
  runtime::dynamic_network net(backend, f);
  const auto levels = net.figures();
  const runtime::target wanted{.latency_ms = (levels.front().latency_ms + levels.back().latency_ms) / 2};
  runtime::manager manager(std::move(net), runtime::forecast(levels), wanted);
  std::vector<float> logits(manager.network().classes());
  std::size_t late = 0, images = 200;
  double top1 = 0;
  for (std::size_t i = 0; i < images; ++i) {
    const auto& r =
        manager.run([](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); }, logits);
    late += r.late(), top1 += levels[r.level].top1;
  }
  std::printf("%zu levels of %.2f to %.2f ms; within %.2f ms: %zu of %zu images late, top-1 %.1f %% on average\n",
              levels.size(), levels.front().latency_ms, levels.back().latency_ms, wanted.latency_ms, late, images,
              top1 / double(images));
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
