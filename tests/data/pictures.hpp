#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/data/image.hpp"

#include <nlohmann/json.hpp>

#include "support/scratch_folder.hpp"
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What the tests of data/ share: noise pictures, hashes, golden files.

namespace dynofa::data::testing {

/// The noise of tests/golden/data/make_pil.py.
inline std::vector<std::uint8_t> noise_bytes(std::uint32_t seed, std::size_t count) {
  std::vector<std::uint8_t> out(count);
  for (auto& v : out) {
    seed = 1664525u * seed + 1013904223u;
    v = static_cast<std::uint8_t>(seed >> 24);
  }
  return out;
}

inline image noise(int height, int width, std::uint32_t seed) {
  image picture(height, width);
  picture.pixels = noise_bytes(seed, picture.pixels.size());
  return picture;
}

/// FNV-1a of the pixels, as 16 hexadecimal digits.
inline std::string hash(const image& picture) {
  const auto* first = reinterpret_cast<const char*>(picture.pixels.data());
  std::uint64_t h = fnv1a64({first, picture.pixels.size()});
  std::string out(16, '0');
  for (auto digit = out.rbegin(); digit != out.rend(); ++digit, h >>= 4) *digit = "0123456789abcdef"[h & 15];
  return out;
}

/// A file of recorded numbers; it lives on, so that a loop may run over a part of it.
inline const nlohmann::json& golden(const std::string& name) {
  static std::map<std::string, nlohmann::json> files;
  nlohmann::json& file = files[name];
  if (file.is_null()) {
    std::ifstream in(std::filesystem::path(DYNOFA_SOURCE_DIR) / "tests/golden/data" / name);
    file = nlohmann::json::parse(in);
  }
  return file;
}

inline std::vector<std::byte> from_hex(std::string_view digits) {
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::byte> out(digits.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::byte>(value(digits[2 * i]) * 16 + value(digits[2 * i + 1]));
  return out;
}

inline std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~0u;
  for (std::byte b : bytes) {
    crc ^= static_cast<std::uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

/// Corrects the checksums of a changed PNG, so that the change gets past them.
inline void mend_checksums(std::vector<std::byte>& file) {
  std::size_t at = 8;
  while (at + 12 <= file.size()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<std::size_t>(file[at + i]);
    if (length > file.size() - at - 12) return;
    const auto crc = crc32(std::span(file).subspan(at + 4, length + 4));
    for (std::size_t i = 0; i < 4; ++i) file[at + 8 + length + i] = static_cast<std::byte>(crc >> (24 - 8 * i));
    at += 12 + length;
  }
}

/// Mean absolute difference in levels; 1000 for pictures of different sizes.
inline double mean_difference(const image& a, const image& b) {
  if (a.height != b.height || a.width != b.width) return 1000;
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  return sum / static_cast<double>(a.pixels.size());
}

inline void write_text(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

/// The error that `action` throws; errc::cancelled with the word "nothing" if it throws none.
template <class Action>
error fault_of(Action&& action) {
  try {
    action();
  } catch (const error& fault) {
    return fault;
  }
  return error(errc::cancelled, "test", "an error", "nothing");
}

} // namespace dynofa::data::testing
