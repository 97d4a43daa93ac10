#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/core/number.hpp"
#include "dynofa/model/tensor.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa {

/// What a .safetensors file holds. The tensors point into the file's bytes.
struct safetensors_file {
  state_dict tensors;                          ///< as the file calls them
  std::map<std::string, std::string> metadata; ///< of `__metadata__`; empty if the file has none
};

namespace detail::safetensors {

/// The reference reader allows 100 MB of header; a super-network of 475 tensors needs 51 kB.
inline constexpr std::uint64_t max_header_bytes = 16u << 20;

struct entry {
  std::optional<dtype> type;
  std::optional<shape_type> shape;
  std::vector<std::uint64_t> offsets; // begin, end within the data
};

/// Reads the header's JSON event by event, as the one form it may have:
/// `{"__metadata__": {text: text}, name: {"dtype": text, "shape": [ints], "data_offsets": [begin, end]}, …}`.
/// Anything else is refused at once, so hostile nesting never goes deeper than three levels. No event builds a JSON
/// tree.
class header_reader : public nlohmann::json_sax<nlohmann::json> {
public:
  header_reader(std::string_view file, safetensors_file& into)
      : file_{file}
      , into_{into} {}

  std::map<std::string, entry> entries;

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_integer(std::int64_t number) override { return refuse(std::to_string(number)); } // negative ones only
  bool number_float(double, const std::string& digits) override { return refuse(printable(digits)); }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool number_unsigned(std::uint64_t number) override {
    if (place_ == place::shape) {
      if (current_->shape->size() == shape_type::capacity)
        throw error(errc::unsupported, where(), text("at most ", shape_type::capacity, " dimensions"), "more");
      if (number > INT64_MAX) return refuse(std::to_string(number));
      current_->shape->push_back(static_cast<std::int64_t>(number));
      return true;
    }
    if (place_ != place::offsets || current_->offsets.size() == 2) return refuse(std::to_string(number));
    current_->offsets.push_back(number);
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == place::metadata && !field_.empty()) {
      if (!into_.metadata.emplace(std::exchange(field_, {}).substr(1), std::move(value)).second)
        throw error(errc::bad_file, where(), "each metadata key once", "a key twice");
      return true;
    }
    if (place_ != place::entry || field_ != "dtype" || current_->type) return refuse(printable(value));
    for (int i = 0; i <= static_cast<int>(dtype::boolean); ++i)
      if (value == name_of(static_cast<dtype>(i))) current_->type = static_cast<dtype>(i);
    if (!current_->type)
      throw error(errc::unsupported, where(), "one of F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL", printable(value));
    return true;
  }

  bool start_object(std::size_t) override {
    switch (place_) {
    case place::outside: place_ = place::top; return true;
    case place::name: place_ = name_ == "__metadata__" ? place::metadata : place::entry; break;
    default: return refuse("an object");
    }
    field_.clear();
    return true;
  }
  bool key(std::string& name) override {
    if (place_ == place::top) {
      name_ = std::move(name);
      const bool is_metadata = name_ == "__metadata__";
      if (is_metadata ? std::exchange(seen_metadata_, true) : entries.contains(name_))
        throw error(errc::bad_file, where(), "each name once", "a name twice");
      if (!is_metadata) current_ = &entries[name_];
      place_ = place::name;
    } else if (place_ == place::metadata) {
      field_ = "=" + name; // the sign tells an empty key from none
    } else {
      field_ = std::move(name);
    }
    return true;
  }
  bool end_object() override {
    if (place_ == place::entry && !(current_->type && current_->shape && current_->offsets.size() == 2))
      throw error(errc::bad_file, where(), "dtype, shape and data_offsets", "an entry without one of them");
    place_ = place_ == place::top ? place::outside : place::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == place::entry && field_ == "shape" && !current_->shape) {
      current_->shape.emplace();
      place_ = place::shape;
    } else if (place_ == place::entry && field_ == "data_offsets" && current_->offsets.empty()) {
      place_ = place::offsets;
    } else {
      return refuse("an array");
    }
    return true;
  }
  bool end_array() override {
    if (place_ == place::offsets && current_->offsets.size() != 2)
      throw error(errc::bad_file, where(), "two data_offsets", std::to_string(current_->offsets.size()));
    place_ = place::entry;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw error(errc::bad_file, file_, "a JSON header", text("a syntax error at its byte ", position));
  }

private:
  enum class place { outside, top, name, metadata, entry, shape, offsets };

  std::string where() const { return name_.empty() ? std::string(file_) : text(file_, ", tensor ", printable(name_)); }
  [[noreturn]] bool refuse(std::string got) const {
    throw error(errc::bad_file, where(),
                place_ == place::metadata ? "metadata as texts"
                                          : "a header of dtype, shape and data_offsets per tensor",
                std::move(got));
  }

  std::string_view file_;
  safetensors_file& into_;
  entry* current_ = nullptr;
  std::string name_, field_;
  place place_ = place::outside;
  bool seen_metadata_ = false;
};

} // namespace detail::safetensors

/// Reads safetensors from memory; `where` names the file in errors. Nothing is copied: tensors share `file.owner`.
///
/// Refuses (errc::bad_file, errc::unsupported) a header that is not the documented form, names given twice, tensors
/// whose size is not shape × dtype, and data that the tensors do not cover exactly once from the first byte to the
/// last.
inline safetensors_file read_safetensors(const file_bytes& file, std::string_view where) {
  using namespace detail::safetensors;
  const auto bad = [&](std::string expected, std::string got) {
    return error(errc::bad_file, where, std::move(expected), std::move(got));
  };
  const std::uint64_t file_size = file.bytes.size();
  std::uint64_t header_size = 0;
  if (file_size < 9 || file.text()[8] != '{') // a header's length may look like anything
    if (std::string kind = kind_of_content(file.text()); !kind.empty())
      throw bad("a safetensors file", std::move(kind));
  if (file_size < 8) throw bad("a header length of 8 bytes", text(file_size, " bytes"));
  std::memcpy(&header_size, file.bytes.data(), 8);
  if (header_size > max_header_bytes)
    throw bad(text("a header of at most ", max_header_bytes, " bytes"), text(header_size));
  if (file_size < 8 + header_size)
    throw bad(text("at least ", 8 + header_size, " bytes"), text(file_size, " bytes (truncated)"));

  safetensors_file result;
  header_reader reader{where, result};
  const auto header = file.bytes.subspan(8, static_cast<std::size_t>(header_size));
  const auto* json = reinterpret_cast<const char*>(header.data());
  if (header.empty() || json[0] != '{') throw bad("a JSON header that starts with {", "another one");
  const detail::classic_numbers here;
  nlohmann::json::sax_parse(json, json + header.size(), &reader);

  // In the order of the data each tensor must begin where the one before ended.
  const auto data = file.bytes.subspan(8 + static_cast<std::size_t>(header_size));
  std::vector<std::pair<const std::string, entry>*> order;
  for (auto& named : reader.entries) order.push_back(&named);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->second.offsets < b->second.offsets; });
  std::uint64_t end = 0;
  for (const auto* named : order) {
    const auto& name = named->first; // clang 14 cannot capture structured bindings
    const auto& item = named->second;
    const auto fault = [&](std::string expected, std::string got) {
      return error(errc::bad_file, text(where, ", tensor ", printable(name)), std::move(expected), std::move(got));
    };
    if (item.offsets[0] != end) throw fault(text("data from offset ", end), text("offset ", item.offsets[0]));
    const auto size = byte_count(*item.shape, *item.type);
    if (!size) throw fault("a size that fits 64 bits", to_string(*item.shape));
    if (item.offsets[1] < end || item.offsets[1] - end != *size)
      throw fault(text(*size, " bytes for ", name_of(*item.type), " ", to_string(*item.shape)),
                  text("offsets ", end, " to ", item.offsets[1]));
    end = item.offsets[1];
  }
  if (end != data.size())
    throw bad(text(8 + header_size + end, " bytes"),
              text(file_size, end > data.size() ? " bytes (truncated)" : " bytes (trailing bytes)"));

  for (auto* named : order) {
    const auto& item = named->second;
    const auto begin = static_cast<std::size_t>(item.offsets[0]), stop = static_cast<std::size_t>(item.offsets[1]);
    result.tensors.emplace(named->first,
                           tensor{*item.type, *item.shape, data.subspan(begin, stop - begin), file.owner});
  }
  return result;
}

/// Reads a .safetensors file through a mapping that the tensors share.
inline safetensors_file read_safetensors(const std::filesystem::path& path) {
  return read_safetensors(map_file(path), path.string());
}

/// The header (length, JSON, spaces up to a multiple of 8) of a file with these tensors, and the tensors in file order.
///
/// Wide types come first so that every tensor is aligned to its element in a mapped file.
inline std::pair<std::string, std::vector<const tensor*>>
safetensors_header(const state_dict& tensors, const std::map<std::string, std::string>& metadata,
                   std::string_view where) {
  std::vector<const state_dict::value_type*> order;
  for (const auto& named : tensors) {
    const auto& [name, t] = named;
    if (name == "__metadata__")
      throw error(errc::invalid_argument, where, "a tensor name", "the reserved __metadata__");
    if (byte_count(t.shape, t.type) != t.bytes.size())
      throw error(errc::invalid_argument, text(where, ", tensor ", printable(name)),
                  text("the bytes of ", name_of(t.type), " ", to_string(t.shape)), text(t.bytes.size(), " bytes"));
    order.push_back(&named);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return size_of(a->second.type) > size_of(b->second.type); });

  const auto quote = [&](const std::string& s) {
    try {
      return nlohmann::json(s).dump();
    } catch (const nlohmann::json::exception&) {
      throw error(errc::invalid_argument, where, "names and metadata in UTF-8", printable(s));
    }
  };
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) json += quote(key) + ":" + quote(value) + ",";
    json.back() = '}';
    json += ",";
  }
  std::pair<std::string, std::vector<const tensor*>> result;
  std::uint64_t offset = 0;
  for (const auto* named : order) {
    const auto& [name, t] = *named;
    json += quote(name) + text(":{\"dtype\":\"", name_of(t.type), "\",\"shape\":[");
    for (std::size_t i = 0; i < t.shape.size(); ++i) json += (i ? "," : "") + std::to_string(t.shape[i]);
    json += text("],\"data_offsets\":[", offset, ",", offset + t.bytes.size(), "]},");
    offset += t.bytes.size();
    result.second.push_back(&t);
  }
  if (json.back() == ',') json.pop_back();
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  if (json.size() > detail::safetensors::max_header_bytes)
    throw error(errc::invalid_argument, where,
                text("a header of at most ", detail::safetensors::max_header_bytes, " bytes"), text(json.size()));

  const std::uint64_t length = json.size();
  result.first.resize(8);
  std::memcpy(result.first.data(), &length, 8);
  result.first += json;
  return result;
}

/// Writes a .safetensors file that readers see whole or not at all (`replace_file`). The same tensors and metadata give
/// the same bytes. Errors: errc::invalid_argument for a tensor whose bytes do not match its shape, errc::io.
inline void write_safetensors(const std::filesystem::path& path, const state_dict& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  const auto [header, order] = safetensors_header(tensors, metadata, path.string());
  std::vector<std::span<const std::byte>> parts{std::as_bytes(std::span(header))};
  for (const auto* t : order) parts.push_back(t->bytes);
  replace_file(path, parts);
}

} // namespace dynofa
