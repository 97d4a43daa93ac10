#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/execution.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/family/file.hpp"

#include "support/checks.hpp"
#include "support/help.hpp"
#include <algorithm>
#include <cmath>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr const char* help =
    R"(half_check FAMILY IMAGES [--levels A,B,...] [--limit N]

What computing in half precision (weights fp16, on processors that have its arithmetic) costs levels of FAMILY against
fp32: top-1 on the same N (1000) images of a labelled folder, McNemar's counts, and how many images are named
otherwise.)";

using namespace dynofa;
using support::check, support::fixed;

/// Root mean square of the difference, in standard deviations of `wanted`.
double error_of(std::span<const float> got, std::span<const float> wanted) {
  double sum = 0, mean = 0, variance = 0;
  for (const float w : wanted) mean += double(w) / double(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    sum += std::pow(double(got[i]) - double(wanted[i]), 2);
    variance += std::pow(double(wanted[i]) - mean, 2);
  }
  return std::sqrt(sum / variance);
}

void judge(const family& f, const std::vector<std::size_t>& levels, const std::string& pictures, std::size_t limit) {
  const backend::cpu b;
  if (!b.execution->kernels().computes_in_half())
    throw error(errc::unsupported, "half_check", "a processor with arithmetic of halves", b.name());
  session floats(b, f.net()), halves(b, f.net(), b.pack(f.net(), "fp16"));
  data::image_folder folder(pictures);
  if (limit < folder.size()) folder = folder.subset(limit, 1);
  folder = folder.subset(folder.size(), 1); // as the source has them
  const image_source images = decoded_source(folder, f.preprocessing(), hardware_threads());
  const auto count = double(images.count);
  double total = 0;
  for (const std::size_t l : levels) {
    const family_level& level = f.levels()[l];
    const auto in_floats = floats.load(level.arch, level.statistics);
    const auto in_halves = halves.load(level.arch, level.statistics);
    std::vector<float> image(image_values(level.arch.r));
    int right = 0, right_halves = 0, lost = 0, won = 0, others = 0;
    std::vector<double> errors; // of each image's logits, root mean square
    for (std::size_t n = 0; n < images.count; ++n) {
      const auto label = static_cast<std::size_t>(folder.label(n));
      images.fill(n, level.arch.r, image);
      const std::vector<float> wanted = floats.run(in_floats, image), got = halves.run(in_halves, image);
      const std::size_t a = argmax(wanted), h = argmax(got);
      errors.push_back(error_of(got, wanted));
      right += a == label, right_halves += h == label;
      lost += a == label && h != label, won += a != label && h == label, others += a != h;
    }
    std::sort(errors.begin(), errors.end());
    const double loss = 100 * (right - right_halves) / count;
    total += loss;
    check(loss <= 0.3, text("level ", l, " at ", level.arch.r, ": top-1 ", fixed(100 * right / count, 2), " -> ",
                            fixed(100 * right_halves / count, 2), ", ", fixed(loss, 2), " points lost (0.3), ", lost,
                            " images lost and ", won, " won, ", others, " of ", count,
                            " named otherwise; logits differ by ", fixed(errors[errors.size() / 2], 4),
                            " of their standard deviation, at worst by ", fixed(errors.back(), 4)));
  }
  const double mean = total / double(levels.size());
  check(mean <= 0.1, text("on average ", fixed(mean, 3), " points lost (0.1)"));
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  std::vector<std::string> names;
  std::vector<std::size_t> levels;
  std::size_t limit = 1000;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (i + 1 < argc && arg == "--levels") {
      std::string_view rest = argv[++i];
      for (std::size_t comma = 0; comma != std::string_view::npos;
           rest.remove_prefix(std::min(comma + 1, rest.size()))) {
        comma = rest.find(',');
        levels.push_back(
            static_cast<std::size_t>(report::read_number(arg, std::string(rest.substr(0, comma)), 0, 1e4)));
      }
    } else if (i + 1 < argc && arg == "--limit") {
      limit = static_cast<std::size_t>(report::read_number(arg, argv[++i], 1, 1e6));
    } else {
      names.push_back(arg);
    }
  }
  if (names.size() != 2) {
    std::cerr << "usage: half_check FAMILY IMAGES [options]; --help explains\n";
    return 2;
  }
  const family f = load_family(names[0]);
  if (levels.empty())
    for (std::size_t l = 0; l < f.levels().size(); ++l) levels.push_back(l);
  for (const std::size_t l : levels)
    if (l >= f.levels().size())
      throw error(errc::invalid_argument, "--levels", text("levels below ", f.levels().size()), text(l));
  return support::count_checks([&] { judge(f, levels, names[1], limit); });
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
