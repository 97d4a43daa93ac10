// ctest: --quick --seconds 0.6 --resolutions 64 96 128 --out 04_table.json
// expect: 288 entries, 120 interpolated, 0 missing.*wrote 04_table.json.*measured =
// installed as: dynofa-profile
#include "dynofa/backend/cpu.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/latency/profile.hpp"
#include "dynofa/latency/quality.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/report/progress.hpp"
#include "dynofa/space/sampling.hpp"

#include <CLI/CLI.hpp>

#include "spaces.hpp"
#include <iostream>

// Builds the latency table of this machine: the time of every operation that networks of a space are made of.
//
//   04_profile_this_device --out my_machine.json           (a minute at most; --quick --seconds 1: 3 s)
//
// Ctrl-C stops it. With --state FILE the measurements so far are kept there, and the next call goes on.

using namespace dynofa;

static int program(int argc, char** argv) {
  CLI::App app("Times what the networks of a space are made of");
  std::string checkpoint = DYNOFA_ASSETS "/tinyimagenet_w1.2.safetensors", out = "latency_table.json", state_name;
  std::string isa;
  int threads = 1;
  profile_options options;
  app.add_option("--checkpoint", checkpoint, "super-network with its space (safetensors)");
  app.add_option("--resolutions", options.resolutions, "all of the space if left out");
  app.add_option("--seconds", options.seconds_per_resolution, "at most, per resolution");
  app.add_option("--tolerance", options.tolerance, "wanted precision of each median");
  app.add_flag("--quick", options.quick, "time a subset and interpolate");
  app.add_option("--threads", threads);
  app.add_option("--isa", isa, "avx512, avx2, neon or portable; the best if left out");
  app.add_option("--out", out, "table to write, .json or .yaml");
  app.add_option("--state", state_name, "keeps the measurements, to go on later");
  CLI11_PARSE(app, argc, argv);

  const auto net = std::make_shared<const supernet>(load_supernet(checkpoint));
  const backend::cpu cpu{.isa = isa, .threads = threads}; // or your own: see docs/guide/your-own-hardware.md

  // A profile can be interrupted at any time and continued from its stored state.
  require_writable(out);
  report::catch_interrupts();
  report::progress bar(std::cerr, "operations");
  options.on_progress = [&](const profile_progress& p) { return bar(p.done, p.total); }; // false after Ctrl-C
  profile_state state;
  if (!state_name.empty()) {
    require_writable(state_name);
    state = load_profile_state(state_name);
    if (state.seconds > 0) std::cout << "going on from " << state.seconds << " s of measurements" << std::endl;
  }
  profiler profile(cpu, net, options, state);
  profile.run();
  bar.end();
  if (!state_name.empty()) save_profile_state(state_name, profile.state());
  report::stop_if_interrupted(state_name.empty() ? "profile" : "profile, which another call continues from --state");

  // How far can it be trusted? Noise and drift come from one operation that was timed again and again in between.
  const latency_table table = profile.table();
  const profile_report report = profile.report();
  std::cout << table.device << ", " << table.backend << ": " << report.keys << " operations in " << report.seconds
            << " s, " << report.unsettled.size() << " not within " << 100 * options.tolerance << " %, drift "
            << 100 * report.drift << " %, noise " << 100 * report.noise << " %\n";
  if (options.quick)
    std::cout << "interpolation: median error " << 100 * report.interpolation.median_error << " %, at worst "
              << 100 * report.interpolation.largest_error << " %, on " << report.interpolation.held_out
              << " entries that were timed as well\n";
  std::cout << summary(examine(table, net->space));

  save_latency_table(out, table);
  std::cout << "wrote " << out << '\n';

  // The sum of the entries, corrected by the whole networks that were timed along the way, is the latency model.
  const calibrated_model latency = profile.model();
  std::cout << "measured = " << latency.scale() << " * sum + " << latency.offset() << " ms, leave-one-out error "
            << latency.fit().leave_one_out_rms() << " ms rms over " << latency.fit().residuals.size() << " networks\n";
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
