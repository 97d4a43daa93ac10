#include "dynofa/family/file.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/reactive.hpp"
#include "dynofa/runtime/slack.hpp"
#include "dynofa/simulate/simulator.hpp"
#include "dynofa/simulate/trace_io.hpp"

#include <nlohmann/json.hpp>

#include "support/checks.hpp"
#include "support/help.hpp"
#include "support/level_tables.hpp"
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

constexpr const char* help =
    R"(simulate [--seeds A:B] [--traces all|KIND,…] [--policies all|NAME,…] [--family FILE] [--recorded LOG] [--json]
    [--csv DIR]

Replays generated traces with run-time policies and checks the bars of the run-time control; or LOG, the JSON
lines or CSV of a manager, on the levels that it begins with. FILE has other levels: a family (.dynofa), or a JSON
list of {"latency_ms", "top1"}. The parameters of `forecast` were chosen on seeds 1 to 30; 1001 to 1100, 20001 to 20100, 40001 to 40100 and 50001
to 50100 were seen before the last change, 60001 to 60100 after it. Of the doublings there are 200, from seed A on.)";

using support::check, support::fixed;

/// Of a family file, for the first device that it was measured on, or of a JSON list of levels.
support::level_table read_family(const std::string& path) {
  if (path.ends_with(".dynofa")) {
    family f = load_family(path);
    if (f.levels().empty() || f.levels()[0].latency.empty())
      throw error(errc::bad_file, path, "levels with measured latencies", "none");
    const std::string device = f.levels()[0].latency[0].device;
    f.keep_front(device);
    support::level_table table{std::filesystem::path(path).stem().string(), {}};
    for (std::size_t i = 0; i < f.levels().size(); ++i)
      table.levels.push_back({f.latency_on(i, device)->median_ms, f.levels()[i].accuracy.top1()});
    return table;
  }
  const auto json = nlohmann::json::parse(map_file(path).text(), nullptr, false);
  if (!json.is_array() || json.size() > 1000)
    throw error(errc::bad_file, path, "a list of {\"latency_ms\", \"top1\"}", "something else");
  support::level_table f{path, {}};
  for (const auto& l : json) {
    if (!l.is_object() || !l.contains("latency_ms") || !l.contains("top1") || !l["latency_ms"].is_number() ||
        !l["top1"].is_number())
      throw error(errc::bad_file, path, "levels with \"latency_ms\" and \"top1\"", l.dump());
    f.levels.push_back({l["latency_ms"].get<double>(), l["top1"].get<double>()});
  }
  validate(f.levels);
  return f;
}

using run_policy = std::function<replay_figures(const trace&, std::ostream*)>;
template <class Policy>
run_policy runner() {
  return [](const trace& t, std::ostream* csv) {
    return csv ? write_replay_csv(*csv, t, Policy(t.levels)) : replay(t, Policy(t.levels));
  };
}
const std::vector<std::pair<std::string, run_policy>> policies = {{"lookup", runner<lookup>()},
                                                                  {"slack", runner<slack>()},
                                                                  {"reactive", runner<reactive>()},
                                                                  {"forecast", runner<forecast>()}};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts(1);
  for (char c : list) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

std::string percent(double share) { return fixed(100 * share) + " %"; }
void print_row(const std::string& kind, const std::string& policy, const replay_figures& f,
               const replay_figures& oracle) {
  std::cout << "  " << std::left << std::setw(12) << kind << std::setw(10) << policy << std::right << std::setw(9)
            << percent(f.late_share()) << std::setw(9) << fixed(f.mean_top1(), 3) << std::setw(9)
            << fixed(oracle.mean_top1() - f.mean_top1(), 3) << std::setw(9)
            << percent(f.late_share() - oracle.late_share()) << std::setw(9) << fixed(f.switches_per_1000(), 1)
            << std::setw(6) << f.longest_late << '\n';
}

/// A step that doubles latency, before an image or in the middle of one (`within`), which then is slowed down by a part
/// of it only. Counted from the first image that is late for the step's sake: by the third the level has to be one that
/// is within the limit, in every run; within an image in 95 % of them, for a small part of a step looks like noise.
/// Noise may still make that image late, in no more runs than the target's percentile allows.
void check_doubling(const support::level_table& family, std::uint64_t first_seed, bool within) {
  std::size_t wrong = 0, late_third = 0, late_after = 0;
  constexpr std::size_t runs = 200, after = 30;
  const double low = family.levels.front().latency_ms;
  for (std::uint64_t seed = first_seed; seed < first_seed + runs; ++seed) {
    random_stream random(seed, "doubling");
    const double limit = 2 * low * (1.12 + 0.3 * random.uniform()), noise = 0.005 + 0.025 * random.uniform();
    forecast policy(family.levels);
    const target wanted{.latency_ms = limit};
    const std::size_t step_at = 100 + random.below(400);
    const double first_factor = within ? 1 + random.uniform() : 2;
    std::size_t late_at = 0; // the first late image
    for (std::size_t i = 0; i < (late_at == 0 ? step_at + after : late_at + 3 + after); ++i) {
      const std::size_t level = policy.decide(wanted);
      const double quiet = family.levels[level].latency_ms * (i < step_at ? 1 : i == step_at ? first_factor : 2);
      const double latency = quiet * std::exp(noise * random.normal());
      policy.observe(level, latency);
      if (i >= step_at && late_at == 0 && quiet > limit) late_at = i;
      if (late_at == 0 || i < late_at + 2) continue;
      wrong += quiet > limit;
      (i == late_at + 2 ? late_third : late_after) += latency > limit;
    }
  }
  check(20 * wrong <= (within ? runs : 0) && 20 * late_third <= runs && 20 * late_after <= runs * after,
        text(family.name, ": latency doubles", within ? " within an image" : "",
             ": from the third late image on a level above the limit was run on ", wrong,
             " images; by noise the third was late in ", late_third, " of ", runs, " runs, and ", late_after,
             " of the ", runs * after, " images after it"));
}

/// At most one switch per 1000 images once settled, at every constant slow-down; with outliers on average.
void check_calm(const support::level_table& family, support::seed_range seeds, double most_outliers) {
  std::size_t most = 0, total = 0, runs = 0, bad = 0;
  double at = 0;
  constexpr std::size_t settle = 1000, images = 4000;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed)
    for (int k = 0; k <= 70; ++k) {
      const double slow_down = 0.5 + 0.05 * k;
      random_stream random(seed, text("calm", k));
      const double noise = 0.005 + 0.035 * random.uniform(), outliers = most_outliers * random.uniform();
      const target wanted{.latency_ms = family.levels.back().latency_ms * (0.8 + 1.2 * random.uniform())};
      forecast policy(family.levels);
      std::size_t switches = 0, before = 0;
      for (std::size_t i = 0; i < settle + images; ++i) {
        const std::size_t level = policy.decide(wanted);
        double latency = family.levels[level].latency_ms * slow_down * std::exp(noise * random.normal());
        if (random.chance(outliers)) latency *= 1.3 + 2 * random.uniform();
        policy.observe(level, latency);
        switches += i > settle && level != before;
        before = level;
      }
      total += switches;
      ++runs;
      bad += switches * 1000 > images;
      if (switches > most) most = switches, at = slow_down;
    }
  const double mean = 1000.0 * static_cast<double>(total) / static_cast<double>(runs * images);
  check(most_outliers > 0 ? mean <= 1 : bad == 0,
        text(family.name, ": constant slow-downs 0.5 to 4, ",
             most_outliers > 0 ? "up to " + percent(most_outliers) + " outliers: on average "
                               : "no outliers: on average ",
             fixed(mean, 3), " switches per 1000 images, worst run ", fixed(static_cast<double>(most) / 4.0, 2),
             " (at ", at, "), ", bad, " of ", runs, " runs above 1"));
}

void run(int argc, char** argv) {
  support::seed_range seeds;
  std::string kinds = "all", names = "all", recorded, csv;
  std::vector<support::level_table> families;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--json") {
      json = true;
      continue;
    }
    if (i + 1 == argc) throw error(errc::invalid_argument, option, "a value after it", "none");
    const std::string value = argv[++i];
    if (option == "--seeds") {
      seeds = support::read_seeds(value);
    } else if (option == "--traces")
      kinds = value;
    else if (option == "--policies")
      names = value;
    else if (option == "--family")
      families = {read_family(value)};
    else if (option == "--recorded")
      recorded = value;
    else if (option == "--csv")
      csv = value;
    else
      throw error(errc::invalid_argument, "options",
                  "--seeds, --traces, --policies, --family, --recorded, --csv or --json", option);
  }
  std::vector<std::string> asked =
      kinds == "all" ? std::vector<std::string>(trace_kinds.begin(), trace_kinds.end()) : split(kinds);
  for (const auto& k : asked)
    if (std::find(trace_kinds.begin(), trace_kinds.end(), k) == trace_kinds.end())
      throw error(errc::invalid_argument, "--traces", "all or names of kinds", k);
  std::vector<std::string> chosen = split(names);
  if (names == "all") {
    chosen.clear();
    for (const auto& p : policies) chosen.push_back(p.first);
  }
  for (const auto& n : chosen)
    if (std::none_of(policies.begin(), policies.end(), [&](const auto& p) { return p.first == n; }))
      throw error(errc::invalid_argument, "--policies", "all or lookup, slack, reactive, forecast", n);
  const bool judged =
      std::count(chosen.begin(), chosen.end(), "forecast") && std::count(chosen.begin(), chosen.end(), "reactive");

  std::optional<trace> log;
  if (!recorded.empty()) { // its own levels, unless others are given
    using levels_type = std::span<const level_figures>;
    log =
        read_trace(std::filesystem::path(recorded), families.empty() ? levels_type() : levels_type(families[0].levels));
    if (families.empty()) families = {{std::filesystem::path(recorded).stem().string(), log->levels}};
  }
  if (families.empty()) families = support::level_tables();

  nlohmann::json document = nlohmann::json::array();
  for (const support::level_table& family : families) {
    std::vector<std::pair<std::string, std::vector<trace>>> groups;
    if (recorded.empty())
      for (const auto& k : asked) {
        const auto kind =
            static_cast<trace_kind>(std::find(trace_kinds.begin(), trace_kinds.end(), k) - trace_kinds.begin());
        groups.push_back({k, {}});
        for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed)
          groups.back().second.push_back(generate_trace(kind, seed, family.levels));
      }
    else
      groups.push_back({"recorded", {*log}});
    std::cout << family.name << ": " << family.levels.size() << " levels, seeds " << seeds.first << " to " << seeds.last
              << '\n'
              << "  trace       policy         late    top-1  regret: top-1, late  sw/1000  late in a row\n";
    std::map<std::string, replay_figures> all;
    replay_figures oracle_all, static_all;
    std::size_t traces = 0, above_static = 0;
    for (const auto& [kind, list] : groups) {
      std::map<std::string, replay_figures> sums;
      replay_figures oracle;
      for (const trace& t : list) {
        oracle += replay_oracle(t);
        ++traces;
        for (const auto& [name, play] : policies) {
          if (!std::count(chosen.begin(), chosen.end(), name)) continue;
          std::ofstream file;
          if (!csv.empty()) file.open(csv + "/" + family.name + "-" + t.name + "-" + name + ".csv");
          const replay_figures f = play(t, csv.empty() ? nullptr : &file);
          if (!csv.empty() && !file.flush()) throw error(errc::io, csv, "a folder to write to", "none");
          sums[name] += f;
          if (name != "forecast") continue;
          const replay_figures fixed_level = best_static_level(t, f.late);
          static_all += fixed_level;
          above_static += f.top1_sum > fixed_level.top1_sum;
        }
      }
      for (const auto& [name, f] : sums) {
        print_row(kind, name, f, oracle);
        all[name] += f;
        document.push_back({{"family", family.name},
                            {"trace", kind},
                            {"policy", name},
                            {"late_share", f.late_share()},
                            {"top1", f.mean_top1()},
                            {"regret_top1", oracle.mean_top1() - f.mean_top1()},
                            {"regret_late_share", f.late_share() - oracle.late_share()},
                            {"switches_per_1000", f.switches_per_1000()},
                            {"images", f.images}});
      }
      print_row(kind, "oracle", oracle, oracle);
      oracle_all += oracle;
    }
    for (const auto& [name, f] : all) print_row("all", name, f, oracle_all);
    print_row("all", "oracle", oracle_all, oracle_all);
    if (judged) {
      const replay_figures &f = all["forecast"], &r = all["reactive"];
      check(3 * f.late <= r.late, text(family.name, ": forecast is late on ", percent(f.late_share()), ", reactive on ",
                                       percent(r.late_share()), " of the images: ",
                                       fixed(f.late_share() / r.late_share(), 3), " (wanted: 1/3)"));
      check(f.mean_top1() >= r.mean_top1() - 0.1,
            text(family.name, ": mean top-1 of forecast ", fixed(f.mean_top1(), 3), ", of reactive ",
                 fixed(r.mean_top1(), 3), " (wanted: no more than 0.1 lower)"));
      check(f.mean_top1() > static_all.mean_top1(),
            text(family.name, ": mean top-1 of the best static levels that are late as rarely ",
                 fixed(static_all.mean_top1(), 3), "; forecast has more on ", above_static, " of ", traces, " traces, ",
                 fixed(f.mean_top1() - static_all.mean_top1(), 3), " more on average"));
    }
    if (recorded.empty() && judged) {
      check_doubling(family, seeds.first, false);
      check_doubling(family, seeds.first, true);
      const support::seed_range five{seeds.first, std::min(seeds.last, seeds.first + 4)};
      check_calm(family, five, 0);
      check_calm(family, five, 0.02);
    }
  }
  if (json) std::cout << document.dump(1) << '\n';
}

} // namespace

int main(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  return support::count_checks([&] { run(argc, argv); });
}
