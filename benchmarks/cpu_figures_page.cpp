// Rewrites the measured part of docs/kernels.md, between its markers, from what the benchmarks wrote as JSON; of
// docs/guide/int8.md with only the first of the files.
//
//   cpu_figures_page PAGE.md SUBNETS.json BLOCKS.json OPS.json [--peers FILE.json]
//   cpu_figures_page PAGE.md SUBNETS.json
//
// The targets cpu_figures and int8_figures run the benchmarks and this. A peers file is {"peer": "name and version",
// "rows": [{"name", "threads", "ours": {"median_ms", "min_ms"}, "theirs": {"median_ms", "min_ms"}}, …]};
// peers/README.md says how to measure one.
#include "dynofa/core/output.hpp"
#include "dynofa/latency/machine.hpp"
#include "dynofa/report/program.hpp"

#include "ops.hpp"
#include "support.hpp"
#include <array>
#include <cstdio>
#include <iomanip>
#include <iostream>
#include <set>
#include <sstream>

namespace {

using namespace bench;
using nlohmann::json;

constexpr const char *begin_marker = "<!-- measured: begin -->", *end_marker = "<!-- measured: end -->";

json read(const std::string& file) {
  json j = json::parse(map_file(file).text(), nullptr, false);
  if (j.is_discarded()) throw error(errc::bad_file, file, "a JSON file", "none");
  return j;
}

/// Rows of a Google Benchmark file by name. A row that was refused is an error: nothing wrong is printed.
std::map<std::string, json> rows_of(const std::string& file) {
  std::map<std::string, json> rows;
  const json all = read(file);
  for (const auto& row : all.at("benchmarks")) {
    std::string name = row.at("name");
    if (row.value("error_occurred", false))
      throw error(errc::mismatch, file, name + " measured", row.value("error_message", ""));
    if (const auto end = name.rfind("/manual_time"); end != name.npos) name.resize(end);
    rows[name] = row;
  }
  return rows;
}
const json& row(const std::map<std::string, json>& rows, const std::string& name) {
  const auto found = rows.find(name);
  if (found == rows.end()) throw error(errc::mismatch, "cpu_figures_page", "a row " + name, "none");
  return found->second;
}

struct geometric_mean {
  double logs = 0;
  int n = 0;
  void add(double v) { logs += std::log(v), ++n; }
  double value() const { return n ? std::exp(logs / n) : 0; }
};

void networks_table(std::ostream& out, const std::map<std::string, json>& subnets) {
  out << "### The 13 networks\n\nOne image, milliseconds over single images; ratio: the minimum over the floor (2 · "
         "MACs / FMA peak / threads).\n\n"
         "| network | MMACs | floor | 1 thread: median | minimum | ratio | fp16 weights: minimum | ratio | 2 threads: "
         "median | minimum | ratio | 1 thread / 2 threads |\n"
         "|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  geometric_mean one, half, two, gain;
  for (const auto& n : paper_networks) {
    const std::string name = "subnet/" + std::string(n.name) + "/cpu/threads:";
    const json &a = row(subnets, name + "1"), &b = row(subnets, name + "2"), &h = row(subnets, name + "1/fp16_weights");
    const double speedup = a["median_ms"].get<double>() / b["median_ms"].get<double>();
    out << "| " << n.name << " | " << fixed(1e-6 * double(make_plan(ofa_w1_2::description, n.arch).macs()), 0);
    out << " | " << fixed(a["floor_ms"]) << " | " << fixed(a["median_ms"]) << " | " << fixed(a["min_ms"]) << " | "
        << fixed(a["min_over_floor"]);
    out << " | " << fixed(h["min_ms"]) << " | " << fixed(h["min_over_floor"]);
    out << " | " << fixed(b["median_ms"]) << " | " << fixed(b["min_ms"]) << " | " << fixed(b["min_over_floor"]) << " | "
        << fixed(speedup) << " |\n";
    one.add(a["min_over_floor"]), half.add(h["min_over_floor"]), two.add(b["min_over_floor"]), gain.add(speedup);
  }
  out << "| **geometric mean** | | | | | **" << fixed(one.value()) << "** | | **" << fixed(half.value())
      << "** | | | **" << fixed(two.value()) << "** | **" << fixed(gain.value()) << "** |\n\n";
}

void bytes_table(std::ostream& out, const std::map<std::string, json>& subnets) {
  out << "One image, milliseconds over single images; floor: multiply-accumulates over the peak of byte products ("
      << fixed(row(subnets, "subnet/cpu0/cpu/threads:1/int8")["peak_gflops"].get<double>() / 2, 0)
      << " · 10^9 a second and core); ratio: the minimum over the floor; gain: fp32's median over int8's.\n\n"
         "| network | MMACs | floor | 1 thread: median | minimum | ratio | gain | 2 threads: median | minimum | ratio "
         "| gain "
         "|\n|---|---|---|---|---|---|---|---|---|---|---|\n";
  geometric_mean ratios[2], gains[2];
  for (const auto& n : paper_networks) {
    out << "| " << n.name << " | " << fixed(1e-6 * double(make_plan(ofa_w1_2::description, n.arch).macs()), 0);
    for (int threads : {1, 2}) {
      const std::string name = text("subnet/", n.name, "/cpu/threads:", threads);
      const json &floats = row(subnets, name), &bytes = row(subnets, name + "/int8");
      const double gain = floats["median_ms"].get<double>() / bytes["median_ms"].get<double>();
      if (threads == 1) out << " | " << fixed(bytes["floor_ms"]);
      out << " | " << fixed(bytes["median_ms"]) << " | " << fixed(bytes["min_ms"]) << " | "
          << fixed(bytes["min_over_floor"]) << " | " << fixed(gain);
      ratios[threads - 1].add(bytes["min_over_floor"]), gains[threads - 1].add(gain);
    }
    out << " |\n";
  }
  out << "| **geometric mean** | |";
  for (int t : {0, 1})
    out << (t == 0 ? " | | | **" : " | | | **") << fixed(ratios[t].value()) << "** | **" << fixed(gains[t].value())
        << "**";
  out << " |\n\n";
}

/// The network whose blocks are shown: the largest.
const bench::network& shown() {
  return *std::find_if(std::begin(paper_networks), std::end(paper_networks),
                       [](const bench::network& n) { return n.name == "cpu6"; });
}

void blocks_table(std::ostream& out, const std::map<std::string, json>& blocks, const json& whole) {
  const plan p = make_plan(ofa_w1_2::description, shown().arch);
  double sum = 0;
  for (const block& b : p.blocks) sum += row(blocks, block_row_name(b) + "/cpu/threads:1")["min_ms"].get<double>();
  out << "### Block by block: " << shown().name << "\n\nEach block alone, 1 thread, minimum. Together " << fixed(sum)
      << " ms; the whole network takes " << fixed(whole["min_ms"])
      << " ms: a block alone finds its weights in the cache, in the network they come from L3 or memory, and the first "
         "three run as one.\n\n"
         "| block | µs | share | over floor | above floor, µs |\n|---|---|---|---|---|\n";
  for (const block& b : p.blocks) {
    const json& r = row(blocks, block_row_name(b) + "/cpu/threads:1");
    const double us = 1e3 * r["min_ms"].get<double>(), over = r["over_floor"];
    out << "| " << block_row_name(b).substr(6) << " | " << fixed(us, 0) << " | " << fixed(us / sum / 10, 1) << " % | "
        << fixed(over) << " | " << fixed(us - us / over, 0) << " |\n";
  }
  out << '\n';
}

void kernels_tables(std::ostream& out, const std::map<std::string, json>& ops, double peak) {
  // Every shape of every network: the roofline by kernel.
  std::map<std::string, std::vector<const json*>> kinds;
  for (const auto& [name, r] : ops) kinds[name.substr(3, name.find('/', 3) - 3)].push_back(&r);
  auto middle = [](std::vector<double> v) {
    std::nth_element(v.begin(), v.begin() + std::ptrdiff_t(v.size() / 2), v.end());
    return v[v.size() / 2];
  };
  out << "### Kernel by kernel: the roofline\n\nEvery shape of the 13 networks, 1 thread, minimum. Operands are where "
         "the blocks find them (L1 and L2), or, for matvec, where the last run left "
         "them. FLOP per byte counts each operand once.\n\n"
         "| kernel | shapes | FLOP / byte | GFLOP/s: lowest | median | highest | median of peak | median GB/s "
         "|\n|---|---|---|---|---|---|---|---|\n";
  for (const auto& [kind, list] : kinds) {
    std::vector<double> gflops, intensity, of_peak, rate;
    for (const json* r : list) {
      gflops.push_back((*r)["GFLOPs"]), of_peak.push_back((*r)["of_peak"]), rate.push_back((*r)["GBps"]);
      intensity.push_back(gflops.back() / rate.back());
    }
    const auto [least, most] = std::minmax_element(gflops.begin(), gflops.end());
    const auto [thin, thick] = std::minmax_element(intensity.begin(), intensity.end());
    out << "| " << kind << " | " << list.size() << " | " << fixed(*thin, 1) << " – " << fixed(*thick, 1) << " | "
        << fixed(*least, 0) << " | " << fixed(middle(gflops), 0) << " | " << fixed(*most, 0) << " | "
        << fixed(100 * middle(of_peak), 0) << " % | " << fixed(middle(rate), 0) << " |\n";
  }

  // The kernel calls of one network: where the rest goes.
  std::map<std::string, std::array<double, 2>> parts; // µs, µs at peak
  double sum = 0, floor = 0;
  for (const block& b : make_plan(ofa_w1_2::description, shown().arch).blocks)
    for (const auto& [name, make] : ops_of(b)) {
      const json& r = row(ops, "op/" + name);
      const double us = r["min_us"], at_peak = us * r["of_peak"].get<double>();
      const std::string kind = name.substr(0, name.find('/'));
      const bool head =
          b.kind == block_kind::final_expand || b.kind == block_kind::feature_mix || b.kind == block_kind::classifier;
      const std::string part = head ? "head" : kind == "matvec" || kind.starts_with("gate") ? "squeeze-excite" : kind;
      parts[part][0] += us, parts[part][1] += at_peak, sum += us, floor += at_peak;
    }
  out << "\nThe kernel calls of " << shown().name << " one by one: " << fixed(sum / 1e3)
      << " ms, at the FMA peak they would take " << fixed(floor / 1e3) << " ms (" << fixed(peak, 0)
      << " GFLOP/s). Where the difference goes:\n\n| part | µs | share | µs at peak | above |\n|---|---|---|---|---|\n";
  for (const auto& [part, us] : parts)
    out << "| " << part << " | " << fixed(us[0], 0) << " | " << fixed(100 * us[0] / sum, 1) << " % | "
        << fixed(us[1], 0) << " | " << fixed(us[0] - us[1], 0) << " |\n";
  out << '\n';
}

void peers_table(std::ostream& out, const std::string& file) {
  const json peers = read(file);
  const std::string peer = peers.at("peer").get<std::string>().substr(0, 80);
  out << "### Beside " << peer
      << "\n\nMeasured in turn on the same cores; theirs / ours.\n\n| network | threads | ours: median | theirs | "
         "ratio | ours: minimum | theirs | ratio |\n|---|---|---|---|---|---|---|---|\n";
  std::map<int, std::array<geometric_mean, 2>> means;
  for (const auto& r : peers.at("rows")) {
    const int threads = r.at("threads");
    out << "| " << r.at("name").get<std::string>() << " | " << threads;
    for (int i : {0, 1}) {
      const char* what = i == 0 ? "median_ms" : "min_ms";
      const double ours = r.at("ours").at(what), theirs = r.at("theirs").at(what);
      out << " | " << fixed(ours) << " | " << fixed(theirs) << " | " << fixed(theirs / ours);
      means[threads][std::size_t(i)].add(theirs / ours);
    }
    out << " |\n";
  }
  for (const auto& [threads, m] : means)
    out << "| **geometric mean** | " << threads << " | | | **" << fixed(m[0].value()) << "** | | | **"
        << fixed(m[1].value()) << "** |\n";
  out << '\n';
}

} // namespace

static int program(int argc, char** argv) {
  const std::string peers = take_option(argc, argv, "--peers");
  constexpr const char* usage =
      "usage: cpu_figures_page PAGE.md SUBNETS.json [BLOCKS.json OPS.json] [--peers FILE.json]\n"
      "Writes the figures of bench_subnets, bench_blocks and bench_ops into PAGE.md; of bench_subnets alone those of "
      "int8.";
  if (printed_help(argc, argv, usage)) return 0;
  const bool of_bytes = argc == 3;
  if (argc != 5 && !of_bytes) {
    std::cerr << usage << '\n';
    return 2;
  }
  require_writable(argv[1]);
  const auto subnets = rows_of(argv[2]);
  const json& whole = row(subnets, "subnet/" + std::string(shown().name) + "/cpu/threads:1");
  const json context = read(argv[2]).at("context");
  const double peak = whole.at("peak_gflops");

  std::ostringstream out;
  out << "Machine: " << read_machine_facts().processor << ", " << context.value("num_cpus", 0) << " CPUs, "
      << whole.value("label", "") << ", FMA peak " << fixed(peak, 1) << " GFLOP/s on one core, caches";
  for (const auto& c : context.value("caches", json::array()))
    if (c.value("type", "") != "Instruction")
      out << " L" << c.value("level", 0) << " " << c.value("size", 0) / 1024 << " KiB";
  out << ". Date: " << context.value("date", "").substr(0, 10) << ".\n\n";
  if (of_bytes) {
    bytes_table(out, subnets);
  } else {
    networks_table(out, subnets);
    blocks_table(out, rows_of(argv[3]), whole);
    kernels_tables(out, rows_of(argv[4]), peak);
  }
  if (!peers.empty()) peers_table(out, peers);

  std::string page(map_file(argv[1]).text());
  const auto begin = page.find(begin_marker), end = page.find(end_marker);
  if (begin == page.npos || end == page.npos || end < begin)
    throw error(errc::bad_file, argv[1], text("the lines ", begin_marker, " and ", end_marker), "a page without");
  page.replace(begin, end - begin, text(begin_marker, "\n\n", out.str()));
  replace_file(argv[1], page);
  std::cout << argv[1] << " is up to date\n";
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
