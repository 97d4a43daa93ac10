#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace dynofa::report {

/// Points that are drawn alike.
struct series {
  /// How they are drawn.
  enum class look : std::uint8_t {
    points,          ///< small ones, without a line
    line,            ///< without points
    line_and_points, ///< both
    markers,         ///< large points
    dashed_line,     ///< without points
    steps,           ///< horizontal to the next x, then vertical
    bars,            ///< at whole x
  };
  std::string title;                         ///< in the legend
  std::vector<std::array<double, 2>> points; ///< x, y; those that are not finite are left out
  look style = look::points;                 ///< see `look`
};

/// A plot with two axes, drawn by gnuplot; with `below`, a second one under it with the same x axis. Bars stand at
/// whole x, one series each, so that the legend says what they are.
struct figure {
  std::string title, x_label, y_label; ///< UTF-8
  std::vector<series> all;             ///< drawn in this order, later ones on top
  int width = 900, height = 600;       ///< of the images, in pixels
  std::string below_y_label = {};      ///< of the second plot
  std::vector<series> below = {};      ///< drawn as `all` is
  bool key_on_top = false;             ///< the legend, where curves fall; else they are taken to rise
};

namespace detail {

/// A gnuplot string in single quotes, where nothing but the quote itself is special.
inline std::string quoted(std::string_view s) {
  std::string q = "'";
  for (char c : s) {
    if (c == '\'') q += c;
    q += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return q + "'";
}

/// Runs `gnuplot SCRIPT` in `folder`, silently and without a shell. Its exit status; −1 if there is no gnuplot.
inline int run_gnuplot(const std::filesystem::path& folder, std::string script) {
  std::string program = "gnuplot";
  char* arguments[] = {program.data(), script.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addchdir_np(&actions, folder.empty() ? "." : folder.c_str());
  pid_t child = 0;
  const int fault = posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (fault == ENOENT) return -1;
  int status = 0;
  if (fault != 0) throw error(errc::io, "gnuplot", "to start it", std::generic_category().message(fault));
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

} // namespace detail

/// Writes the figure's numbers as `STEM.dat` and its script as `STEM.gp`, and, where gnuplot is installed, draws
/// `STEM.svg` and `STEM.png`. Returns the images drawn: two, or none without gnuplot; the script can be run later and
/// elsewhere, next to the data. Throws errc::invalid_argument for a figure without any point, errc::io where a file
/// cannot be written or gnuplot fails.
inline std::vector<std::filesystem::path> draw(const figure& f, const std::filesystem::path& stem) {
  std::string data;
  int index = 0;
  double low = HUGE_VAL, high = -HUGE_VAL; // of all x, so that two panels agree
  const auto panel = [&](const std::vector<series>& shown) {
    std::string plots;
    for (const series& s : shown) {
      std::string rows;
      for (const auto& [x, y] : s.points) {
        if (!std::isfinite(x) || !std::isfinite(y)) continue;
        rows += text(x, ' ', y, '\n');
        low = std::min(low, x), high = std::max(high, x);
      }
      if (rows.empty()) continue;
      data += text(index ? "\n\n" : "", "# ", detail::quoted(s.title), '\n', rows); // two empty lines part the series
      const char* const looks[] = {"points pointtype 7 pointsize 0.5",
                                   "lines linewidth 2",
                                   "linespoints linewidth 2 pointtype 7 pointsize 1.1",
                                   "points pointtype 7 pointsize 1.6",
                                   "lines linewidth 2 dashtype 2 linecolor 'black'",
                                   "steps linewidth 2",
                                   "boxes fillstyle solid 0.7"};
      plots += text(plots.empty() ? "" : ", \\\n  ", detail::quoted(stem.filename().string() + ".dat"), " index ",
                    index, " with ", looks[static_cast<int>(s.style)], " title ", detail::quoted(s.title));
      ++index;
    }
    return plots;
  };
  const std::string plots = panel(f.all);
  if (plots.empty())
    throw error(errc::invalid_argument, "figure " + stem.string(), "at least one finite point", "none");
  const std::string below = panel(f.below);

  std::string script =
      text("set termoption noenhanced\nset encoding utf8\nset grid\nset key ", f.key_on_top ? "top" : "bottom",
           " right\nset title ", detail::quoted(f.title), "\nset xlabel ", detail::quoted(f.x_label), "\nset ylabel ",
           detail::quoted(f.y_label), "\nset offsets graph 0.02, 0.02, 0.05, 0.05\n");
  std::string drawing = text("plot ", plots, "\n");
  if (std::ranges::any_of(f.all, [](const series& s) { return s.style == series::look::bars; }))
    script +=
        "set boxwidth 0.7\nset yrange [0:]\nset xtics 1\nset key outside below left reverse Left\n"; // bars begin at 0
  if (!below.empty()) { // keys stand outside, in margins of one width, so that the x axes lie one under the other
    script += text("set lmargin 10\nset rmargin 18\nset key outside right top\nset xrange [", low, ":", high, "]\n");
    drawing = text("set multiplot layout 2,1\n", drawing, "unset title\nset ylabel ", detail::quoted(f.below_y_label),
                   "\nplot ", below, "\nunset multiplot\nset title ", detail::quoted(f.title), "\nset ylabel ",
                   detail::quoted(f.y_label), "\n");
  }
  const std::pair<const char*, const char*> images[] = {{"svg", "svg"}, {"png", "pngcairo"}};
  for (const auto& [extension, terminal] : images)
    script += text("set terminal ", terminal, " size ", f.width, ",", f.height, " background 'white'\nset output ",
                   detail::quoted(text(stem.filename().string(), ".", extension)), "\n", drawing);
  const auto named = [&](const char* extension) { return std::filesystem::path(stem.string() + extension); };
  replace_file(named(".dat"), data);
  replace_file(named(".gp"), script + "unset output\n");

  const int status = detail::run_gnuplot(stem.parent_path(), stem.filename().string() + ".gp");
  if (status < 0) return {};
  if (status != 0) throw error(errc::io, named(".gp").string(), "gnuplot to draw it", text("exit status ", status));
  return {named(".svg"), named(".png")};
}

} // namespace dynofa::report
