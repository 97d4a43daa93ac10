#pragma once
#include "dynofa/core/json_field.hpp"
#include "dynofa/model/safetensors.hpp"

#include <nlohmann/json.hpp>

#include "support/torch_writer.hpp"
#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa_test {

inline std::string as_safetensors(const dynofa::state_dict& tensors,
                                  const std::map<std::string, std::string>& metadata) {
  auto [file, order] = dynofa::safetensors_header(tensors, metadata, "f");
  for (const auto* t : order) file.append(reinterpret_cast<const char*>(t->bytes.data()), t->bytes.size());
  return file;
}

/// A safetensors file as forms for a fuzzer: the whole, then each text of its metadata, which an altered header would
/// seldom leave whole.
class file_parts {
public:
  explicit file_parts(const std::string& whole)
      : forms_{whole} {
    for (const auto& [key, value] : dynofa::read_safetensors(support::in_memory(whole), "whole").metadata) {
      const std::string before = nlohmann::json(key).dump() + ':', quoted = nlohmann::json(value).dump();
      const auto at = whole.find(before + quoted);
      if (at == whole.npos) throw std::logic_error(key);
      forms_.push_back(value), places_.push_back({at + before.size(), quoted.size()});
    }
  }

  const std::vector<std::string>& forms() const { return forms_; }
  /// The file with form `i` altered.
  std::string with(std::string_view altered, std::size_t i) const {
    if (i == 0) return std::string(altered);
    const auto [at, size] = places_[i - 1];
    std::string file = forms_[0];
    file.replace(at, size, nlohmann::json(dynofa::detail::utf8(std::string(altered))).dump());
    std::uint64_t header = 0;
    std::memcpy(&header, file.data(), sizeof header);
    header += file.size() - forms_[0].size();
    return file.replace(0, sizeof header, support::raw(header));
  }

private:
  std::vector<std::string> forms_;
  std::vector<std::pair<std::size_t, std::size_t>> places_; // of the texts as JSON: where and how long
};

} // namespace dynofa_test
