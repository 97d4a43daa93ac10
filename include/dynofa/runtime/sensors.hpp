#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/number.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace dynofa::runtime {

/// What the machine tells about itself. Each is absent where the machine does not tell: virtual machines tell little,
/// energy counters are often readable by root only.
struct sensor_readings {
  std::optional<double> cpu_mhz = {};       ///< clock of one processor, now
  std::optional<double> temperature_c = {}; ///< of the processor
  /// 0 to 1: share of all processors' time that was not idle since the last reading
  std::optional<double> busy_share = {};
  std::optional<double> package_mj = {}; ///< energy of all processor packages since the last reading, millijoules
  std::optional<double> battery_mw = {}; ///< power drawn from the battery, milliwatts
  /// Power that a Jetson's INA3221 measures: of its input rail, else of all its rails.
  std::optional<double> board_mw = {};
  std::optional<double> gpu_mhz = {};           ///< clock of a GPU in the processor (Jetson), now
  std::optional<double> gpu_temperature_c = {}; ///< degrees Celsius
  std::optional<double> gpu_busy_share = {};    ///< 0 to 1, as its driver says
  friend bool operator==(const sensor_readings&, const sensor_readings&) = default;
};

namespace detail {

/// A small file of /sys or /proc that stays open: reading it anew is one system call.
class kernel_file {
public:
  kernel_file() = default;
  explicit kernel_file(const std::filesystem::path& path)
      : file_{dynofa::detail::uninterrupted([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC); })} {}

  /// Its first 256 bytes, in `room`; empty if it cannot be read.
  std::string_view read(std::array<char, 256>& room) const noexcept {
    const ssize_t got = dynofa::detail::uninterrupted([&] { return pread(file_.get(), room.data(), room.size(), 0); });
    return {room.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }
  /// Its content as one number.
  std::optional<double> number() const noexcept {
    std::array<char, 256> room; // NOLINT: filled by `read`
    std::string_view content = read(room);
    return take_number<double>(content);
  }

private:
  dynofa::detail::descriptor file_{-1};
};

} // namespace detail

/// Reads clock, temperature, load and energy from Linux' /sys and /proc; elsewhere every reading is absent. Boards are
/// known by what their kernels offer, not by name: power rails as hwmon (JetPack 5 and later) or iio (4), an integrated
/// GPU as devfreq.
///
/// Finds its files when made and keeps them open. Cost of a reading: a system call per sensor that is there.
/// For one thread at a time. Movable.
class sensors {
public:
  /// `root` stands for "/" (tests bring a folder of their own); `processor` is the one whose clock is read.
  explicit sensors(const std::filesystem::path& root = "/", int processor = 0) {
    const auto cpu = root / "sys/devices/system/cpu" / ("cpu" + std::to_string(processor));
    clock_ = detail::kernel_file(cpu / "cpufreq/scaling_cur_freq");
    load_ = detail::kernel_file(root / "proc/stat");
    find_temperature(root / "sys/class");
    find_gpu(root / "sys/class");
    find_rails(root);
    for (const auto& zone : entries(root / "sys/class/powercap", "intel-rapl:")) { // AMD's counters have this name too
      if (std::count(zone.native().begin(), zone.native().end(), ':') > 1) continue; // a part of a package
      packages_.push_back({detail::kernel_file(zone / "energy_uj"),
                           detail::kernel_file(zone / "max_energy_range_uj").number().value_or(0), 0});
      if (!packages_.back().file.number()) packages_.pop_back();
    }
    for (const auto& supply : entries(root / "sys/class/power_supply", "")) {
      if (!word(supply / "type").starts_with("Battery")) continue;
      power_ = detail::kernel_file(supply / "power_now");
      current_ = detail::kernel_file(supply / "current_now");
      voltage_ = detail::kernel_file(supply / "voltage_now");
      break;
    }
    read(); // "since the last reading" begins here
  }

  /// Reads what was found when it was made: a few kernel files.
  sensor_readings read() noexcept {
    sensor_readings now;
    if (const auto khz = clock_.number()) now.cpu_mhz = *khz / 1000;
    if (const auto thousandths = temperature_.number()) now.temperature_c = *thousandths / 1000;
    now.busy_share = read_load();
    now.package_mj = read_packages();
    now.board_mw = read_rails();
    if (const auto hz = gpu_clock_.number()) now.gpu_mhz = *hz / 1e6;
    if (const auto thousandths = gpu_temperature_.number()) now.gpu_temperature_c = *thousandths / 1000;
    if (const auto per_mille = gpu_load_.number()) now.gpu_busy_share = std::clamp(*per_mille / 1000, 0.0, 1.0);
    if (const auto microwatts = power_.number()) {
      now.battery_mw = *microwatts / 1000;
    } else if (const auto microamperes = current_.number()) {
      if (const auto microvolts = voltage_.number()) now.battery_mw = *microamperes * *microvolts * 1e-9;
    }
    return now;
  }

private:
  using path = std::filesystem::path;
  struct package {
    detail::kernel_file file;
    double range_uj, last_uj; // the counter starts anew at `range_uj`
  };
  struct rail {
    detail::kernel_file power_mw, voltage_mv, current_ma; // the first, or the other two
    std::optional<double> read() const noexcept {
      if (const auto mw = power_mw.number()) return mw;
      const auto mv = voltage_mv.number(), ma = current_ma.number();
      return mv && ma ? std::optional(*mv * *ma / 1000) : std::nullopt;
    }
  };

  static std::vector<path> entries(const path& folder, std::string_view prefix) {
    std::vector<path> found;
    std::error_code fault;
    for (std::filesystem::directory_iterator i(folder, fault), end; !fault && i != end; i.increment(fault))
      if (i->path().filename().native().starts_with(prefix)) found.push_back(i->path());
    std::sort(found.begin(), found.end());
    return found;
  }
  static std::string word(const path& file) {
    std::array<char, 256> room; // NOLINT: filled by `read`
    return std::string(detail::kernel_file(file).read(room));
  }

  /// A thermal zone of the processor, or the chip that measures it; never that of a battery or a disk.
  void find_temperature(const path& folder) {
    for (const auto& zone : entries(folder / "thermal", "thermal_zone")) {
      const std::string type = word(zone / "type");
      for (const char* processor : {"x86_pkg_temp", "cpu", "soc", "CPU"})
        if (type.find(processor) != std::string::npos) return void(temperature_ = detail::kernel_file(zone / "temp"));
    }
    for (const auto& chip : entries(folder / "hwmon", "hwmon")) {
      const std::string name = word(chip / "name");
      for (const char* processor : {"coretemp", "k10temp", "zenpower", "cpu_thermal"})
        if (name.starts_with(processor)) return void(temperature_ = detail::kernel_file(chip / "temp1_input"));
    }
  }

  /// A Tegra's GPU among the devices that change their clocks: 17000000.gpu, 17000000.ga10b, 17000000.gv11b,
  /// 57000000.gpu.
  void find_gpu(const path& folder) {
    for (const auto& device : entries(folder / "devfreq", "")) {
      const std::string name = device.filename();
      if (std::none_of(std::begin(gpu_names), std::end(gpu_names), [&](auto end) { return name.ends_with(end); }))
        continue;
      gpu_clock_ = detail::kernel_file(device / "cur_freq");
      gpu_load_ = detail::kernel_file(device / "device/load");
      break;
    }
    for (const auto& zone : entries(folder / "thermal", "thermal_zone"))
      if (const std::string type = word(zone / "type"); type.starts_with("gpu") || type.starts_with("GPU"))
        return void(gpu_temperature_ = detail::kernel_file(zone / "temp"));
  }

  /// Rails of the INA3221: of one that feeds the whole board alone, where there is one.
  void find_rails(const path& root) {
    bool whole_board = false;
    const auto add = [&](const std::string& label, rail r) {
      const bool input = label.starts_with("VDD_IN") || label.starts_with("POM_5V_IN");
      if (label.empty() || label.starts_with("NC") || whole_board || !r.read()) return;
      if (input) rails_.clear(), whole_board = true;
      rails_.push_back(std::move(r));
    };
    for (const auto& chip : entries(root / "sys/class/hwmon", "hwmon")) {
      if (!word(chip / "name").starts_with("ina3221")) continue;
      for (const char* n : {"1", "2", "3"})
        add(word(chip / text("in", n, "_label")), {{},
                                                   detail::kernel_file(chip / text("in", n, "_input")),
                                                   detail::kernel_file(chip / text("curr", n, "_input"))});
    }
    for (const auto& chip : entries(root / "sys/bus/i2c/drivers/ina3221x", ""))
      for (const auto& device : entries(chip, "iio:device"))
        for (const char* n : {"0", "1", "2"})
          add(word(device / text("rail_name_", n)),
              {detail::kernel_file(device / text("in_power", n, "_input")), {}, {}});
  }

  std::optional<double> read_rails() const noexcept {
    double sum = 0;
    for (const rail& r : rails_) {
      const auto mw = r.read();
      if (!mw) return std::nullopt;
      sum += *mw;
    }
    return rails_.empty() ? std::nullopt : std::optional(sum);
  }

  /// /proc/stat: "cpu  user nice system idle iowait irq softirq steal …" in ticks since the machine started.
  std::optional<double> read_load() noexcept {
    std::array<char, 256> room; // NOLINT: filled by `read`
    std::string_view content = load_.read(room);
    if (!content.starts_with("cpu ")) return std::nullopt;
    content.remove_prefix(4);
    double all = 0, idle = 0;
    for (int i = 0; i < 8; ++i) { // guest time is in user time already
      const double ticks = take_number<double>(content).value_or(0);
      all += ticks;
      if (i == 3 || i == 4) idle += ticks;
    }
    const double passed = all - all_ticks_, idled = idle - idle_ticks_;
    all_ticks_ = all, idle_ticks_ = idle;
    if (!(passed > 0)) return std::nullopt; // the same tick as the last reading
    return std::clamp(1 - idled / passed, 0.0, 1.0);
  }

  std::optional<double> read_packages() noexcept {
    double sum = 0;
    bool all = !packages_.empty();
    for (package& p : packages_) {
      const auto now = p.file.number();
      all &= now.has_value();
      if (!now) continue;
      sum += *now >= p.last_uj ? *now - p.last_uj : *now - p.last_uj + p.range_uj;
      p.last_uj = *now;
    }
    return all ? std::optional(sum / 1000) : std::nullopt;
  }

  static constexpr std::string_view gpu_names[] = {".gpu", ".ga10b", ".gv11b", ".gp10b", ".gm20b"};

  detail::kernel_file clock_, temperature_, load_, power_, current_, voltage_;
  detail::kernel_file gpu_clock_, gpu_temperature_, gpu_load_;
  std::vector<package> packages_;
  std::vector<rail> rails_;
  double all_ticks_ = 0, idle_ticks_ = 0;
};

} // namespace dynofa::runtime
