// What is read while networks run: logs, traces of them, what the kernel says of the machine.
#include "dynofa/runtime/run_log_io.hpp"
#include "dynofa/runtime/sensors.hpp"
#include "dynofa/simulate/trace_io.hpp"

#include <doctest/doctest.h>

#include "support/fuzz.hpp"
#include "support/scratch_folder.hpp"
#include <cmath>
#include <sstream>

namespace dynofa_test::fuzz_logs {

using namespace dynofa;
using namespace dynofa::runtime;
using namespace support;

namespace {

constexpr std::string_view pieces[] = {
    ",",       "\n",    "null",    "inf", "1e999", "-0.0", "\"", "\xff", "# {\"levels\":[[1,50,0]]}\n", "\"level\":1,",
    "state.a", "start", "limit_ms"};

/// As JSON and as CSV.
std::vector<std::string> small_logs() {
  run_log log("forecast", {"slow_down", "noise"}, 4);
  log.set_levels({{1.5, 50, 0}, {2.5, 51, 3}});
  for (std::uint64_t i = 0; i < 4; ++i) {
    image_record r;
    r.image = 2 * i, r.level = i % 2, r.latency_ms = 1.25 + static_cast<double>(i);
    if (i > 0) r.wanted = {.latency_ms = 50, .percentile = 0.9, .min_top1 = 10, .deadline_ms = 30, .energy_mj = 1e3};
    r.why = reason::hold, r.switched = i == 1, r.cold = i == 0;
    if (i == 2) r.sensors = {1200, -0.0, 0.5, {}, 1e-3};
    r.state = {1.1, 0.01};
    log.add(r);
  }
  std::ostringstream json, csv;
  write_json_lines(json, log), write_csv(csv, log);
  return {json.str(), csv.str()};
}

} // namespace

TEST_CASE("logs") {
  fuzz::alter({"logs"}, small_logs(), 6'000, fuzz::mutator(1, pieces), [](const file_bytes& file, std::size_t) {
    const run_log log = read_run_log(file.text(), "f");
    std::ostringstream json;
    write_json_lines(json, log);
    const run_log back = read_run_log(json.str(), "f");
    REQUIRE(back.size() == log.size());
    for (std::size_t i = 0; i < log.size(); ++i) REQUIRE(back[i].latency_ms == log[i].latency_ms);
  }).expect(2, 20);
}

TEST_CASE("traces") {
  fuzz::alter({"traces"}, small_logs(), 6'000, fuzz::mutator(2, pieces), [](const file_bytes& file, std::size_t) {
    const trace t = read_trace(file.text(), "f");
    for (std::size_t i = 0; i < t.images(); ++i)
      for (std::size_t l = 0; l < t.levels.size(); ++l) REQUIRE(t.latency_ms(l, i) > 0);
  }).expect(2, 20);
}

TEST_CASE("files of the kernel") {
  const std::pair<const char*, const char*> files[] = {
      {"proc/stat", "cpu  100 0 100 700 100 0 0 0 50 0\n"},
      {"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2400000\n"},
      {"sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"},
      {"sys/class/thermal/thermal_zone0/temp", "20000\n"},
      {"sys/class/powercap/intel-rapl:0/energy_uj", "1000\n"},
      {"sys/class/powercap/intel-rapl:0/max_energy_range_uj", "10000\n"},
      {"sys/class/power_supply/BAT0/type", "Battery\n"},
      {"sys/class/power_supply/BAT0/current_now", "500000\n"},
      {"sys/class/power_supply/BAT0/voltage_now", "12000000\n"}};
  const scratch_folder folder;
  std::vector<std::string> forms;
  for (const auto& [name, content] : files) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    write_text(folder.path() / name, content);
    forms.emplace_back(content);
  }
  fuzz::alter({"files of the kernel"}, forms, 500, fuzz::mutator(3), [&](const file_bytes& file, std::size_t i) {
    write_text(folder.path() / files[i].first, file.text());
    sensors s(folder.path());
    if (const auto busy = s.read().busy_share) REQUIRE((*busy >= 0 && *busy <= 1));
    write_text(folder.path() / files[i].first, files[i].second);
    if (const auto busy = s.read().busy_share) REQUIRE((*busy >= 0 && *busy <= 1));
  }).expect(100, 0); // a machine that tells nonsense tells nothing
}

} // namespace dynofa_test::fuzz_logs
