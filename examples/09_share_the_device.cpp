// ctest: --seconds 3 --out share_test
// expect: B arrives.*A: .*late.*B: .*late.*together
#include "dynofa/backend/cpu.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/run_log_io.hpp"
#include "dynofa/runtime/thread_coordinator.hpp"

#include <CLI/CLI.hpp>

#include "support/co_runner.hpp"
#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

// The paper's Figure 8: two dynamic networks share a device. A has it for itself; B arrives, both get slower, and the
// coordinator lowers one of them at a time until both are in time. Each has a camera of its own and its own limit.
//
//   09_share_the_device --seconds 15             share_A.jsonl, share_B.jsonl, share.svg and .png

static int program(int argc, char** argv) {
  using namespace dynofa;
  using clock = std::chrono::steady_clock;
  CLI::App app("two dynamic networks, one core");
  std::string file = DYNOFA_ASSETS "/tinyimagenet.dynofa", out = "share";
  double seconds = 15, weight = 1;
  int core = 0;
  app.add_option("--family", file, "family file");
  app.add_option("--seconds", seconds, "B arrives after a third of them")->check(CLI::PositiveNumber);
  app.add_option("--weight", weight, "priority of B; A has 1")->check(CLI::PositiveNumber);
  app.add_option("--core", core, "both run on this core");
  app.add_option("--out", out, "writes OUT_A.jsonl, OUT_B.jsonl, OUT.svg and OUT.png");
  CLI11_PARSE(app, argc, argv);

  const std::array<std::string, 2> log_names = {out + "_A.jsonl", out + "_B.jsonl"};
  std::array<std::ofstream, 2> logs = {open_to_write(log_names[0]), open_to_write(log_names[1])};
  report::catch_interrupts();
  support::pin_to(core);                         // the threads to come as well
  const backend::cpu cpu{.weights = "lossless"}; // half precision where the file's weights are halves
  family f = load_family(file);
  const std::string device = remeasure_latencies(f, cpu, 15);
  const std::size_t measured = f.levels().size();
  f.keep_front(device);
  runtime::dynamic_network first(cpu, f);
  const auto levels = first.figures();
  const auto weights = first.weights(); // both networks share them
  const double top = levels.back().latency_ms;
  const std::array<double, 2> period = {3 * top, 3.4 * top}, limit = {1.6 * top, 1.5 * top};
  std::cout << device << ": " << measured << " levels, " << levels.size() << " of them its front here, of "
            << std::fixed << std::setprecision(2) << levels.front().latency_ms << " to " << top << " ms; limits "
            << limit[0] << " ms for A, " << limit[1] << " ms for B\n";

  runtime::thread_coordinator together;
  std::array<report::series, 4> drawn;
  std::mutex printing;
  const auto start = clock::now();
  const auto seconds_since = [&] { return std::chrono::duration<double>(clock::now() - start).count(); };
  std::array<std::string, 2> summary;
  const auto camera = [&](std::size_t who, runtime::thread_coordinator::member member) {
    const char name = who == 0 ? 'A' : 'B';
    std::ofstream& log = logs[who];
    runtime::manager_options options;
    options.on_log_full = [&](runtime::run_log& full) { runtime::write_json_lines(log, full), full.clear(); };
    options.on_switch = [&](const runtime::image_record& r) {
      const std::scoped_lock lock(printing);
      std::cout << "  " << seconds_since() << " s: " << name << " on level " << r.level << ", " << runtime::name(r.why)
                << '\n';
    };
    runtime::manager m(runtime::dynamic_network(cpu, f, weights), std::move(member), {.latency_ms = limit[who]},
                       options);
    std::vector<float> logits(m.network().classes());
    std::size_t images = 0, late = 0;
    double top1 = 0;
    for (auto next = clock::now(); seconds_since() < seconds && !report::interrupted();
         std::this_thread::sleep_until(next)) {
      const auto& r = m.run([](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); }, logits);
      ++images, late += r.late(), top1 += levels[r.level].top1;
      drawn[2 * who].points.push_back({seconds_since(), r.latency_ms});
      drawn[2 * who + 1].points.push_back({seconds_since(), limit[who]});
      next = std::max(
          next + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double, std::milli>(period[who])),
          clock::now());
    }
    runtime::write_json_lines(log, m.log());
    summary[who] = text(name, ": ", images, " images, late ", 100.0 * double(late) / double(images), " %, top-1 ",
                        top1 / double(images), " on average\n");
  };
  {
    std::jthread a([&] { camera(0, together.join(levels)); });
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds / 3));
    {
      const std::scoped_lock lock(printing);
      std::cout << "B arrives" << std::endl;
    }
    std::jthread b([&] { camera(1, together.join(levels, {.weight = weight})); });
    b.join(), a.join();
  }
  std::cout << summary[0] << summary[1];
  for (std::size_t i = 0; i < 2; ++i) require_written(logs[i], log_names[i]);
  report::stop_if_interrupted("logs, which hold the images so far");
  using look = report::series::look;
  const std::array<std::pair<const char*, look>, 4> titles = {
      {{"A", look::points}, {"limit of A", look::line}, {"B", look::points}, {"limit of B", look::line}}};
  for (std::size_t i = 0; i < drawn.size(); ++i) drawn[i].title = titles[i].first, drawn[i].style = titles[i].second;
  report::draw({"Two dynamic networks: " + device, "seconds", "ms per image", {drawn.begin(), drawn.end()}}, out);
  std::cout << "together: " << out << "_A.jsonl, " << out << "_B.jsonl, " << out << ".svg\n";
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
