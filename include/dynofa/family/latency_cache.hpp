#pragma once
#include "dynofa/family/family.hpp"
#include "dynofa/family/measure.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

// What the levels of a family took on this machine, kept between runs of a program: measuring takes seconds, and gives
// the same again. One small JSON file for each set of levels; what it says is kept by device, so by machine and
// backend.

namespace dynofa {

/// `dynofa` in the user's folder for caches ($XDG_CACHE_HOME, else $HOME/.cache), or "" where there is none.
std::filesystem::path default_cache_folder();

/// The file in `folder` for the levels of `f`: their architectures, number formats and space decide its name, and this
/// version of dynofa, whose kernels were measured.
std::filesystem::path latency_cache_file(const std::filesystem::path& folder, const family& f);

/// Puts into `f` what `file` holds of `device`. Returns false, with `f` unchanged, if there is no such file, if it is
/// none of ours or if it lacks the device or a level: then it is time to measure.
bool recall_latencies(family& f, std::string_view device, const std::filesystem::path& file);

/// Adds what `f` holds of `device` to `file`, and makes its folder. Throws errc::missing_key for a level without,
/// errc::io where the file cannot be written. Two programs at once: one of both devices is kept, the file is whole.
void remember_latencies(const family& f, std::string_view device, const std::filesystem::path& file);

/// `remeasure_latencies` only where `folder` remembers none of this machine and backend; then it does. A folder that
/// cannot be written, or "", costs the next run its time and is no error. Returns the device's name.
template <inference_backend Backend>
std::string recall_or_measure_latencies(family& f, Backend backend, const std::filesystem::path& folder,
                                        int rounds = 30) {
  std::string device = device_name(backend);
  if (folder.empty()) return remeasure_latencies(f, std::move(backend), rounds);
  const auto file = latency_cache_file(folder, f);
  if (recall_latencies(f, device, file)) return device;
  remeasure_latencies(f, std::move(backend), rounds);
  try {
    remember_latencies(f, device, file);
  } catch (const error& e) {
    if (e.code() != errc::io) throw;
  }
  return device;
}

} // namespace dynofa

#ifndef DYNOFA_RUNTIME_LINKED
#include "dynofa/family/latency_cache.inl"
#endif
