// ctest: --images 40 --out switch_test
// expect: 8 wishes.*images.*replays: yes
#include "dynofa/backend/cpu.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/runtime/lookup.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/run_figure.hpp"
#include "dynofa/runtime/run_log_io.hpp"

#include <CLI/CLI.hpp>

#include <iomanip>
#include <iostream>

// The paper's Figure 6: nothing else runs on the device, but what is wanted changes, and with it the level. `lookup`
// takes the most accurate level that the table promises in time, or the quickest one that is accurate enough.
//
//   07_switch_at_run_time                        a minute or less; switches.jsonl, switches.svg and .png

static int program(int argc, char** argv) {
  using namespace dynofa;
  CLI::App app("constraints change, the level follows");
  std::string file = DYNOFA_ASSETS "/tinyimagenet.dynofa", out = "switches";
  int images = 400;
  app.add_option("--family", file, "family file");
  app.add_option("--images", images, "images under each wish")->check(CLI::PositiveNumber);
  app.add_option("--out", out, "writes OUT.jsonl, OUT.svg and OUT.png");
  CLI11_PARSE(app, argc, argv);

  std::ofstream log = open_to_write(out + ".jsonl");
  report::catch_interrupts();
  family f = load_family(file);
  const backend::cpu cpu{.weights = "lossless"}; // half precision where the file's weights are halves
  const std::string device = remeasure_latencies(f, cpu, 10);
  const std::size_t measured = f.levels().size();
  f.keep_front(device); // what counts is this machine
  runtime::dynamic_network net(cpu, f);
  const auto levels = net.figures();
  const auto bytes = net.bytes();
  std::cout << device << ": " << measured << " levels, " << levels.size() << " of them its front here, " << std::fixed
            << std::setprecision(1) << double(bytes.weights) / 1e6 << " MB of weights, " << double(bytes.levels) / 1e3
            << " KB for all levels\n";

  // From loose to tight and back, by latency, then by accuracy.
  const double quick = levels.front().latency_ms, slow = levels.back().latency_ms;
  const double low = levels.front().top1, high = levels.back().top1;
  const std::vector<runtime::target> wishes = {{.latency_ms = 1.2 * slow},     {.latency_ms = 0.7 * slow},
                                               {.latency_ms = 0.4 * slow},     {.latency_ms = 1.2 * quick},
                                               {.latency_ms = 0.7 * slow},     {.min_top1 = low},
                                               {.min_top1 = (low + high) / 2}, {.min_top1 = high}};
  const runtime::lookup policy(levels);
  runtime::manager m(std::move(net), policy, wishes.front(),
                     {.log_images = wishes.size() * static_cast<std::size_t>(images)});
  std::vector<float> logits(m.network().classes());
  std::cout << wishes.size() << " wishes, " << images << " images each\n"
            << "       wanted        level  top-1   ms (95 %)   first image" << std::endl;
  for (const auto& wish : wishes) {
    m.set_target(wish);
    const double first =
        m.run([](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); }, logits).latency_ms;
    for (int i = 1; i < images && !report::interrupted(); ++i)
      m.run([](int, std::span<float>) {}, logits); // the image lies there already
    const std::size_t level = m.last().level;
    std::cout << std::setprecision(2)
              << (wish.latency_ms < runtime::target::none ? text("<= ", fixed(wish.latency_ms, 2), " ms")
                                                          : text(">= ", fixed(wish.min_top1, 2), " %"))
              << std::setw(13) << level << std::setw(9) << levels[level].top1 << std::setw(8)
              << m.monitor().mean_ms(level) << " (" << m.monitor().percentile_ms(level, 0.95) << ")" << std::setw(12)
              << first << std::endl;
    if (report::interrupted()) break;
  }
  runtime::write_json_lines(log, m.log());
  require_written(log, out + ".jsonl");
  report::stop_if_interrupted(out + ".jsonl, which holds the images so far");

  const runtime::run_log read = runtime::read_run_log(out + ".jsonl");
  std::vector<runtime::image_record> records;
  for (std::size_t i = 0; i < read.size(); ++i) records.push_back(read[i]);
  report::draw(runtime::figure_of(records, levels, "Constraints change, nothing else runs: " + device), out);
  std::cout << out << ".jsonl replays: " << (runtime::replay_log(read, runtime::lookup(levels)) ? "no" : "yes") << '\n';
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
