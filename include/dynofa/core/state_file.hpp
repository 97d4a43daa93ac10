#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/json_field.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

// How work that can stop keeps what it has done: together with a list of all that it was done from, so that a later run
// with another super-network, other images or options does not go on from what does not belong to it.

namespace dynofa {

/// What a result depends on: a name for people, and a text that differs where the input does: a hash of a
/// super-network, a fingerprint of images, the value of an option. What only says when to stop does not belong here.
using named_inputs = std::map<std::string, std::string>;

/// Throws errc::mismatch unless what `where` keeps was made from the inputs of now; the sentence names the first one
/// that differs, with both values.
inline void require_same_inputs(std::string_view where, const named_inputs& now, const named_inputs& stored) {
  named_inputs names = now;
  names.insert(stored.begin(), stored.end());
  const auto value = [](const named_inputs& of, const std::string& name) {
    const auto found = of.find(name);
    return found == of.end() ? std::string("none") : found->second;
  };
  // a file may hold anything
  const auto shown = [](const std::string& s) { return s.size() <= 200 ? s : printable(s); };
  for (const auto& [name, ignored] : names)
    if (const auto wanted = value(now, name), got = value(stored, name); wanted != got)
      throw error(errc::mismatch, text(where, ", made earlier from another input, ", shown(name)), shown(wanted),
                  shown(got) + " (remove it, or give another place, to begin anew)");
}

namespace detail {
inline named_inputs read_inputs(const json_field& field) {
  named_inputs inputs;
  field.members(1, 256, "input",
                [&](const std::string& name, const json_field& value) { inputs[name] = value.word(1 << 16); });
  return inputs;
}
} // namespace detail

/// A JSON file with the state of some work and the inputs of that work.
class state_file {
public:
  /// Reads and writes nothing yet.
  state_file(std::filesystem::path path, named_inputs inputs)
      : path_{std::move(path)}
      , inputs_{std::move(inputs)} {}

  /// What was saved, or nothing if there is no file. Throws errc::mismatch for a state of other inputs, errc::bad_file
  /// for anything that is no state or larger than `most_bytes`, errc::io.
  std::optional<nlohmann::json> load(std::size_t most_bytes = 256u << 20) const {
    std::error_code fault;
    if (!std::filesystem::exists(path_, fault) && !fault) return std::nullopt;
    const std::string where = path_.string();
    auto all = detail::parse_bounded(map_file(path_).text(), where, most_bytes);
    const detail::json_field field(all, where);
    if (!field.object().has("format") || !field["format"].is_word("dynofa state") || field["version"].value() != 1)
      throw error(errc::bad_file, where, "a state of version 1 that dynofa wrote", "something else");
    require_same_inputs(where, inputs_, detail::read_inputs(field["inputs"]));
    (void)field["content"];
    return std::move(all["content"]);
  }

  /// Readers see the old state or the new one. Throws errc::io, and errc::invalid_argument for texts that are not
  /// UTF-8.
  void save(const nlohmann::json& content) const {
    replace_file(path_, detail::json_text(
                            {{"format", "dynofa state"}, {"version", 1}, {"inputs", inputs_}, {"content", content}},
                            path_.string()));
  }

  ///@{
  /// As given.
  const std::filesystem::path& path() const { return path_; }
  const named_inputs& inputs() const { return inputs_; }
  ///@}

private:
  std::filesystem::path path_;
  named_inputs inputs_;
};

} // namespace dynofa
