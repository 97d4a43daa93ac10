// The definitions of family/file.hpp: in each program that includes it, or once in dynofa::runtime (runtime.cpp).
#pragma once
#include "dynofa/core/finite.hpp"
#include "dynofa/data/class_names_json.hpp"
#include "dynofa/data/preprocess_json.hpp"
#include "dynofa/model/safetensors.hpp"
#include "dynofa/space/json.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <utility>

#ifndef DYNOFA_RUNTIME_HERE
#define DYNOFA_RUNTIME_HERE inline
#endif

namespace dynofa {

namespace detail::family_io {

inline constexpr std::string_view checksum_key = "\"dynofa.checksum\":\"";
inline constexpr std::size_t checksum_digits = 32;
inline constexpr std::size_t max_levels = 256;
/// Names that are no section's: of metadata "dynofa.NAME" and of tensors "NAME.…".
inline constexpr std::string_view own_names[] = {"checksum", "family", "space", "preprocessing",
                                                 "classes",  "levels", "level", "supernet"};
inline bool is_section(std::string_view name) {
  return std::find(std::begin(own_names), std::end(own_names), name) == std::end(own_names) && !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

/// XXH3-128 in hex of `header` (its checksum's digits at `at` read as zeros) and what follows it.
inline std::string checksum(std::span<const std::byte> header, std::size_t at,
                            std::span<const std::span<const std::byte>> rest) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  const std::string zeros(checksum_digits, '0');
  XXH3_128bits_update(state.get(), header.data(), at);
  XXH3_128bits_update(state.get(), zeros.data(), zeros.size());
  XXH3_128bits_update(state.get(), header.data() + at + checksum_digits, header.size() - at - checksum_digits);
  for (auto part : rest) XXH3_128bits_update(state.get(), part.data(), part.size());
  const auto value = XXH3_128bits_digest(state.get());
  std::string hex;
  for (std::uint64_t half : {value.high64, value.low64})
    for (int shift = 60; shift >= 0; shift -= 4) hex += "0123456789abcdef"[half >> shift & 15];
  return hex;
}

/// As halves if that loses nothing, else as floats: what is read back is the same to the bit.
inline tensor exact_tensor(const std::vector<float>& values, const shape_type& shape) {
  std::vector<std::uint16_t> halves(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    halves[i] = float_to_half(values[i]);
    if (std::bit_cast<std::uint32_t>(half_to_float(halves[i])) != std::bit_cast<std::uint32_t>(values[i]))
      return tensor::of_floats(values, shape);
  }
  return tensor::of(std::span<const std::uint16_t>(halves), shape, dtype::f16);
}

/// f32 or f16 → floats; whether all of them are finite. The loops are free of branches: a few milliseconds for the
/// 8 million weights of w = 1.2.
inline bool widen(const tensor& t, std::vector<float>& out) {
  const auto size = static_cast<std::size_t>(t.size());
  out.reserve(size);
  bring_in(out.data(), size * sizeof(float), touch::write);
  out.resize(size);
  if (t.type == dtype::f32) {
    if (!out.empty()) std::memcpy(out.data(), t.bytes.data(), t.bytes.size());
    return first_not_finite(out) == out.size();
  }
  std::uint32_t largest = 0; // exponent and what follows
  const auto* in = t.bytes.data();
  float* to = out.data();
  for (std::size_t i = 0, n = out.size(); i < n; ++i) {
    std::uint16_t h;
    std::memcpy(&h, in + 2 * i, 2);
    const std::uint32_t shifted = std::uint32_t(h & 0x7FFFu) << 13; // the exponent is 112 too small …
    largest = std::max(largest, shifted);
    std::uint32_t bits = std::bit_cast<std::uint32_t>(std::bit_cast<float>(shifted) * 0x1p112f);
    bits |= shifted >= 0x0F800000u ? 0x7F800000u : 0u; // … but for infinity and NaN
    to[i] = std::bit_cast<float>(bits | std::uint32_t(h & 0x8000u) << 16);
  }
  return largest < 0x0F800000u;
}

inline void expect_finite(std::string_view where, const std::string& name, const std::vector<float>& values,
                          const shape_type& shape) {
  if (const auto bad = first_not_finite(values); bad < values.size())
    throw error(errc::bad_file, text(where, ", tensor ", name), "finite values",
                text(shown(values[bad]), " at ", to_string(shape, bad)));
}

/// Tensors by name that all have to be asked for.
class tensor_source {
public:
  tensor_source(const state_dict& tensors, std::string where)
      : tensors_{tensors}
      , where_{std::move(where)} {}
  void take(const std::string& name, const shape_type& shape, std::vector<float>& out) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw error(errc::bad_file, where_, "a tensor " + name, "none");
    const tensor& t = found->second;
    if (t.shape != shape || (t.type != dtype::f32 && t.type != dtype::f16))
      throw error(errc::bad_file, text(where_, ", tensor ", name), text("F32 or F16 ", to_string(shape)),
                  text(name_of(t.type), ' ', to_string(t.shape)));
    if (!widen(t, out)) expect_finite(where_, name, out, shape);
    ++taken_;
  }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  /// The tensors of a section, "SECTION.…", as copies of their own under the rest of their names.
  state_dict take_section(const std::string& section) {
    state_dict found;
    for (auto at = tensors_.lower_bound(section + '.'); at != tensors_.end() && at->first.starts_with(section + '.');
         ++at, ++taken_)
      found[at->first.substr(section.size() + 1)] = tensor::of(at->second.bytes, at->second.shape, at->second.type);
    return found;
  }
  void expect_all_taken() const {
    if (taken_ != tensors_.size()) throw error(errc::bad_file, where_, text(taken_, " tensors"), text(tensors_.size()));
  }

private:
  const state_dict& tensors_;
  std::string where_;
  std::size_t taken_ = 0;
};

inline nlohmann::json describe(const family_level& level) {
  auto latency = nlohmann::json::array();
  for (const auto& l : level.latency)
    latency.push_back({{"device", l.device},
                       {"median_ms", l.median_ms},
                       {"p95_ms", l.p95_ms},
                       {"min_ms", l.min_ms},
                       {"images", l.images}});
  nlohmann::json described = {{"arch", level.arch},
                              {"images", level.accuracy.images},
                              {"correct", level.accuracy.correct},
                              {"correct5", level.accuracy.correct5},
                              {"latency", latency}};
  if (!level.format.empty()) described["format"] = level.format;
  return described;
}

inline family_level read_level(const json_field& field) {
  constexpr int most = std::numeric_limits<int>::max();
  family_level level;
  level.arch = read_arch(field.object()["arch"].value());
  level.accuracy = {field["images"].whole_number(0, most), field["correct"].whole_number(0, most),
                    field["correct5"].whole_number(0, most)};
  if (field.has("format")) level.format = field["format"].word(32);
  field["latency"].each(64, [&](const json_field& l) {
    level.latency.push_back({l.object()["device"].word(1024), l["median_ms"].number(), l["p95_ms"].number(),
                             l["min_ms"].number(), l["images"].whole_number(0, most)});
  });
  return level;
}

} // namespace detail::family_io

DYNOFA_RUNTIME_HERE void save_family(const std::filesystem::path& path, const family& f) {
  using namespace detail::family_io;
  if (f.levels().size() > max_levels)
    throw error(errc::invalid_argument, path.string(), text("at most ", max_levels, " levels"),
                text(f.levels().size()));
  state_dict tensors;
  visit_weights(*f.net(), [&](const std::string& name, const std::vector<float>& values, const shape_type& shape) {
    expect_finite(path.string(), name, values, shape);
    tensors[name] = exact_tensor(values, shape);
  });
  auto levels = nlohmann::json::array(), classes = nlohmann::json::array();
  for (std::size_t i = 0; i < f.levels().size(); ++i) {
    const bn_statistics& s = f.levels()[i].statistics;
    const auto put = [&](const char* name, const std::vector<float>& values) {
      tensors[text("level.", i, '.', name)] = tensor::of_floats(values, {static_cast<std::int64_t>(values.size())});
    };
    put("mean", s.mean), put("var", s.var);
    if (!s.ranges.empty()) put("range_low", s.ranges.low), put("range_high", s.ranges.high);
    levels.push_back(describe(f.levels()[i]));
  }
  for (const auto& c : f.classes()) classes.push_back({{"wnid", c.id}, {"name", c.name}});
  std::map<std::string, std::string> metadata;
  try {
    metadata = {{"dynofa.checksum", std::string(checksum_digits, '0')},
                {"dynofa.family", std::to_string(family_format)},
                {"dynofa.space", nlohmann::json(f.space()).dump()},
                {"dynofa.preprocessing", nlohmann::json(f.preprocessing()).dump()},
                {"dynofa.classes", classes.dump()},
                {"dynofa.levels", levels.dump()}};
  } catch (const nlohmann::json::exception&) {
    throw error(errc::invalid_argument, path.string(), "names and texts in UTF-8", "another encoding");
  }
  for (const auto& [name, section] : f.sections) {
    if (!is_section(name))
      throw error(errc::invalid_argument, path.string(),
                  "names of sections in small letters that the file has not taken", printable(name));
    metadata["dynofa." + name] = section.text;
    for (const auto& [key, t] : section.tensors) tensors[name + '.' + key] = t;
  }

  auto [header, order] = safetensors_header(tensors, metadata, path.string());
  std::vector<std::span<const std::byte>> parts;
  for (const auto* t : order) parts.push_back(t->bytes);
  const std::size_t at = header.find(checksum_key) + checksum_key.size();
  header.replace(at, checksum_digits, checksum(std::as_bytes(std::span(header)), at, parts));
  parts.insert(parts.begin(), std::as_bytes(std::span(header)));
  replace_file(path, parts);
}

DYNOFA_RUNTIME_HERE family read_family(const file_bytes& file, const std::string& where) {
  using namespace detail::family_io;
  const safetensors_file parts = read_safetensors(file, where);
  const auto metadata = [&](const char* key) -> const std::string& {
    const auto found = parts.metadata.find(key);
    if (found == parts.metadata.end())
      throw error(errc::bad_file, where, text("a family of sub-networks, with metadata ", key), "none");
    return found->second;
  };
  const std::string& format = metadata("dynofa.family");
  if (format != std::to_string(family_format))
    throw error(errc::unsupported, where, text("a family file of format ", family_format), printable(format));

  const std::string_view head = file.text();
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, head.data(), 8);
  const std::size_t key = head.substr(0, 8 + header_size).find(checksum_key), at = key + checksum_key.size();
  if (key == head.npos || metadata("dynofa.checksum").size() != checksum_digits || at + checksum_digits > head.size())
    throw error(errc::bad_file, where, "a checksum of 32 digits", "none");
  detail::bring_in(file.bytes.data(), file.bytes.size(), detail::touch::read);
  if (const auto found = checksum(file.bytes, at, {}); found != head.substr(at, checksum_digits))
    throw error(errc::bad_file, where, text("content of checksum ", printable(head.substr(at, checksum_digits))),
                text(found, ": the file was altered"));

  const auto json = [&](const char* name) { return detail::parse_bounded(metadata(name), text(where, ' ', name)); };
  try {
    tensor_source in(parts.tensors, where);
    const auto net = std::make_shared<supernet>(parse_space(metadata("dynofa.space")));
    visit_weights(*net, [&](const std::string& name, std::vector<float>& values, const shape_type& shape) {
      in.take(name, shape, values);
    });
    family f(net, json("dynofa.preprocessing").get<data::preprocessing>(),
             data::read_class_names(json("dynofa.classes"), "classes"));
    const auto levels = json("dynofa.levels");
    detail::json_field(levels, "levels").each(max_levels, [&](const detail::json_field& field) {
      family_level level = read_level(field);
      const plan p = make_plan(net->space, level.arch);
      const std::string name = text("level.", f.levels().size());
      in.take(name + ".mean", {p.norm_values()}, level.statistics.mean);
      in.take(name + ".var", {p.norm_values()}, level.statistics.var);
      if (in.has(name + ".range_low") || in.has(name + ".range_high")) {
        const auto ranges = static_cast<std::int64_t>(range_count(p));
        in.take(name + ".range_low", {ranges}, level.statistics.ranges.low);
        in.take(name + ".range_high", {ranges}, level.statistics.ranges.high);
      }
      f.add(std::move(level));
    });
    for (const auto& [key, value] : parts.metadata)
      if (key.starts_with("dynofa.") && is_section(key.substr(7)))
        f.sections[key.substr(7)] = {value, in.take_section(key.substr(7))};
    in.expect_all_taken();
    return f;
  } catch (const error& fault) {
    if (fault.where().starts_with(where)) throw;
    throw error(errc::bad_file, text(where, ", ", fault.where()), fault.expected(), fault.got());
  }
}

DYNOFA_RUNTIME_HERE family load_family(const std::filesystem::path& path) {
  return read_family(map_file(path), path.string());
}

} // namespace dynofa
