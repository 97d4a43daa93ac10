#pragma once
#include <string>

namespace dynofa::data {

/// What a label stands for; the position in the list is the label.
struct class_name {
  std::string id;   ///< folder name, for ImageNet the WordNet id "n01443537"
  std::string name; ///< for people: "goldfish, Carassius auratus"
  bool operator==(const class_name&) const = default;
};

} // namespace dynofa::data
