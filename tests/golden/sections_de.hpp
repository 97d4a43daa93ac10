#pragma once
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/latency/extremes.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/latency/table_io.hpp"

#include "golden/golden.hpp"
#include <cstdlib>
#include <set>

// Sections D (accuracy predictor) and E (latency tables) of golden_check.

namespace golden {

/// A file that depends on no seed and so need not be in every folder of golden data: looked for in the folder, in its
/// neighbours, and in DYNOFA_GOLDEN_DIR. Empty if nowhere.
inline fs::path shared_file(const fs::path& dir, const std::string& name) {
  std::vector<fs::path> folders{dir};
  const fs::path above = fs::absolute(dir / "..").lexically_normal();
  std::error_code unreadable;
  for (fs::directory_iterator at(above, unreadable), end; !unreadable && at != end; at.increment(unreadable))
    if (at->is_directory(unreadable)) folders.push_back(at->path());
  std::sort(folders.begin() + 1, folders.end());
  folders.push_back(above);
  if (const char* given = std::getenv("DYNOFA_GOLDEN_DIR"); given && *given) folders.emplace_back(given);
  for (const auto& folder : folders)
    if (fs::exists(folder / name)) return folder / name;
  return {};
}

/// Once-for-all's space at a width multiplier, with the resolutions that the cases have.
inline space_description space_of_cases(double width, const nlohmann::json& cases) {
  space_description space = space_of({{"width_mult", width}, {"n_classes", 1000}, {"bn_eps", 1e-5}});
  std::vector<std::uint16_t> found;
  for (const auto& c : cases) found.push_back(read_arch(c).r);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  space.resolutions = {found.begin(), found.end()};
  return space;
}

/// The official predictor: which features are one, and the accuracy against the float32 and the double output.
inline void section_d(const fs::path& dir, tally& t) {
  if (!fs::exists(dir / "predictor.json")) return;
  t.begin("D accuracy predictor");
  const nlohmann::json recorded = read_json(dir / "predictor.json"), &cases = recorded.at("cases");
  const fs::path file = shared_file(dir, "acc_predictor.safetensors");
  t.expect("acc_predictor.safetensors is there", !file.empty());
  if (!file.empty()) {
    const accuracy_predictor predictor = load_official_predictor(file, space_of_cases(1.2, cases));
    std::vector<arch> archs;
    for (const auto& c : cases) archs.push_back(read_arch(c));
    std::vector<double> batch(archs.size());
    predictor.predict(archs, batch);
    for (std::size_t i = 0; i < archs.size(); ++i) {
      const auto& c = cases[i];
      const auto ours = predictor.layout()(archs[i]);
      t.expect("features", std::set<int>(ours.begin(), ours.end()) == c.at("ones").get<std::set<int>>());
      t.check("accuracy", std::abs(batch[i] - c.at("accuracy").get<double>()) / 1e-6);
      t.check("accuracy in double", std::abs(batch[i] - c.at("accuracy_f64").get<double>()) / 1e-6);
      t.expect("one by one as in a batch", predictor(archs[i]) == batch[i]);
    }
  }
  t.end();
}

/// ResNet's, where the published file lies beside.
inline void section_d_resnet(const fs::path& dir, tally& t) {
  const fs::path file = shared_file(dir, "ofa_resnet50_acc_predictor.pth");
  if (!fs::exists(dir / "resnet_predictor.json") || file.empty()) return;
  t.begin("D accuracy predictor of ResNet");
  space_description space = ofa_resnet50_space::description;
  space.resolutions = {128, 144, 160, 176, 192, 224, 240, 256};
  const accuracy_predictor predictor = load_official_predictor(file, space);
  const nlohmann::json recorded = read_json(dir / "resnet_predictor.json");
  for (const auto& c : recorded.at("cases")) {
    const arch a = conform(space, read_arch(c.at("arch")));
    const auto ours = predictor.layout()(a);
    t.expect("features", std::set<int>(ours.begin(), ours.end()) == c.at("ones").get<std::set<int>>());
    t.check("accuracy", std::abs(predictor(a) - c.at("published").get<double>()) / 1e-6);
  }
  t.end();
}

/// Table sums of every architecture on every device, and the exact extremes of the space around them.
inline void section_e(const fs::path& dir, tally& t) {
  if (!fs::exists(dir / "latency.json")) return;
  t.begin("E latency tables");
  const nlohmann::json recorded = read_json(dir / "latency.json"), &cases = recorded.at("cases");
  const space_description space = space_of_cases(1.2, cases);
  std::set<std::string> devices;
  for (const auto& c : cases)
    for (const auto& [device, ms] : c.at("latency_ms").items()) devices.insert(device);
  for (const std::string& device : devices) {
    const fs::path file = shared_file(dir, text("lut_", device, ".json"));
    t.expect(text("lut_", device, ".json is there"), !file.empty());
    if (file.empty()) continue;
    const latency_table table = load_latency_table(file);
    const table_model model(space, table);
    const auto extremes = find_extremes(model.costs());
    for (const auto& c : cases) {
      const double wanted = c.at("latency_ms").at(device).get<double>();
      const double ours = model(read_arch(c));
      t.check(device + " latency", std::abs(ours - wanted) / (1e-9 * wanted));
      t.expect(device + " extremes", extremes.least.cost <= ours && ours <= extremes.most.cost);
    }
    t.expect(device + " as YAML", parse_latency_table_yaml(to_yaml(table), device) == table);
  }
  t.end();
}

} // namespace golden
