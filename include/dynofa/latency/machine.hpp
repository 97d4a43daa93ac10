#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/number.hpp"

#include <fstream>
#include <string>
#include <string_view>

namespace dynofa {

/// What the operating system tells about the processor; what it does not tell stays empty or 0.
struct machine_facts {
  std::string processor;    ///< "AMD EPYC 9575F 64-Core Processor"
  std::string governor;     ///< of the clock: "performance", "powersave"
  double frequency_mhz = 0; ///< now
};

/// Reads Linux' /sys and /proc; elsewhere everything is empty. Cost: a few small files, well under a millisecond.
inline machine_facts read_machine_facts() {
  machine_facts facts;
  const auto number = [](std::string_view s) { return take_number<double>(s).value_or(0); };
  facts.governor = detail::first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  facts.frequency_mhz =
      number(detail::first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")) / 1000; // kHz

  std::ifstream info("/proc/cpuinfo");
  for (std::string s; std::getline(info, s);) {
    const auto colon = s.find(':');
    if (colon == s.npos) continue;
    const std::string_view name(s.data(), s.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = colon + 2 < s.size() ? s.substr(colon + 2, 200) : std::string();
    if (facts.processor.empty() && (name == "model name" || name == "Model" || name == "Hardware"))
      facts.processor = value;
    if (facts.frequency_mhz == 0 && name == "cpu MHz") facts.frequency_mhz = number(value);
  }
  if (facts.processor.empty())
    facts.processor = detail::first_line("/sys/firmware/devicetree/base/model"); // small ARM boards
  while (!facts.processor.empty() && facts.processor.back() == '\0') facts.processor.pop_back();
  return facts;
}

} // namespace dynofa
