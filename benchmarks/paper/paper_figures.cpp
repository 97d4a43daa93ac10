// Figures 1 and 3 to 8 and Table 1 of the paper, measured on this machine.
//
//   paper_figures [--out DIR] [--page FILE] [--core N] [--quick]
//
// Every figure is DIR/NAME.svg, .png and .csv; the marked parts of FILE, a copy of docs/the-paper.md, are written anew.
// Without options these are docs/figures/paper and docs/the-paper.md: the target `paper`. A file for each story:
// peers.hpp says what is compared, figure_*.hpp and table_1.hpp how.
#include "dynofa/latency/machine.hpp"

#include <CLI/CLI.hpp>

#include <sys/resource.h>

#include "all_figures.hpp"
#include "cpu_disturbances.hpp"
#include <ctime>
#include <iostream>

namespace {

using namespace paper;

nlohmann::json read_json(const std::filesystem::path& file) {
  nlohmann::json j = nlohmann::json::parse(map_file(file).text(), nullptr, false);
  if (j.is_discarded()) throw error(errc::bad_file, file.string(), "a JSON file", "none");
  return j;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char date[16];
  return {date, std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now))};
}

} // namespace

static int program(int argc, char** argv) {
  CLI::App app("The paper's figures and table, measured on this machine", "paper_figures");
  const std::filesystem::path source = DYNOFA_SOURCE_DIR;
  std::filesystem::path out = source / "docs/figures/paper", page = source / "docs/the-paper.md";
  int core = 0;
  bool quick = false;
  app.add_option("--out", out, "folder of the figures and their numbers");
  app.add_option("--page", page, "page whose marked parts are written");
  app.add_option("--core", core, "everything on the CPU runs on this core")->check(CLI::Range(0, 1023));
  app.add_flag("--quick", quick, "a few seconds a figure, to see that it works");
  CLI11_PARSE(app, argc, argv);

  marked_page marked(
      page, {"run", "figure 1", "figure 3", "figure 4", "figure 5", "figure 6", "figure 7", "figure 8", "table 1"});
  make_folder(out);
  require_writable(out / "figure_1b.csv");
  support::pin_to(core);
  cpu_disturbances disturbances(core);                        // processes, which wait; made while this one is small
  if (getpriority(PRIO_PROCESS, 0) <= 0) support::go_first(); // not if the user has put it behind others
  report::catch_interrupts();
  const auto start = clock::now();
  story s{std::move(marked),
          out,
          source / "examples/assets/tinyimagenet.dynofa",
          read_json(source / "benchmarks/paper/published.json"),
          read_json(source / "benchmarks/slimmable.json"),
          quick};

  std::vector<candidate> networks = candidates(s);
  figure_5(s, networks);
  backend::cpu plain;
  device<backend::cpu> cpu{.key = "cpu",
                           .backend = plain,
                           .of_family = [] { return backend::cpu{.weights = "lossless"}; },
                           .name = device_name(plain),
                           .tolerance = 5e-4,
                           .panel = "b",
                           .all = disturbances.all(),
                           .comes = disturbances.half()};
  all_figures(s, cpu, networks);
  const bool gpu = figures_on_gpu(s, networks);
  if (!gpu)
    for (const char* part : {"figure 1", "figure 4"}) s.page.add(part, "No GPU was measured, so (a) is not drawn.\n");

  s.page.add("run", text(quick ? "**Measured with `--quick`: not to be quoted.** " : "", "Date: ", today(),
                         ". CPU: ", cpu.name, ", core ", core, " of ", hardware_threads(),
                         gpu ? "; GPU: in the figures." : "; no GPU was measured.", " The run took ",
                         fixed(ms_since(start) / 60000, 1), " minutes.\n"));
  s.page.write();
  std::cout << out.string() << " and " << page.string() << " are up to date, after "
            << fixed(ms_since(start) / 60000, 1) << " minutes\n";
  return 0;
}

#ifndef DYNOFA_WITH_CUDA
bool paper::figures_on_gpu(story& /*s*/, std::vector<candidate>& /*networks*/) { return false; }
#endif

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
