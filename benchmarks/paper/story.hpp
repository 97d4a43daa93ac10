#pragma once
#include "dynofa/core/hardware_threads.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/report/interrupt.hpp"
#include "dynofa/report/progress.hpp"

#include "../support.hpp"
#include "output.hpp"
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// What every figure needs: where it goes, how long it may take, and the device that it is measured on.

namespace paper {

using namespace dynofa;
using clock = std::chrono::steady_clock;

/// One run of the program. A figure writes STEM.csv and draws STEM.svg into `folder`, and adds what it found to the
/// part of the page that has its name.
struct story {
  marked_page page;
  std::filesystem::path folder, family_file;
  nlohmann::json published, slimmable; ///< paper/published.json, slimmable.json
  bool quick;                          ///< a few seconds a figure, to see that it works: too little to quote

  void save(const std::string& stem, const csv_table& table) const {
    replace_file(folder / (stem + ".csv"), table.content());
  }
  void show(const std::string& part, const std::string& stem, const report::figure& f) {
    draw_images(f, folder / stem);
    page.add(part, text("![", f.title, "](", page.link(folder / (stem + ".svg")), ")\n\n[the numbers](",
                        page.link(folder / (stem + ".csv")), ")\n"));
  }
};

/// What can happen to a device while a network runs on it.
struct disturbance {
  std::string what; ///< "another process takes half of the core"
  std::function<void()> start, stop;
};

/// Where the figures are measured.
template <inference_backend Backend>
struct device {
  std::string key; ///< "cpu", "gpu": in names of files, and the paper's networks that were made for it
  Backend backend; ///< that runs the networks of random weights
  std::function<Backend()> of_family;    ///< runs the trained family; each a backend of its own
  std::string name;                      ///< "cpu avx512, 1 thread, AMD EPYC …"
  double tolerance;                      ///< of logits, in standard deviations of the reference's
  std::optional<Backend> in_floats = {}; ///< the same kernels in fp32, where the figures are measured in halves
  std::string panel;                     ///< the paper's letter: "a" for the GPU, "b" for the CPU
  std::vector<disturbance> all;          ///< in the order in which Figure 1 shows them
  disturbance comes = {};                ///< of Figure 7
};

/// "CPU", "GPU".
inline std::string caps(const std::string& key) { return key == "cpu" ? "CPU" : "GPU"; }

inline double ms_since(clock::time_point start) {
  return std::chrono::duration<double, std::milli>(clock::now() - start).count();
}
template <class Run>
double ms_of(Run run) {
  const auto start = clock::now();
  run();
  return ms_since(start);
}
/// The value that a share `q` of them does not exceed.
inline double quantile(std::vector<double> values, double q) {
  require_argument(!values.empty(), "a quantile", "at least one value", "none");
  const auto at = std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}
inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

/// The paper's networks that were made for a device of this kind.
inline std::vector<bench::network> paper_networks_for(const std::string& key) {
  std::vector<bench::network> some;
  for (const bench::network& n : bench::paper_networks)
    if (n.name.starts_with(key)) some.push_back(n);
  return some;
}

} // namespace paper
