#include "dynofa/core/number.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/core/state_file.hpp"
#include "dynofa/latency/machine.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/report/progress.hpp"
#include "dynofa/space/sampling.hpp"

#include "support.hpp"
#include <chrono>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

namespace {

constexpr const char* usage =
    R"(bench_sweep [--quick | --full] [--isa NAME] [--threads N] [--random N] [--seed S] [--seconds S] [--points N]
    [--out PREFIX]

Latency of sub-networks on this machine over resolution × depth × kernel × expand.

The networks that make the same choice everywhere (135 at the paper's five resolutions, 459 with --full), and
with --random N (default 0; --full 500) as many that do not, in an order drawn from the seed, so that a drift of
the clock does not look like a trend. Writes PREFIX.csv while it runs, then PREFIX.json and, where there is a
gnuplot, PREFIX.png. Stop it when you like (Ctrl-C): PREFIX.state.json keeps what was
measured, the same command goes on where it stopped, and one with another backend, processor, build, seed, time or
choice of networks is refused. --points N only says when to stop. --quick, the
default, gives each network a quarter of a second, --full two. The first network of each resolution is compared
with the reference backend before it is timed.)";

using namespace bench;

struct options {
  std::string isa, out;
  int threads, random, points;
  std::uint64_t seed;
  double seconds;
  bool full = false;
};

struct point {
  arch a;
  std::string depth, kernel, expand; ///< the choice made everywhere, or "mixed"
  double mmacs = 0, median_ms = 0, min_ms = 0;
  int runs = 0;
};

/// What was measured, by architecture, as it stands in the files: a row's names are the columns of the table.
using rows = std::map<arch, nlohmann::json>;
constexpr const char* columns[] = {"resolution", "depth",  "kernel", "expand", "mmacs",
                                   "median_ms",  "min_ms", "runs",   "arch"};

/// All that a row depends on. The build is among it: kernels are what is measured.
named_inputs inputs(const options& o, const backend::cpu& b) {
  return {{"backend", b.name()},
          {"processor", read_machine_facts().processor},
          {"build", text("hash ", in_base(16, fnv1a64(map_file("/proc/self/exe").text())))},
          {"--seed", text(o.seed)},
          {"--seconds", text(o.seconds)},
          {"--random", text(o.random)},
          {"networks", o.full ? "of every resolution" : "of the paper's resolutions"}};
}

/// All that the space offers, or those of the paper.
std::vector<int> resolutions_of(const options& o) {
  std::vector<int> list;
  for (int r : ofa_w1_2::description.resolutions)
    if (o.full || r % 16 == 0) list.push_back(r);
  return list;
}

std::vector<point> points_of(const options& o) {
  const space_description& d = ofa_w1_2::description;
  std::vector<point> list;
  for (int r : resolutions_of(o))
    for (int depth : d.stages[0].depths)
      for (int kernel : d.stages[0].kernels)
        for (const decimal expand : d.stages[0].expands) {
          point p{smallest(d), std::to_string(depth), std::to_string(kernel), text(expand)};
          for (auto& v : p.a.ks) v = static_cast<std::uint8_t>(kernel);
          for (auto& v : p.a.e) v = expand;
          for (auto& v : p.a.d) v = static_cast<std::uint8_t>(depth);
          p.a.r = static_cast<std::uint16_t>(r);
          list.push_back(p);
        }
  random_stream random(o.seed, "sweep");
  for (int i = 0; i < o.random; ++i) list.push_back({random_arch(d, random), "mixed", "mixed", "mixed"});
  for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[static_cast<std::size_t>(random() % i)]);
  if (o.points > 0 && static_cast<std::size_t>(o.points) < list.size()) list.resize(static_cast<std::size_t>(o.points));
  return list;
}

/// The rows that an earlier call measured; none if there was none.
rows finished(const state_file& state) {
  rows all;
  if (const auto stored = state.load())
    detail::json_field(*stored, state.path().string()).each(1 << 20, [&](const detail::json_field& row) {
      for (const char* column : columns)
        if (!row.object().has(column)) throw row.fault(text("a field ", column));
      all.emplace(read_arch(row["arch"].value()), row.value());
    });
  return all;
}

/// A cell of a table of comma-separated values (RFC 4180): in quotes where it holds any, or a comma; a quote is
/// doubled.
std::string cell(const nlohmann::json& value) {
  const std::string content = value.is_string() ? value.get<std::string>() : value.dump();
  if (content.find_first_of(",\"\n") == content.npos) return content;
  std::string quoted = "\"";
  for (char c : content) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

/// The state and the table, as far as they are.
void save(const options& o, const state_file& state, const std::vector<point>& order, const rows& done) {
  nlohmann::json list = nlohmann::json::array();
  std::string csv;
  const auto line = [&](auto cell_of) {
    for (const char* column : columns) csv += (column == columns[0] ? "" : ",") + cell_of(column);
    csv += "\r\n";
  };
  line([](const char* column) { return std::string(column); });
  for (const point& p : order)
    if (const auto row = done.find(p.a); row != done.end())
      line([&](const char* column) { return cell(row->second[column]); });
  for (const auto& [a, row] : done) list.push_back(row); // those too that a smaller --points leaves out
  state.save(list);
  replace_file(o.out + ".csv", csv);
}

void measure(point& p, const options& o, const backend::cpu& b, std::set<int>& judged) {
  static const auto packed = b.pack(paper_supernet()); // one copy of the weights for all points
  session runner(b, paper_supernet(), packed);
  auto level = runner.load(p.a);
  const std::vector<float> image = random_values(image_values(p.a.r), p.a.r);
  std::vector<float> logits = runner.run(level, image);
  if (judged.insert(p.a.r).second) {
    session judge(backend::reference{}, paper_supernet());
    auto truth = judge.load(p.a);
    if (const auto fault = difference(logits, judge.run(truth, image), 5e-4); !fault.empty())
      throw error(errc::mismatch, text(p.a), "the reference backend's logits", fault);
  }
  p.mmacs = 1e-6 * static_cast<double>(level->plan.macs());
  watch w;
  for (int i = 0; i < 2; ++i) runner.run(level, image, logits);
  for (double total = 0; (total < o.seconds * 1e3 || p.runs < 5) && p.runs < 60'000 && !report::interrupted();
       ++p.runs) {
    w.time([&] { runner.run(level, image, logits); });
    total += w.last_ms();
  }
  if (p.runs > 0) p.median_ms = w.median_ms(), p.min_ms = w.min_ms();
}

void write_json(const options& o, const backend::cpu& b, const rows& done) {
  nlohmann::json all = {{"backend", b.name()},
                        {"processor", read_machine_facts().processor},
                        {"seed", o.seed},
                        {"points", nlohmann::json::array()}};
  for (const auto& [a, row] : done) {
    nlohmann::json flat = a;
    flat.update(row);
    flat.erase("arch");
    all["points"].push_back(flat);
  }
  replace_file(o.out + ".json", detail::json_text(all, o.out + ".json", 1) + '\n');
}

/// Four pictures in one: latency over MACs, and over each choice with the other two at their largest, per resolution.
void draw(const options& o, const std::string& title) {
  const auto quoted = [](const std::string& name) { return report::detail::quoted(name); };
  std::ostringstream script;
  script << "set terminal pngcairo size 1200,900\nset output " << quoted(o.out + ".png")
         << "\nset datafile separator ','\nset multiplot layout 2,2 title " << quoted(title)
         << "\nset ylabel 'median ms'\nset yrange [0:]\nset grid\nset key top left\n"
         << "set xlabel 'million MACs'\nplot " << quoted(o.out + ".csv")
         << " every ::1 using 5:6:1 with points pt 7 ps .6 palette title 'colour: resolution'\n";
  const char* const names[] = {"", "", "depth", "kernel", "expand ratio"};
  for (int x : {2, 3, 4}) {
    script << "set xlabel '" << names[x] << "'\nset xrange ["
           << (x == 3   ? "2.5:7.5"
               : x == 2 ? "1.8:4.2"
                        : "2.5:6.5")
           << "]\nplot ";
    for (int r : resolutions_of(o)) {
      script << (r == resolutions_of(o).front() ? "" : ", ") << quoted(o.out + ".csv") << " every ::1 using "
             << "($1==" << r;
      for (int other : {2, 3, 4})
        if (other != x) script << " && $" << other << "==" << (other == 2 ? 4 : other == 3 ? 7 : 6);
      script << " ? $" << x << " : 1/0):6 with points pt 7 title '" << r << "'";
    }
    script << '\n';
  }
  script << "unset multiplot\n";
  replace_file(o.out + ".gp", script.str());
  if (const int status = report::detail::run_gnuplot(".", o.out + ".gp"); status == 0)
    std::cout << o.out << ".png\n";
  else
    std::cerr << "no picture: " << (status < 0 ? "gnuplot is not installed\n" : "gnuplot failed on " + o.out + ".gp\n");
}

int sweep(const options& o) {
  const backend::cpu b{.isa = o.isa, .threads = o.threads};
  for (const char* ending : {".csv", ".json", ".state.json"}) require_writable(o.out + ending);
  const state_file state(o.out + ".state.json", inputs(o, b));
  const std::vector<point> points = points_of(o);
  rows done = finished(state);
  const auto known = std::ranges::count_if(points, [&](const point& p) { return done.contains(p.a); });
  if (known > 0)
    std::cout << state.path().string() << ": " << known << " of " << points.size() << " were measured before"
              << std::endl;
  report::catch_interrupts();
  report::progress bar(std::cerr, b.name());
  std::set<int> judged;
  auto saved = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < points.size() && !report::interrupted(); ++i) {
    bar(i, points.size());
    point p = points[i];
    if (done.contains(p.a)) continue;
    measure(p, o, b, judged);
    if (report::interrupted()) break; // of this network too little was seen
    done[p.a] = {{"resolution", p.a.r}, {"depth", p.depth}, {"kernel", p.kernel},
                 {"expand", p.expand},  {"mmacs", p.mmacs}, {"median_ms", p.median_ms},
                 {"min_ms", p.min_ms},  {"runs", p.runs},   {"arch", p.a}};
    if (std::chrono::steady_clock::now() - saved < std::chrono::seconds(2)) continue; // a sync may disturb the next one
    save(o, state, points, done);
    saved = std::chrono::steady_clock::now();
  }
  save(o, state, points, done);
  report::stop_if_interrupted(state.path().string() + ", from which the same command goes on");
  bar(points.size(), points.size());
  write_json(o, b, done);
  std::cout << o.out << ".csv\n" << o.out << ".json\n";
  draw(o, text(b.name(), " on ", read_machine_facts().processor, ", seed ", o.seed));
  return 0;
}

} // namespace

static int program(int argc, char** argv) {
  if (printed_help(argc, argv, usage)) return 0;
  options o;
  bool& full = o.full;
  for (int i = 1; i < argc; ++i)
    if (const std::string arg = argv[i]; arg == "--full" || arg == "--quick") {
      full = arg == "--full";
      std::copy(argv + i + 1, argv + argc, argv + i);
      --argc, --i;
    }
  auto number = [&](const char* name, double otherwise, double least, double most) {
    const std::string given = take_option(argc, argv, name);
    if (given.empty()) return otherwise;
    return report::read_number(name, given, least, most);
  };
  o.isa = take_option(argc, argv, "--isa");
  o.out = take_option(argc, argv, "--out", "sweep");
  o.threads = static_cast<int>(number("--threads", 1, 1, 256));
  o.random = static_cast<int>(number("--random", full ? 500 : 0, 0, 100'000));
  o.points = static_cast<int>(number("--points", 0, 0, 1'000'000));
  o.seed = static_cast<std::uint64_t>(number("--seed", 1, 0, 1e15));
  o.seconds = number("--seconds", full ? 2 : .25, .001, 600);
  if (argc > 1) {
    std::cerr << usage << '\n';
    return 2;
  }
  return sweep(o);
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
