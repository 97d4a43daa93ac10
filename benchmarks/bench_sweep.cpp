#include "dynofa/core/number.hpp"
#include "dynofa/latency/machine.hpp"
#include "dynofa/report/progress.hpp"
#include "dynofa/space/sampling.hpp"

#include "support.hpp"
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
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
gnuplot, PREFIX.png. Stop it when you like (Ctrl-C): the same command goes on where it stopped. --quick, the
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

volatile std::sig_atomic_t interrupted = 0;

constexpr const char* columns = "resolution,depth,kernel,expand,mmacs,median_ms,min_ms,runs,arch";

/// What a file must say to be taken up again.
std::string heading(const options& o, const backend::cpu& b) {
  return text("# ", b.name(), " on ", read_machine_facts().processor, ", seed ", o.seed);
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

std::string key(const arch& a) { return nlohmann::json(a).dump(); }

/// The rows of a file of this very sweep, by architecture; none if there is no file. A row cut short is left out.
std::map<std::string, std::string> finished(const options& o, const std::string& head) {
  std::ifstream in(o.out + ".csv");
  std::map<std::string, std::string> rows;
  std::string line;
  if (!in || !std::getline(in, line)) return rows;
  if (line != head)
    throw error(errc::mismatch, o.out + ".csv", "a sweep of " + head.substr(2) + "; give another --out",
                line.substr(0, 200));
  while (std::getline(in, line))
    if (const auto start = line.find('{'); start != line.npos && line.back() == '}') rows[line.substr(start)] = line;
  return rows;
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
  for (double total = 0; (total < o.seconds * 1e3 || p.runs < 5) && p.runs < 60'000 && !interrupted; ++p.runs) {
    w.time([&] { runner.run(level, image, logits); });
    total += w.last_ms();
  }
  if (p.runs > 0) p.median_ms = w.median_ms(), p.min_ms = w.min_ms();
}

void write_json(const options& o, const backend::cpu& b, const std::map<std::string, std::string>& rows) {
  nlohmann::json all = {{"backend", b.name()},
                        {"processor", read_machine_facts().processor},
                        {"seed", o.seed},
                        {"points", nlohmann::json::array()}};
  for (const auto& [arch_text, row] : rows) {
    std::istringstream in(row);
    std::string cell[8];
    for (auto& c : cell) std::getline(in, c, ',');
    const auto number = [&](int i) { return parse_number<double>(cell[i]).value_or(0); };
    nlohmann::json j = nlohmann::json::parse(arch_text);
    j.update({{"mmacs", number(4)}, {"median_ms", number(5)}, {"min_ms", number(6)}, {"runs", int(number(7))}});
    for (int i : {1, 2, 3}) j[i == 1 ? "depth" : i == 2 ? "kernel" : "expand"] = cell[i];
    all["points"].push_back(j);
  }
  replace_file(o.out + ".json", all.dump(1) + '\n');
}

/// Four pictures in one: latency over MACs, and over each choice with the other two at their largest, per resolution.
void draw(const options& o, const std::string& title) {
  std::ofstream script(o.out + ".gp");
  script << "set terminal pngcairo size 1200,900\nset output '" << o.out << ".png'\nset datafile separator ','\n"
         << "set multiplot layout 2,2 title \"" << title
         << "\"\nset ylabel 'median ms'\nset yrange [0:]\nset grid\nset key top left\n"
         << "set xlabel 'million MACs'\nplot '" << o.out
         << ".csv' every ::1 using 5:6:1 with points pt 7 ps .6 palette title 'colour: resolution'\n";
  const char* const names[] = {"", "", "depth", "kernel", "expand ratio"};
  for (int x : {2, 3, 4}) {
    script << "set xlabel '" << names[x] << "'\nset xrange ["
           << (x == 3   ? "2.5:7.5"
               : x == 2 ? "1.8:4.2"
                        : "2.5:6.5")
           << "]\nplot ";
    for (int r : resolutions_of(o)) {
      script << (r == resolutions_of(o).front() ? "" : ", ") << "'" << o.out << ".csv' every ::1 using "
             << "($1==" << r;
      for (int other : {2, 3, 4})
        if (other != x) script << " && $" << other << "==" << (other == 2 ? 4 : other == 3 ? 7 : 6);
      script << " ? $" << x << " : 1/0):6 with points pt 7 title '" << r << "'";
    }
    script << '\n';
  }
  script << "unset multiplot\n";
  script.close();
  if (std::system(("gnuplot '" + o.out + ".gp' 2>'" + o.out + ".gp.log'").c_str()) != 0)
    std::cerr << "no picture: gnuplot is not installed or failed (see " << o.out << ".gp.log)\n";
  else
    std::cout << o.out << ".png\n", std::filesystem::remove(o.out + ".gp.log");
}

int sweep(const options& o) {
  const backend::cpu b{.isa = o.isa, .threads = o.threads};
  const std::string head = heading(o, b);
  const std::vector<point> points = points_of(o);
  std::map<std::string, std::string> rows = finished(o, head);
  std::ofstream csv(o.out + ".csv"); // written anew, so that a row cut short by a crash does not stay
  if (!csv) throw error(errc::io, o.out + ".csv", "a file that can be written", "none");
  csv << head << '\n' << columns << '\n';
  for (const point& p : points)
    if (const auto row = rows.find(key(p.a)); row != rows.end()) csv << row->second << '\n';
  csv.flush();
  std::signal(SIGINT, [](int) { interrupted = 1; });
  report::progress bar(std::cerr, b.name());
  std::size_t done = 0;
  std::set<int> judged;
  for (point p : points) {
    bar(done++, points.size());
    if (rows.count(key(p.a)) == 1) continue;
    measure(p, o, b, judged);
    if (interrupted) {
      std::cerr << "\nstopped; the same command goes on from here\n";
      return 130;
    }
    const std::string row = text(p.a.r, ',', p.depth, ',', p.kernel, ',', p.expand, ',', p.mmacs, ',', p.median_ms, ',',
                                 p.min_ms, ',', p.runs, ',', key(p.a));
    rows[key(p.a)] = row;
    csv << row << std::endl;
  }
  bar(points.size(), points.size());
  csv.close();
  write_json(o, b, rows);
  std::cout << o.out << ".csv\n" << o.out << ".json\n";
  draw(o, head.substr(2));
  return 0;
}

} // namespace

int main(int argc, char** argv) try {
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
    const auto v = parse_number<double>(given);
    if (!v || !(*v >= least && *v <= most)) throw error(errc::invalid_argument, name, text(least, " … ", most), given);
    return *v;
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
} catch (const std::exception& e) {
  std::cerr << "\nbench_sweep: " << e.what() << '\n';
  return 1;
}
