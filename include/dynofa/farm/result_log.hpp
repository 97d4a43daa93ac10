#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/state_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

// The only state of a job on a farm: the results of its tasks, one checksummed line of JSON each, in the order in which
// they came. Whatever is killed, what stands here need not be done again.

namespace dynofa::farm {

/// An append-only file of results, by the identities of their tasks. One process has it at a time.
///
///     dynofa log 1 {"inputs":{…}}                                        what the job works on
///     2c1f…  {"task":"evaluate …","worker":3,"ms":812.5,"result":{…}}    a checksum of what follows it
class result_log {
public:
  static constexpr std::size_t longest_line = 64u << 20;           ///< bytes
  static constexpr std::size_t longest_identity = 1000;            ///< bytes
  static constexpr std::size_t most_bytes = std::size_t{16} << 30; ///< of a file

  /// Opens the log at `path`, or begins one. A last line without its end is what a killed process was writing: it is
  /// cut off. Throws errc::mismatch for the log of a job with other inputs, errc::bad_file with the line's number for
  /// anything else that we did not write, errc::unsupported for a newer version's log, errc::io, also if another
  /// process has it open.
  result_log(std::filesystem::path path, const named_inputs& inputs)
      : path_{std::move(path)}
      , file_{detail::uninterrupted(
            [&] { return ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666); })} {
    if (file_.get() < 0) throw refused();
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
      throw error(errc::io, path_.string(), "a log that no other job has open", "one in use");
    const std::size_t whole = read(inputs);
    if (::ftruncate(file_.get(), static_cast<off_t>(whole)) != 0) throw refused();
    if (whole == 0) append(head() + detail::json_text({{"inputs", inputs}}, path_.string()) + '\n');
  }

  /// The result of a task, or null: not done yet.
  const nlohmann::json* find(std::string_view identity) const {
    const auto found = results_.find(identity);
    return found == results_.end() ? nullptr : &found->second;
  }
  std::size_t size() const noexcept { return results_.size(); } ///< tasks that have a result

  /// Keeps a result; when it returns the operating system has it, so that no kill of a process loses it. A task that
  /// has one already keeps the first: returns false. Throws errc::io, errc::invalid_argument for texts that are not
  /// UTF-8.
  bool add(const std::string& identity, int worker, double ms, nlohmann::json result) {
    require_argument(!identity.empty() && identity.size() <= longest_identity, "task", "an identity of 1 to 1000 bytes",
                     identity.size(), " bytes");
    if (find(identity)) return false;
    const std::string line =
        detail::json_text({{"task", identity}, {"worker", worker}, {"ms", ms}, {"result", result}}, path_.string());
    require_argument(line.size() <= longest_line, text("task ", identity), "a result of at most 64 MiB", line.size(),
                     " bytes");
    append(checksum(line) + ' ' + line + '\n');
    results_.emplace(identity, std::move(result));
    return true;
  }

  const std::filesystem::path& path() const noexcept { return path_; } ///< of the file

private:
  static constexpr std::string_view name_ = "dynofa log ";
  static std::string head() { return text(name_, 1, ' '); }
  static std::string checksum(std::string_view line) {
    const std::string digits = in_base(16, XXH3_64bits(line.data(), line.size()));
    return std::string(16 - digits.size(), '0') + digits;
  }
  error refused() const { return error(errc::io, path_.string(), "to write the log", detail::errno_text()); }

  void append(const std::string& line) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(line));
    if (!detail::write_all(file_.get(), std::span(&bytes, 1))) throw refused();
  }

  /// Takes in what is there; returns how much of it is whole lines.
  std::size_t read(const named_inputs& inputs) {
    if (std::filesystem::file_size(path_) > most_bytes)
      throw error(errc::bad_file, path_.string(), "a log of at most 16 GiB", "a larger one");
    const file_bytes mapped = map_file(path_);
    std::string_view rest = mapped.text();
    std::size_t whole = 0;
    for (std::size_t number = 1;; ++number) {
      const auto end = rest.substr(0, longest_line + 32).find('\n');
      const std::string where = text(path_.string(), " line ", number);
      if (end == rest.npos && rest.size() <= longest_line + 32) {
        // a log that was being begun may be any part of its first line
        if (number == 1 && !std::string_view(head()).starts_with(rest.substr(0, head().size()))) throw foreign(where);
        return whole;
      }
      if (end == rest.npos) throw error(errc::bad_file, where, "at most 64 MiB", "a longer line");
      if (number == 1)
        read_head(rest.substr(0, end), where, inputs);
      else
        read_result(rest.substr(0, end), where);
      rest.remove_prefix(end + 1);
      whole += end + 1;
    }
  }
  static error foreign(const std::string& where) {
    return error(errc::bad_file, where, "the log of a job that dynofa wrote", "something else");
  }

  void read_head(std::string_view line, const std::string& where, const named_inputs& inputs) {
    if (!line.starts_with(name_)) throw foreign(where);
    if (!line.starts_with(head()))
      throw error(errc::unsupported, where, "a log of version 1",
                  printable(line.substr(name_.size(), line.find(' ', name_.size()) - name_.size())));
    const auto all = detail::parse_bounded(line.substr(head().size()), where);
    require_same_inputs(path_.string(), inputs, detail::read_inputs(detail::json_field(all, where).object()["inputs"]));
  }

  void read_result(std::string_view line, const std::string& where) {
    constexpr std::size_t digits = 16;
    if (line.size() < digits + 1 || line[digits] != ' ' || line.substr(0, digits) != checksum(line.substr(digits + 1)))
      throw error(errc::bad_file, where, "a line with its checksum", "another one, or an altered line");
    auto all = detail::parse_bounded(line.substr(digits + 1), where, longest_line);
    const detail::json_field field(all, where);
    std::string identity = field.object()["task"].word(longest_identity);
    (void)field["worker"].whole_number(0, 1'000'000), (void)field["ms"].number();
    (void)field["result"];
    if (!results_.emplace(std::move(identity), std::move(all["result"])).second)
      throw error(errc::bad_file, where, "each task once", "a second result of one");
  }

  std::filesystem::path path_;
  detail::descriptor file_;
  std::map<std::string, nlohmann::json, std::less<>> results_;
};

} // namespace dynofa::farm
