#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/model/safetensors.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/search_space.hpp"

#include <boost/crc.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <span>
#include <string>
#include <vector>

// What the sections of golden_check share: a tally, files, seeded inputs and the description of once-for-all networks.

namespace golden {

using namespace dynofa;
namespace fs = std::filesystem;

/// Counts checks; remembers the worst error over its tolerance for the section in hand.
class tally {
public:
  void begin(std::string section) {
    section_ = std::move(section);
    worst_ = 0, section_passed_ = section_failed_ = 0;
  }
  /// One check: `error_over_tolerance` ≤ 1 passes, NaN fails.
  void check(const std::string& what, double error_over_tolerance) {
    const bool good = error_over_tolerance <= 1;
    (good ? section_passed_ : section_failed_) += 1;
    if (!(error_over_tolerance <= worst_) && !std::isnan(worst_)) worst_ = error_over_tolerance;
    if (!good)
      std::cout << "  FAILED " << section_ << ' ' << what << ": error is " << error_over_tolerance << " × tolerance\n";
  }
  void expect(const std::string& what, bool good) { check(what, good ? 0.0 : INFINITY); }
  void end() {
    std::cout << std::left << std::setw(28) << section_ << std::right << std::setw(6) << section_passed_ << " passed "
              << std::setw(3) << section_failed_ << " failed   largest error / tolerance " << std::setprecision(3)
              << worst_ << std::endl;
    passed_ += section_passed_, failed_ += section_failed_;
  }
  int finish() const {
    std::cout << passed_ << " passed, " << failed_ << " failed" << std::endl;
    return failed_ == 0 && passed_ > 0 ? 0 : 1;
  }

private:
  std::string section_;
  double worst_ = 0;
  int passed_ = 0, failed_ = 0, section_passed_ = 0, section_failed_ = 0;
};

inline nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(map_file(path).text()); }

inline std::string crc32(std::span<const float> values) {
  boost::crc_32_type crc;
  crc.process_bytes(values.data(), values.size_bytes());
  std::ostringstream out;
  out << std::hex << std::setw(8) << std::setfill('0') << crc.checksum();
  return out.str();
}

/// A standard normal input image batch of a stream, as stored: NCHW.
inline std::vector<float> input_nchw(std::uint64_t seed, const std::string& stream_name, std::size_t size) {
  std::vector<float> values(size);
  const random_stream stream(seed, stream_name);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(random_stream::normal_of(stream.at(i), 1.0));
  return values;
}

inline std::vector<float> nchw_to_nhwc(std::span<const float> in, std::size_t n, std::size_t c, std::size_t hw) {
  std::vector<float> out(in.size());
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t ch = 0; ch < c; ++ch)
      for (std::size_t p = 0; p < hw; ++p) out[(i * hw + p) * c + ch] = in[(i * c + ch) * hw + p];
  return out;
}
inline std::vector<float> nhwc_to_nchw(std::span<const float> in, std::size_t n, std::size_t c, std::size_t hw) {
  std::vector<float> out(in.size());
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t ch = 0; ch < c; ++ch)
      for (std::size_t p = 0; p < hw; ++p) out[(i * c + ch) * hw + p] = in[(i * hw + p) * c + ch];
  return out;
}

inline bool is_proxyless(const nlohmann::json& recipe) { return recipe.value("net", "").starts_with("proxyless"); }
inline bool is_resnet(const nlohmann::json& recipe) { return recipe.value("net", "").starts_with("resnet50"); }
inline bool is_known(const nlohmann::json& recipe) {
  return recipe.contains("width_mult") || is_proxyless(recipe) || is_resnet(recipe);
}

/// ProxylessNAS, whose recipe lists its blocks.
inline space_description proxyless_space_of(const nlohmann::json& recipe) {
  space_description s = ofa_proxyless_w1_3::description;
  const auto& blocks = recipe.at("blocks");
  s.stem_width = recipe.at("stem_width");
  s.first_width = blocks[0].at("out");
  for (std::size_t i = 0; i < s.stages.size(); ++i) s.stages[i].width = blocks[1 + s.first_block(i)].at("out");
  s.mix_width = recipe.at("mix_width");
  s.classes = recipe.at("n_classes");
  s.bn_epsilon = recipe.at("bn_eps");
  return s;
}

/// ResNet-50D, whose recipe lists the widths of its stages.
inline space_description resnet_space_of(const nlohmann::json& recipe) {
  space_description s = ofa_resnet50_space::description;
  for (std::size_t i = 1; i < s.stages.size(); ++i) s.stages[i].width = recipe.at("stage_widths")[i - 1].back();
  s.classes = recipe.at("n_classes");
  s.bn_epsilon = recipe.at("bn_eps");
  return s;
}

/// The space of a golden network: once-for-all's geometry at a width multiplier; every resolution from 32 up is
/// allowed.
inline space_description space_of(const nlohmann::json& recipe) {
  space_description s;
  if (is_proxyless(recipe) || is_resnet(recipe)) {
    s = is_resnet(recipe) ? resnet_space_of(recipe) : proxyless_space_of(recipe);
    s.resolutions = {};
    for (int r = 32; r <= 224; r += 4) s.resolutions.push_back(static_cast<std::uint16_t>(r));
    return s;
  }
  const double width = recipe.at("width_mult");
  s.width_multiplier = width;
  s.stem_width = make_divisible(16 * width);
  const int widths[] = {24, 40, 80, 112, 160}, strides[] = {2, 2, 2, 1, 2};
  const bool se[] = {false, true, false, true, true};
  for (int i = 0; i < 5; ++i)
    s.stages.push_back({make_divisible(widths[i] * width),
                        strides[i],
                        i < 2 ? activation::relu : activation::h_swish,
                        se[i],
                        {2, 3, 4},
                        {3, 4, 6},
                        {3, 5, 7}});
  s.final_width = make_divisible(960 * width);
  s.mix_width = make_divisible(1280 * width);
  s.classes = recipe.at("n_classes");
  s.bn_epsilon = recipe.at("bn_eps");
  for (int r = 32; r < 128; r += 16) s.resolutions.push_back(static_cast<std::uint16_t>(r));
  for (int r = 128; r <= 224; r += 4) s.resolutions.push_back(static_cast<std::uint16_t>(r));
  return s;
}

/// Largest |a − b| over (tolerance · scale).
inline double worst(std::span<const float> got, std::span<const float> wanted, double tolerance) {
  if (got.size() != wanted.size()) return INFINITY;
  double most = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(static_cast<double>(got[i]) - wanted[i]);
    if (!(d <= most) && !std::isnan(most)) most = d; // NaN sticks
  }
  return most / tolerance;
}

/// Folders of `dir` that describe a network, or `dir` itself if it does.
inline std::vector<fs::path> networks(const fs::path& dir) {
  if (fs::exists(dir / "recipe.json")) return {dir};
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(dir))
    if (fs::exists(entry.path() / "recipe.json")) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

/// Tolerance of logits and blocks of a network, × std, against the float32 files.
inline double tolerance_of(const std::string& net) { return net == "tiny" ? 1e-4 : net == "w1.2" ? 5e-4 : 2e-4; }

} // namespace golden
