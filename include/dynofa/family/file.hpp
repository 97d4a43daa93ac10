#pragma once
#include "dynofa/data/preprocess_json.hpp"
#include "dynofa/family/family.hpp"
#include "dynofa/latency/table_json.hpp"
#include "dynofa/model/safetensors.hpp"
#include "dynofa/space/json.hpp"

#include <xxhash.h>

#include <bit>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A family as one file: safetensors with the super-network ("supernet.…"), per level "level.N.mean" and ".var", and the
// rest as JSON in the metadata. "dynofa.checksum" is XXH3-128 of the whole file with zeros in its own place.

namespace dynofa {

/// The version of the file's form. A reader accepts its own and refuses newer ones.
inline constexpr int family_format = 1;

namespace detail::family_io {

inline constexpr std::string_view checksum_key = "\"dynofa.checksum\":\"";
inline constexpr std::size_t checksum_digits = 32;
inline constexpr std::size_t max_levels = 256;

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

/// f32 or f16 → floats. The loop is free of branches: a few milliseconds for the 8 million weights of w = 1.2.
inline void widen(const tensor& t, std::vector<float>& out) {
  const auto size = static_cast<std::size_t>(t.size());
  out.reserve(size);
  bring_in(out.data(), size * sizeof(float), touch::write);
  out.resize(size);
  if (t.type == dtype::f32) {
    if (!out.empty()) std::memcpy(out.data(), t.bytes.data(), t.bytes.size());
    return;
  }
  const auto* in = t.bytes.data();
  float* to = out.data();
  for (std::size_t i = 0, n = out.size(); i < n; ++i) {
    std::uint16_t h;
    std::memcpy(&h, in + 2 * i, 2);
    const std::uint32_t shifted = std::uint32_t(h & 0x7FFFu) << 13; // the exponent is 112 too small …
    std::uint32_t bits = std::bit_cast<std::uint32_t>(std::bit_cast<float>(shifted) * 0x1p112f);
    bits |= shifted >= 0x0F800000u ? 0x7F800000u : 0u; // … but for infinity and NaN
    to[i] = std::bit_cast<float>(bits | std::uint32_t(h & 0x8000u) << 16);
  }
}

/// Tensors by name that all have to be asked for.
class tensor_source {
public:
  tensor_source(const state_dict& tensors, std::string where)
      : tensors_{tensors}
      , where_{std::move(where)} {}
  bool has(const std::string& name) const { return tensors_.contains(name); }
  void take(const std::string& name, const shape_type& shape, std::vector<float>& out) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw error(errc::bad_file, where_, "a tensor " + name, "none");
    const tensor& t = found->second;
    if (t.shape != shape || (t.type != dtype::f32 && t.type != dtype::f16))
      throw error(errc::bad_file, text(where_, ", tensor ", name), text("F32 or F16 ", to_string(shape)),
                  text(name_of(t.type), ' ', to_string(t.shape)));
    widen(t, out);
    ++taken_;
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
  return {{"arch", level.arch},
          {"images", level.accuracy.images},
          {"correct", level.accuracy.correct},
          {"correct5", level.accuracy.correct5},
          {"latency", latency}};
}

inline std::string word(const nlohmann::json& object, const char* key, const std::string& where) {
  const auto at = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || at == object.end() || !at->is_string() || at->get_ref<const std::string&>().size() > 1024)
    throw error(errc::bad_file, where, text("a text ", key, " of at most 1024 bytes"), "something else");
  return at->get<std::string>();
}

inline family_level read_level(const nlohmann::json& json, const std::string& where) {
  constexpr int most = std::numeric_limits<int>::max();
  const json_field all(json, where);
  all.object();
  family_level level;
  (void)all["arch"];
  level.arch = read_arch(json["arch"]);
  level.accuracy = {all["images"].whole_number(0, most), all["correct"].whole_number(0, most),
                    all["correct5"].whole_number(0, most)};
  const auto number = [&](const nlohmann::json& object, const char* key) {
    if (!object.contains(key) || !object[key].is_number())
      throw error(errc::bad_file, where + " latency", text("a number ", key), "something else");
    return object[key].get<double>();
  };
  all["latency"].each(64, [](const json_field&) {});
  for (const auto& l : json["latency"]) {
    measured_latency m;
    m.device = word(l, "device", where + " latency");
    m.median_ms = number(l, "median_ms"), m.p95_ms = number(l, "p95_ms"), m.min_ms = number(l, "min_ms");
    m.images = json_field(l, where + " latency")["images"].whole_number(0, most);
    level.latency.push_back(std::move(m));
  }
  return level;
}

inline void put_predictor(state_dict& tensors, const accuracy_predictor& predictor) {
  for (std::size_t m = 0; m < predictor.members().size(); ++m)
    for (std::size_t l = 0; l < predictor.members()[m].size(); ++l) {
      const auto& layer = predictor.members()[m][l];
      const std::string name = text("predictor.", m, '.', l);
      const auto outs = static_cast<std::int64_t>(layer.bias.size()), ins = static_cast<std::int64_t>(layer.inputs());
      tensors.emplace(name + ".weight", tensor::of_floats(layer.weight, {outs, ins}));
      tensors.emplace(name + ".bias", tensor::of_floats(layer.bias, {outs}));
    }
}
inline accuracy_predictor take_predictor(tensor_source& in, const state_dict& tensors, const nlohmann::json& about) {
  const json_field field(about, "predictor");
  field.object();
  const bool official = field["official"].boolean();
  (void)field["space"];
  const space_description space = read_space(about["space"]);
  std::vector<predictor_network> members;
  for (std::size_t m = 0; in.has(text("predictor.", m, ".0.weight")); ++m) {
    predictor_network network;
    for (std::size_t l = 0; in.has(text("predictor.", m, '.', l, ".weight")); ++l) {
      const std::string name = text("predictor.", m, '.', l);
      const shape_type shape = tensors.find(name + ".weight")->second.shape;
      if (shape.size() != 2) throw error(errc::bad_file, name + ".weight", "two dimensions", to_string(shape));
      predictor_layer layer;
      in.take(name + ".weight", shape, layer.weight);
      in.take(name + ".bias", {shape[0]}, layer.bias);
      network.push_back(std::move(layer));
    }
    members.push_back(std::move(network));
  }
  return {space, official ? feature_layout::official(space) : feature_layout::of_space(space), std::move(members),
          official};
}

} // namespace detail::family_io

/// Writes a family; readers see the old file or the new one, never a part (`replace_file`). Loading gives the same
/// family to the bit: arrays whose every value is a half are stored as halves (`round_to_half`), others as floats. The
/// same family gives the same bytes. Throws errc::io, or errc::invalid_argument for more than 256 levels or texts that
/// are not UTF-8.
inline void save_family(const std::filesystem::path& path, const family& f) {
  using namespace detail::family_io;
  if (f.levels().size() > max_levels)
    throw error(errc::invalid_argument, path.string(), text("at most ", max_levels, " levels"),
                text(f.levels().size()));
  state_dict tensors;
  visit_weights(*f.net(), [&](const std::string& name, const std::vector<float>& values, const shape_type& shape) {
    tensors[name] = exact_tensor(values, shape);
  });
  auto levels = nlohmann::json::array(), classes = nlohmann::json::array();
  for (std::size_t i = 0; i < f.levels().size(); ++i) {
    const bn_statistics& s = f.levels()[i].statistics;
    const auto n = static_cast<std::int64_t>(s.mean.size());
    tensors[text("level.", i, ".mean")] = tensor::of_floats(s.mean, {n});
    tensors[text("level.", i, ".var")] = tensor::of_floats(s.var, {n});
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
                {"dynofa.levels", levels.dump()},
                {"dynofa.provenance", nlohmann::json(f.provenance).dump()}};
    if (f.table) metadata["dynofa.table"] = nlohmann::json(*f.table).dump();
    if (f.predictor)
      metadata["dynofa.predictor"] =
          nlohmann::json{{"official", f.predictor->is_official()}, {"space", f.predictor->space()}}.dump();
  } catch (const nlohmann::json::exception&) {
    throw error(errc::invalid_argument, path.string(), "names and texts in UTF-8", "another encoding");
  }
  if (f.predictor) put_predictor(tensors, *f.predictor);

  auto [header, order] = safetensors_header(tensors, metadata, path.string());
  std::vector<std::span<const std::byte>> parts;
  for (const auto* t : order) parts.push_back(t->bytes);
  const std::size_t at = header.find(checksum_key) + checksum_key.size();
  header.replace(at, checksum_digits, checksum(std::as_bytes(std::span(header)), at, parts));
  parts.insert(parts.begin(), std::as_bytes(std::span(header)));
  replace_file(path, parts);
}

/// Reads a family from memory; `where` names it in errors. One sentence refuses what is truncated, altered or newer
/// (errc::bad_file, errc::unsupported). Weights are copied out; nothing refers to the bytes afterwards.
inline family read_family(const file_bytes& file, const std::string& where) {
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

  const auto json = [&](const char* name) {
    return detail::parse_bounded(metadata(name), text(where, ' ', name).c_str());
  };
  try {
    tensor_source in(parts.tensors, where);
    const auto net = std::make_shared<supernet>(parse_space(metadata("dynofa.space")));
    visit_weights(*net, [&](const std::string& name, std::vector<float>& values, const shape_type& shape) {
      in.take(name, shape, values);
    });
    std::vector<data::class_name> classes;
    const auto names = json("dynofa.classes");
    detail::json_field(names, "classes").each(1 << 20, [](const detail::json_field&) {});
    for (const auto& c : names) classes.push_back({word(c, "wnid", where), word(c, "name", where)});

    family f(net, json("dynofa.preprocessing").get<data::preprocessing>(), std::move(classes));
    const auto levels = json("dynofa.levels");
    detail::json_field(levels, "levels").each(max_levels, [](const detail::json_field&) {});
    for (std::size_t i = 0; i < levels.size(); ++i) {
      family_level level = read_level(levels[i], text("level ", i));
      const auto n = make_plan(net->space, level.arch).norm_values();
      in.take(text("level.", i, ".mean"), {n}, level.statistics.mean);
      in.take(text("level.", i, ".var"), {n}, level.statistics.var);
      f.add(std::move(level));
    }
    const auto provenance = json("dynofa.provenance");
    if (!provenance.is_object()) throw error(errc::bad_file, "provenance", "an object", provenance.type_name());
    for (const auto& [name, value] : provenance.items()) {
      if (!value.is_string()) throw error(errc::bad_file, "provenance", "texts", value.type_name());
      f.provenance[name] = value.get<std::string>();
    }
    if (parts.metadata.contains("dynofa.table")) f.table = parse_latency_table(metadata("dynofa.table"));
    if (parts.metadata.contains("dynofa.predictor"))
      f.predictor = take_predictor(in, parts.tensors, json("dynofa.predictor"));
    in.expect_all_taken();
    return f;
  } catch (const error& fault) {
    if (fault.where().starts_with(where)) throw;
    throw error(errc::bad_file, text(where, ", ", fault.where()), fault.expected(), fault.got());
  }
}

/// Reads a family file through a mapping.
inline family load_family(const std::filesystem::path& path) { return read_family(map_file(path), path.string()); }

} // namespace dynofa
