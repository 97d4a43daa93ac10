#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/report/figure.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

// Where the numbers go: a table as a file, a figure as images, a page between its marks.

namespace paper {

using dynofa::text, dynofa::fixed;

/// A table for other programs: a line of names, then rows (RFC 4180, with plain line ends).
class csv_table {
public:
  explicit csv_table(std::vector<std::string> columns)
      : columns_{columns.size()} {
    line(columns);
  }
  template <class... Cells>
  void add(const Cells&... cells) {
    dynofa::require_argument(sizeof...(cells) == columns_, "a row of a table", text(columns_, " cells"),
                             sizeof...(cells));
    line({text(cells)...});
  }
  const std::string& content() const { return content_; }

private:
  void line(const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) content_ += (i ? "," : "") + quoted(cells[i]);
    content_ += '\n';
  }
  static std::string quoted(const std::string& cell) {
    if (cell.find_first_of(",\"\n") == cell.npos) return cell;
    std::string q = "\"";
    for (char c : cell) q += c == '"' ? "\"\"" : std::string(1, c);
    return q + '"';
  }
  std::size_t columns_;
  std::string content_;
};

/// A page of the documentation between whose marks, <!-- NAME: begin --> and <!-- NAME: end -->, a program writes.
/// It is read, and its marks are looked for, before anything is measured; it is written once, as a whole.
class marked_page {
public:
  marked_page(std::filesystem::path file, std::vector<std::string> names)
      : file_{std::move(file)} {
    dynofa::require_writable(file_);
    page_ = dynofa::map_file(file_).text();
    for (const std::string& name : names) {
      (void)place_of(name);
      parts_[name];
    }
  }

  /// Goes behind what the part holds already.
  void add(const std::string& name, const std::string& paragraphs) { parts_.at(name) += paragraphs + '\n'; }
  /// How the page calls a file.
  std::string link(const std::filesystem::path& to) const {
    std::error_code fault;
    const auto from = std::filesystem::absolute(file_).parent_path();
    return std::filesystem::relative(std::filesystem::absolute(to), from, fault).generic_string();
  }
  void write() {
    for (const auto& [name, content] : parts_) {
      const auto [from, to] = place_of(name);
      page_.replace(from, to - from, text("\n\n", content, '\n'));
    }
    dynofa::replace_file(file_, page_);
  }

private:
  std::pair<std::size_t, std::size_t> place_of(const std::string& name) const {
    const std::string begin = text("<!-- ", name, ": begin -->"), end = text("<!-- ", name, ": end -->");
    const auto from = page_.find(begin), to = page_.find(end);
    if (from == page_.npos || to == page_.npos || to < from || page_.find(begin, from + 1) != page_.npos ||
        page_.find(end, to + 1) != page_.npos)
      throw dynofa::error(dynofa::errc::bad_file, file_.string(), text("once each ", begin, " and ", end),
                          "a page without");
    return {from + begin.size(), to};
  }
  std::filesystem::path file_;
  std::string page_;
  std::map<std::string, std::string> parts_;
};

/// Draws STEM.svg and STEM.png and keeps what gnuplot would need, STEM.dat and STEM.gp, only where there is none.
inline void draw_images(const dynofa::report::figure& f, const std::filesystem::path& stem) {
  if (dynofa::report::draw(f, stem).empty()) return;
  for (const char* extension : {".dat", ".gp"}) std::filesystem::remove(stem.string() + extension);
}

} // namespace paper
