// ctest: --seconds 2 --out hold_test
// expect: another process comes.*it goes.*late.*replays: yes
#include "dynofa/backend/cpu.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/run_figure.hpp"
#include "dynofa/runtime/run_log_io.hpp"

#include <CLI/CLI.hpp>

#include "support/co_runner.hpp"
#include <chrono>
#include <iomanip>
#include <iostream>

// The paper's Figure 7: a target is held while another process comes to the same core, and goes. `forecast` sees from
// two late images how much slower the core has become, and the third runs on a level that is in time.
//
//   08_hold_a_target --seconds 10                hold.jsonl, hold.svg and .png

static int program(int argc, char** argv) {
  using namespace dynofa;
  CLI::App app("a latency target, a real co-runner");
  std::string file = DYNOFA_ASSETS "/tinyimagenet.dynofa", out = "hold";
  double seconds = 10;
  int core = 0;
  app.add_option("--family", file, "family file");
  app.add_option("--seconds", seconds, "the other process is there in the middle third")->check(CLI::PositiveNumber);
  app.add_option("--core", core, "both run on this core");
  app.add_option("--out", out, "writes OUT.jsonl, OUT.svg and OUT.png");
  CLI11_PARSE(app, argc, argv);

  std::ofstream log = open_to_write(out + ".jsonl");
  support::pin_to(core);
  const support::co_runner other(core); // it waits
  report::catch_interrupts();
  const backend::cpu cpu{.weights = "lossless"}; // half precision where the file's weights are halves
  family f = load_family(file);
  const std::string device = remeasure_latencies(f, cpu, 15);
  const std::size_t measured = f.levels().size();
  f.keep_front(device);
  runtime::dynamic_network net(cpu, f);
  const auto levels = net.figures();
  const runtime::target wanted{.latency_ms = 1.4 * levels.back().latency_ms};
  std::cout << device << ": " << measured << " levels, " << levels.size() << " of them its front here, of "
            << std::fixed << std::setprecision(2) << levels.front().latency_ms << " to " << levels.back().latency_ms
            << " ms; wanted: " << wanted.latency_ms << " ms for 95 % of the images\n";

  // Every image of the run is logged; the file is written when the log is full, between two images.
  runtime::manager_options options;
  options.on_log_full = [&](runtime::run_log& full) {
    runtime::write_json_lines(log, full), full.clear();
    require_written(log, out + ".jsonl");
  };
  options.on_switch = [](const runtime::image_record& r) {
    std::cout << "  image " << r.image << ": level " << r.level << ", " << name(r.why) << '\n';
  };
  const runtime::forecast policy(levels);
  runtime::manager m(std::move(net), policy, wanted, options);
  std::vector<float> logits(m.network().classes());
  const auto run_for = [&](double time, const char* what) {
    std::cout << what << std::endl;
    std::size_t images = 0, late = 0;
    double top1 = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(time);
    for (; images == 0 || (std::chrono::steady_clock::now() < end && !report::interrupted()); ++images) {
      const auto& r = m.run([](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); }, logits);
      late += r.late(), top1 += levels[r.level].top1;
    }
    std::cout << "  " << images << " images, late " << 100.0 * double(late) / double(images) << " %, top-1 "
              << top1 / double(images) << " on average, slowed down " << m.policy().filter().slow_down() << " times"
              << std::endl;
  };
  run_for(seconds / 3, "alone");
  other.start();
  run_for(seconds / 3, "another process comes");
  other.stop();
  run_for(seconds / 3, "it goes");
  runtime::write_json_lines(log, m.log());
  require_written(log, out + ".jsonl");
  report::stop_if_interrupted(out + ".jsonl, which holds the images so far");

  const runtime::run_log read = runtime::read_run_log(out + ".jsonl");
  std::vector<runtime::image_record> records;
  for (std::size_t i = 0; i < read.size(); ++i) records.push_back(read[i]);
  report::draw(runtime::figure_of(records, levels, "Another process comes and goes: " + device), out);
  std::cout << out << ".jsonl replays: " << (runtime::replay_log(read, runtime::forecast(levels)) ? "no" : "yes")
            << '\n';
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
