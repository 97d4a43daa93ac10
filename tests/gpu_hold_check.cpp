#include "dynofa/backend/cuda.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/run_figure.hpp"
#include "dynofa/runtime/run_log_io.hpp"
#include "dynofa/runtime/thread_coordinator.hpp"
#include "dynofa/space/sampling.hpp"

#include "../examples/support/gpu_batches.hpp"
#include "support/checks.hpp"
#include "support/help.hpp"
#include "support/other_process.hpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr const char* help = R"(gpu_hold_check FAMILY [--seconds S] [--out STEM] [-- COMMAND …]

Run time on the GPU of this machine, by the same templates as on the CPU. First a dynamic network holds its
target while other work comes to the GPU and goes: large batches on a second stream of this process, or, where
given, a COMMAND, which prints a line when it is ready and then works until it is killed
(benchmarks/peers/torch_train.py trains a ResNet-18). The target lies half way between what the smallest and the
largest level take beside it, so that only a switch can hold it. Then two dynamic networks share the GPU through
the coordinator, and the work of an urgent network goes before that of others. STEM.jsonl, .dat and .gp: every
image of the first run, as in Fig. 7 of the paper. Every case prints a line, the last says `N passed, N failed`;
S seconds (default 15) for each of the first two.)";

using namespace dynofa;
using namespace dynofa::runtime;
using clock_type = std::chrono::steady_clock;
using milliseconds_type = std::chrono::duration<double, std::milli>;

using support::check, support::failed, support::fixed, support::passed;
double rank(std::vector<double> v, double p) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[std::min(v.size() - 1, static_cast<std::size_t>(p * static_cast<double>(v.size())))];
}
double since(clock_type::time_point start) { return milliseconds_type(clock_type::now() - start).count(); }
const auto ready = [](int, std::span<float>) {}; // the image lies there already

/// What comes to the GPU and goes.
struct other_work {
  std::string name;
  std::function<void()> start, stop;
};

struct part {
  const char* name;
  std::vector<image_record> images;
  std::size_t late(std::size_t from = 0) const {
    std::size_t n = 0;
    for (std::size_t i = from; i < images.size(); ++i) n += images[i].late();
    return n;
  }
};

/// Latencies of one level beside whatever runs, image by image.
std::vector<double> latencies(dynamic_network<backend::cuda>& net, std::size_t level, int images) {
  std::vector<float> logits(net.classes());
  std::vector<double> ms;
  net.switch_to(level);
  for (int i = 0; i < images; ++i) {
    const auto start = clock_type::now();
    net.run(ready, logits);
    ms.push_back(since(start));
  }
  return ms;
}

void check_holding(const family& f, const std::string& device, const other_work& other, double seconds,
                   const std::string& out) {
  std::cout << "beside " << other.name << '\n';
  dynamic_network<backend::cuda> net(backend::cuda{}, f);
  const auto levels = net.figures(device);
  const std::size_t top = levels.size() - 1;
  (void)latencies(net, top, 500);
  const std::vector<double> alone = latencies(net, top, 500);
  other.start();
  (void)latencies(net, top, 100);
  std::array<std::vector<double>, 2> beside; // of the smallest and of the largest level, in turn
  for (int turn = 0; turn < 10; ++turn)
    for (const std::size_t i : {std::size_t(0), std::size_t(1)})
      for (const double ms : latencies(net, i * top, 50)) beside[i].push_back(ms);
  other.stop();
  const double small = rank(beside[0], 0.95), large = rank(beside[1], 0.95), quiet = rank(alone, 0.95);
  const double limit = std::max(1.15 * quiet, std::sqrt(small * large));
  std::cout << "      " << levels.size() << " levels of " << fixed(levels.front().latency_ms, 3) << " to "
            << fixed(levels.back().latency_ms, 3) << " ms; beside it 95 % of the smallest level's images take "
            << fixed(small, 3) << " ms, of the largest's " << fixed(large, 3) << " (alone " << fixed(quiet, 3)
            << "); limit " << fixed(limit, 3) << " ms\n";

  std::ofstream log = open_to_write(out.empty() ? "/dev/null" : out + ".jsonl");
  manager_options options;
  options.on_log_full = [&](run_log& full) { write_json_lines(log, full), full.clear(); };
  manager m(std::move(net), forecast(levels), {.latency_ms = limit}, options);
  std::vector<float> logits(m.network().classes());
  std::array<part, 3> parts = {{{"alone", {}}, {"other work comes", {}}, {"it goes", {}}}};
  for (part& p : parts) {
    if (&p == &parts[1]) other.start();
    if (&p == &parts[2]) other.stop();
    for (const auto start = clock_type::now(); since(start) < 1000 * seconds / 3;)
      p.images.push_back(m.run(ready, logits));
    double top1 = 0;
    for (const auto& i : p.images) top1 += levels[i.level].top1 / static_cast<double>(p.images.size());
    std::cout << "      " << p.name << ": " << p.images.size() << " images, late "
              << fixed(100.0 * double(p.late()) / double(p.images.size())) << " %, top-1 " << fixed(top1)
              << " on average\n";
  }
  write_json_lines(log, m.log());
  log.flush();
  const auto share = [](const part& p) { // late of those after the first tenth
    const std::size_t from = p.images.size() / 10;
    return 100.0 * double(p.late(from)) / double(p.images.size() - from);
  };
  check(share(parts[0]) <= 5, text("alone, late ", fixed(share(parts[0])), " % (wanted: <= 5)"));
  if (small > limit)
    std::cout << "      beside it no level is in time often enough: the least bad one runs\n";
  else
    check(share(parts[1]) <= 10,
          text("beside it, late ", fixed(share(parts[1])), " % (wanted: <= 10); the largest level would be late in ",
               fixed(100.0 *
                     double(std::count_if(beside[1].begin(), beside[1].end(), [&](double ms) { return ms > limit; })) /
                     double(beside[1].size())),
               " %"));
  const auto& last = parts[2].images;
  const auto back = std::find_if(last.begin(), last.end(), [&](const auto& i) { return i.level == top; });
  check(back != last.end(),
        text("when it has gone, the largest level runs again after ", back - last.begin(), " images"));
  if (out.empty()) return;
  const run_log read = read_run_log(out + ".jsonl");
  check(!replay_log(read, forecast(levels)), text(read.size(), " images of the log replay"));
  std::vector<image_record> drawn; // a page has no room for more than some thousand points
  const std::size_t step = std::max<std::size_t>(1, read.size() / 4000);
  for (std::size_t i = 0; i < read.size(); i += step) drawn.push_back(read[i]);
  report::draw(figure_of(drawn, levels, "Other work comes to the GPU and goes: " + other.name), out);
}

/// Two cameras, each with a network and a backend object of its own; B comes after a quarter of the time.
void check_sharing(const family& f, const std::string& device, double seconds) {
  const auto levels = dynamic_network<backend::cuda>(backend::cuda{}, f).figures(device);
  const double top_ms = levels.back().latency_ms, limit = 1.5 * top_ms;
  std::cout << "two networks, an image every " << fixed(3 * top_ms) << " and " << fixed(3.4 * top_ms) << " ms, limit "
            << fixed(limit) << " ms\n";
  thread_coordinator together;
  std::array<std::vector<image_record>, 2> images;
  const auto begin = clock_type::now();
  const auto camera = [&](std::size_t who) {
    const double arrival = who == 0 ? 0 : 250 * seconds;
    std::this_thread::sleep_until(begin + std::chrono::duration_cast<clock_type::duration>(milliseconds_type(arrival)));
    manager m(dynamic_network(backend::cuda{.urgent = who == 0}, f), together.join(levels), {.latency_ms = limit});
    std::vector<float> logits(m.network().classes());
    const milliseconds_type period((who == 0 ? 3 : 3.4) * top_ms);
    for (auto next = clock_type::now(); since(begin) < 1000 * seconds;) {
      const image_record& r = m.run(ready, logits);
      if (since(begin) > 250 * seconds + 1000) images[who].push_back(r); // from 1 s after B's arrival on
      next = std::max(next + std::chrono::duration_cast<clock_type::duration>(period), clock_type::now());
      std::this_thread::sleep_until(next);
    }
  };
  {
    std::jthread a([&] { camera(0); }), b([&] { camera(1); });
  }
  bool met = true;
  std::string sentence;
  for (const std::size_t who : {std::size_t(0), std::size_t(1)}) {
    std::size_t late = 0;
    double level = 0;
    std::vector<double> ms;
    for (const auto& i : images[who])
      late += i.late(), level += double(i.level) / double(images[who].size()), ms.push_back(i.latency_ms);
    met &= !images[who].empty() && 10 * late <= images[who].size();
    sentence += text(who == 0 ? " A (urgent)" : "; B", ": late ", late, " of ", images[who].size(), ", median ",
                     fixed(rank(ms, 0.5), 3), " ms, 95 % ", fixed(rank(ms, 0.95), 3), ", mean level ", fixed(level));
  }
  check(met, "coordinated, from 1 s after B's arrival on:" + sentence + " (wanted: late <= 10 %)");
}

void check_priority(const family& f, const other_work& batches) {
  std::array<std::array<double, 2>, 2> ms{}; // [urgent][median, 95 %]
  batches.start();
  for (int round = 0; round < 2; ++round)
    for (const bool urgent : {false, true}) {
      dynamic_network<backend::cuda> net(backend::cuda{.urgent = urgent}, f);
      (void)latencies(net, net.size() - 1, 300);
      const auto all = latencies(net, net.size() - 1, 2000);
      ms[urgent] = {rank(all, 0.5), rank(all, 0.95)};
    }
  batches.stop();
  check(ms[true][0] <= ms[false][0],
        text("beside large batches an image of the largest level takes ", fixed(ms[true][0], 3),
             " ms (95 %: ", fixed(ms[true][1], 3), ") if its network is urgent, ", fixed(ms[false][0], 3), " (",
             fixed(ms[false][1], 3), ") if not"));
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  std::string file, out;
  double seconds = 15;
  std::vector<std::string> command;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--")
      while (++i < argc) command.emplace_back(argv[i]);
    else if (arg == "--seconds" && i + 1 < argc)
      seconds = report::read_number(arg, argv[++i], 3, 1e6);
    else if (arg == "--out" && i + 1 < argc)
      out = argv[++i];
    else
      file = arg;
  }
  if (file.empty()) {
    std::cerr << "usage: gpu_hold_check FAMILY [--seconds S] [--out STEM] [-- COMMAND …]\n";
    return 2;
  }
  if (!out.empty()) require_writable(out + ".jsonl");
  std::optional<support::other_process> process; // started first: a CUDA context does not survive a fork
  if (!command.empty()) process.emplace(command);
  family f = load_family(file);
  const std::string device = remeasure_latencies(f, backend::cuda{}, 40);
  f.keep_front(device);
  std::cout << device << '\n';
  if (process) {
    check_holding(f, device, {command.back(), [&] { process->start(); }, [&] { process->stop(); }}, seconds, out);
  } else {
    support::gpu_batches batches(f.net(), largest(f.net()->space), 64); // large ones of the largest network
    const other_work other{"batches of 64 on a second stream", [&] { batches.start(); }, [&] { batches.stop(); }};
    check_holding(f, device, other, seconds, out);
    check_priority(f, other);
    check_sharing(f, device, seconds);
  }
  std::cout << passed << " passed, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
