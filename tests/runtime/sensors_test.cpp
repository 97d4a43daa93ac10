#include "dynofa/runtime/sensors.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include <filesystem>

namespace dynofa_test::runtime_sensors {

using namespace dynofa::runtime;
namespace fs = std::filesystem;
using support::write_line;

TEST_CASE("a machine that tells everything") {
  const support::scratch_folder folder;
  const fs::path root = folder.path(), sys = root / "sys/class";
  const auto ticks = [&](const char* line) { write_line(root / "proc/stat", line); };
  write_line(root / "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "2400000");
  ticks("cpu  100 0 100 700 100 0 0 0 50 0");
  write_line(sys / "thermal/thermal_zone0/type", "acpitz-wifi");
  write_line(sys / "thermal/thermal_zone0/temp", "20000");
  write_line(sys / "thermal/thermal_zone1/type", "cpu-thermal");
  write_line(sys / "thermal/thermal_zone1/temp", "54500");
  for (const char* package : {"intel-rapl:0", "intel-rapl:1"}) {
    write_line(sys / "powercap" / package / "energy_uj", "1000");
    write_line(sys / "powercap" / package / "max_energy_range_uj", "10000");
  }
  write_line(sys / "powercap/intel-rapl:0:0/energy_uj", "77777"); // a part of package 0
  write_line(sys / "power_supply/AC/type", "Mains");
  write_line(sys / "power_supply/BAT0/type", "Battery");
  write_line(sys / "power_supply/BAT0/current_now", "500000");
  write_line(sys / "power_supply/BAT0/voltage_now", "12000000");

  sensors s(root, 1);
  ticks("cpu  150 0 110 730 110 0 0 0 60 0"); // 100 ticks later, 40 of them idle or waiting
  write_line(sys / "powercap/intel-rapl:0/energy_uj", "4000");
  write_line(sys / "powercap/intel-rapl:1/energy_uj", "500"); // began anew at 10000
  const sensor_readings now = s.read();
  CHECK(now.cpu_mhz == 2400);
  CHECK(now.temperature_c == 54.5);
  CHECK(now.busy_share == doctest::Approx(0.6));
  CHECK(now.package_mj == doctest::Approx(3 + 9.5));
  CHECK(now.battery_mw == doctest::Approx(6000));

  CHECK(s.read().busy_share == std::nullopt); // no tick has passed
  write_line(sys / "thermal/thermal_zone1/temp", "60000");
  CHECK(s.read().temperature_c == 60);
  sensors moved = std::move(s);
  CHECK(moved.read().cpu_mhz == 2400);
}

TEST_CASE("a Jetson: GPU by devfreq, power rails by hwmon or iio, of the input alone where it is measured") {
  const support::scratch_folder folder;
  const fs::path root = folder.path(), sys = root / "sys/class";
  write_line(sys / "devfreq/15340000.vic/cur_freq", "115200000");
  write_line(sys / "devfreq/17000000.ga10b/cur_freq", "612000000");
  write_line(sys / "devfreq/17000000.ga10b/device/load", "437");
  write_line(sys / "thermal/thermal_zone0/type", "cpu-thermal");
  write_line(sys / "thermal/thermal_zone0/temp", "48000");
  write_line(sys / "thermal/thermal_zone1/type", "gpu-thermal");
  write_line(sys / "thermal/thermal_zone1/temp", "46500");
  const auto hwmon = [&](const char* chip, int n, const char* label, const char* mv, const char* ma) {
    write_line(sys / "hwmon" / chip / "name", "ina3221");
    write_line(sys / "hwmon" / chip / dynofa::text("in", n, "_label"), label);
    write_line(sys / "hwmon" / chip / dynofa::text("in", n, "_input"), mv);
    write_line(sys / "hwmon" / chip / dynofa::text("curr", n, "_input"), ma);
  };
  hwmon("hwmon3", 1, "VDD_GPU_SOC", "5000", "400");
  hwmon("hwmon3", 2, "VDD_CPU_CV", "5000", "200");
  hwmon("hwmon3", 3, "NC", "5000", "9999");
  write_line(sys / "hwmon/hwmon3/in7_label", "sum of shunt voltages");
  const sensor_readings all = sensors(root).read();
  CHECK(all.gpu_mhz == 612);
  CHECK(all.gpu_busy_share == doctest::Approx(0.437));
  CHECK(all.gpu_temperature_c == 46.5);
  CHECK(all.temperature_c == 48);
  CHECK(all.board_mw == doctest::Approx(3000)); // no input rail: their sum

  hwmon("hwmon4", 2, "VDD_IN", "4900", "1000");
  hwmon("hwmon4", 3, "VDD_SOC", "4900", "300");
  sensors s(root);
  CHECK(s.read().board_mw == doctest::Approx(4900));
  write_line(sys / "hwmon/hwmon4/curr2_input", "2000");
  CHECK(s.read().board_mw == doctest::Approx(9800));

  const support::scratch_folder older;
  const fs::path iio = older.path() / "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0";
  write_line(iio / "rail_name_0", "POM_5V_IN");
  write_line(iio / "in_power0_input", "5100");
  write_line(iio / "rail_name_1", "POM_5V_GPU");
  write_line(iio / "in_power1_input", "700");
  CHECK(sensors(older.path()).read().board_mw == 5100);
  CHECK(sensors(older.path()).read().gpu_mhz == std::nullopt);
}

TEST_CASE("other names: the chip that measures, a battery that knows its power") {
  const support::scratch_folder folder;
  const fs::path sys = folder.path() / "sys/class";
  write_line(sys / "hwmon/hwmon0/name", "nvme");
  write_line(sys / "hwmon/hwmon0/temp1_input", "10000");
  write_line(sys / "hwmon/hwmon1/name", "k10temp");
  write_line(sys / "hwmon/hwmon1/temp1_input", "41000");
  write_line(sys / "power_supply/BAT1/type", "Battery");
  write_line(sys / "power_supply/BAT1/power_now", "7500000");
  sensors s(folder.path());
  CHECK(s.read().temperature_c == 41);
  CHECK(s.read().battery_mw == 7500);
  CHECK(s.read().cpu_mhz == std::nullopt);
}

TEST_CASE("a machine that tells nothing, or nonsense") {
  const support::scratch_folder folder;
  CHECK(sensors(folder.path()).read() == sensor_readings{});
  write_line(folder.path() / "proc/stat", "cpu");
  write_line(folder.path() / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "<unknown>");
  write_line(folder.path() / "sys/class/powercap/intel-rapl:0/energy_uj", "");
  fs::create_directories(folder.path() / "sys/class/thermal/thermal_zone0/type");
  CHECK(sensors(folder.path()).read() == sensor_readings{});
}

TEST_CASE("this machine, whatever it tells") {
  sensors s;
  for (int i = 0; i < 3; ++i) {
    const sensor_readings now = s.read();
    CHECK(now.cpu_mhz.value_or(1) > 0);
    CHECK(now.busy_share.value_or(0) >= 0);
    CHECK(now.busy_share.value_or(0) <= 1);
    CHECK(now.package_mj.value_or(0) >= 0);
  }
}

} // namespace dynofa_test::runtime_sensors
