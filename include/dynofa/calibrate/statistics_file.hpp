#pragma once
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/data/preprocess_json.hpp"
#include "dynofa/model/safetensors.hpp"
#include "dynofa/space/json.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dynofa {

/// Statistics with what they are good for: this super-network, this architecture at its resolution, images prepared
/// this way. For anything else they are wrong by whole points of top-1, silently; so loading them for anything else
/// throws.
struct bound_statistics {
  std::uint64_t supernet_hash = 0;   ///< `supernet::hash`
  dynofa::arch arch;                 ///< its resolution counts too
  data::preprocessing preprocessing; ///< of the images they were taken from
  int images = 0;                    ///< that were averaged
  bn_statistics statistics;          ///< in the order of the architecture's plan
};

/// Writes a safetensors file ("mean", "var", with ranges "range_low" and "range_high"; the rest as metadata) that
/// readers see whole or not at all.
inline void save_statistics(const std::filesystem::path& path, const bound_statistics& s) {
  state_dict tensors;
  const auto put = [&](const char* name, const std::vector<float>& values) {
    tensors[name] = tensor::of_floats(values, {static_cast<std::int64_t>(values.size())});
  };
  put("mean", s.statistics.mean), put("var", s.statistics.var);
  if (const activation_ranges& ranges = s.statistics.ranges; !ranges.empty())
    put("range_low", ranges.low), put("range_high", ranges.high);
  write_safetensors(path, tensors,
                    {{"dynofa.statistics", "1"},
                     {"dynofa.supernet_hash", in_base(16, s.supernet_hash)},
                     {"dynofa.arch", nlohmann::json(s.arch).dump()},
                     {"dynofa.preprocessing", nlohmann::json(s.preprocessing).dump()},
                     {"dynofa.images", text(s.images)}});
}

/// Reads statistics for `a` on `net` with images prepared by `rule`. Throws errc::mismatch, with what the file is for,
/// if that is another super-network, architecture, resolution or preprocessing; errc::bad_file for anything malformed;
/// errc::missing_key for ranges of which there are only lows or only highs.
inline bound_statistics load_statistics(const std::filesystem::path& path, const supernet& net, const arch& a,
                                        const data::preprocessing& rule) {
  const safetensors_file file = read_safetensors(path);
  const std::string where = path.string();
  const auto metadata = [&](const char* key) -> const std::string& {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end()) throw error(errc::missing_key, where, text("metadata ", key), "none");
    return found->second;
  };
  if (metadata("dynofa.statistics") != "1")
    throw error(errc::unsupported, where, "statistics of version 1", printable(metadata("dynofa.statistics")));
  bound_statistics s;
  const auto number = [&](const char* key, auto& value, int base) {
    const std::string& digits = metadata(key);
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (fault != std::errc() || end != digits.data() + digits.size())
      throw error(errc::bad_file, where, text("a number as ", key), printable(digits));
  };
  number("dynofa.supernet_hash", s.supernet_hash, 16);
  number("dynofa.images", s.images, 10);
  s.arch = conform(net.space, parse_arch(metadata("dynofa.arch")));
  s.preprocessing = detail::parse_bounded(metadata("dynofa.preprocessing"), where).get<data::preprocessing>();

  if (s.supernet_hash != net.hash())
    throw error(errc::mismatch, where, text("statistics of super-network ", in_base(16, net.hash())),
                text("of ", in_base(16, s.supernet_hash)));
  const plan wanted = make_plan(net.space, a);
  if (!(s.arch == wanted.arch))
    throw error(errc::mismatch, where, text("statistics of ", wanted.arch), text("of ", s.arch));
  if (!(s.preprocessing == rule))
    throw error(errc::mismatch, where, text("statistics of images prepared as ", rule.to_string()),
                text("as ", s.preprocessing.to_string()));
  const auto floats = [&](const char* name) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end()) throw error(errc::missing_key, where, text("tensor ", name), "none");
    return found->second.to_floats();
  };
  s.statistics = {floats("mean"), floats("var")};
  if (file.tensors.contains("range_low") || file.tensors.contains("range_high"))
    s.statistics.ranges = {floats("range_low"), floats("range_high")};
  check_statistics(wanted, s.statistics, where);
  return s;
}

} // namespace dynofa
