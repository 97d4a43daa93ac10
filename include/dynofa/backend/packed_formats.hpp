#pragma once
#include "dynofa/backend/concept.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace dynofa {

/// One super-network packed in the number formats that its levels run in, "" for the backend's own: what sessions and
/// dynamic networks share. Copies share the weights.
template <inference_backend Backend>
struct packed_formats {
  using packed_ptr = std::shared_ptr<const typename Backend::packed>; ///< what the backend's `pack` gives

  std::map<std::string, packed_ptr> by_name; ///< number format → the weights in it

  packed_formats() = default;
  /// In the backend's own format; null: nothing yet.
  packed_formats(packed_ptr own) {
    if (own) by_name.emplace("", std::move(own));
  }

  /// Of all weights together.
  std::size_t bytes() const {
    std::size_t all = 0;
    for (const auto& [name, packed] : by_name) all += packed->bytes();
    return all;
  }
  friend bool operator==(const packed_formats&, const packed_formats&) = default;
};

} // namespace dynofa
