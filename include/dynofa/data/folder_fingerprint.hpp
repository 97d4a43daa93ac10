#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/data/image_folder.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace dynofa::data {

/// Tells sets of labelled pictures apart: their number, and a hash of every picture's label, name and bytes, in their
/// order. Where the folder lies does not matter. Reads every file once, `threads` at a time, about 1 GB/s each. Throws
/// errc::io for a picture that cannot be read.
inline std::string fingerprint(const image_folder& images, int threads = 1) {
  std::vector<std::uint64_t> parts(images.size());
  parallel_for(images.size(), threads, [&](std::size_t i) {
    const std::uint64_t content = fnv1a64(map_file(images.path(i)).text());
    parts[i] = mix64(content ^ mix64(fnv1a64(images.path(i).filename().native()) + std::uint64_t(images.label(i))));
  });
  std::uint64_t hash = 0;
  for (const std::uint64_t part : parts) hash = mix64(hash + part);
  return text(images.size(), " pictures, hash ", in_base(16, hash));
}

} // namespace dynofa::data
