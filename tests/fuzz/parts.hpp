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

/// Safetensors files as forms for a fuzzer: the whole files, then each text of their metadata, which an altered header
/// would seldom leave whole.
class file_parts {
public:
  explicit file_parts(std::vector<std::string> files)
      : forms_{std::move(files)}
      , files_{forms_.size()} {
    for (std::size_t f = 0; f < files_; ++f)
      for (const auto& [key, value] : dynofa::read_safetensors(support::in_memory(forms_[f]), "whole").metadata) {
        const std::string before = nlohmann::json(key).dump() + ':', quoted = nlohmann::json(value).dump();
        const auto at = forms_[f].find(before + quoted);
        if (at == std::string::npos) throw std::logic_error(key);
        places_.push_back({f, at + before.size(), quoted.size()});
        forms_.push_back(value);
      }
  }

  const std::vector<std::string>& forms() const { return forms_; }
  /// The file with form `i` altered.
  std::string with(std::string_view altered, std::size_t i) const {
    if (i < files_) return std::string(altered);
    const auto [f, at, size] = places_[i - files_];
    std::string file = forms_[f];
    file.replace(at, size, nlohmann::json(dynofa::detail::utf8(std::string(altered))).dump());
    std::uint64_t header = 0;
    std::memcpy(&header, file.data(), sizeof header);
    header += file.size() - forms_[f].size();
    return file.replace(0, sizeof header, support::raw(header));
  }

private:
  struct place { // of a text as JSON
    std::size_t file, at, size;
  };
  std::vector<std::string> forms_;
  std::size_t files_;
  std::vector<place> places_;
};

} // namespace dynofa_test
