#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/execution.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/family/file.hpp"

#include "support/checks.hpp"
#include "support/help.hpp"
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Reading pictures takes libraries that a cross compiler does not have (tests/neon): images come as floats then.
#ifndef DYNOFA_HALF_CHECK_WITHOUT_PICTURES
#include "dynofa/calibrate/calibrate.hpp"
#endif

namespace {

constexpr const char* help =
    R"(half_check FAMILY FLOATS [--levels A,B,...] [--write IMAGES] [--limit N]

What computing in half precision (weights fp16, on processors that have its arithmetic) costs levels of FAMILY against
fp32: top-1 on the same N (1000) images, McNemar's counts, and how many images are named otherwise. FLOATS is a file of
preprocessed images, which --write makes from the labelled folder IMAGES for these levels: where it is made and where it
is read may be two machines.)";

using namespace dynofa;
using support::check, support::fixed;

/// A file of labels and, level by level, images [r,r,3].
class float_images {
public:
  explicit float_images(const std::string& path)
      : path_{path}
      , file_{path, std::ios::binary} {
    std::uint32_t count = 0;
    read(std::span(&count, 1));
    if (count > 1'000'000) throw error(errc::bad_file, path_, "at most a million images", text(count));
    labels.resize(count);
    read(std::span(labels));
  }
  std::vector<std::uint32_t> labels;
  /// The next of them, in the order that they were written.
  template <class T>
  void read(std::span<T> to) {
    if (!file_.read(reinterpret_cast<char*>(to.data()), static_cast<std::streamsize>(to.size_bytes())))
      throw error(errc::bad_file, path_, "labels and images of these levels (--write)", "another file, or a part");
  }

private:
  std::string path_;
  std::ifstream file_;
};

#ifndef DYNOFA_HALF_CHECK_WITHOUT_PICTURES
template <class T>
void put(std::ofstream& file, std::span<const T> values) {
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}

void write(const family& f, const std::vector<std::size_t>& levels, const std::string& images, std::size_t limit,
           const std::string& path) {
  data::image_folder folder(images);
  if (limit < folder.size()) folder = folder.subset(limit, 1);
  const data::image_folder order = folder.subset(folder.size(), 1); // as the source has them
  const image_source source = decoded_source(folder, f.preprocessing(), hardware_threads());
  std::ofstream file(path, std::ios::binary);
  const auto count = static_cast<std::uint32_t>(source.count);
  put(file, std::span(&count, 1));
  for (std::size_t n = 0; n < source.count; ++n) {
    const auto label = static_cast<std::uint32_t>(order.label(n));
    put(file, std::span(&label, 1));
  }
  std::vector<float> image;
  for (const std::size_t l : levels) {
    image.resize(image_values(f.levels()[l].arch.r));
    for (std::size_t n = 0; n < source.count; ++n) {
      source.fill(n, f.levels()[l].arch.r, image);
      put(file, std::span<const float>(image));
    }
  }
  if (!file.flush()) throw error(errc::io, path, "a file to write", "none");
}
#endif

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

void judge(const family& f, const std::vector<std::size_t>& levels, const std::string& path) {
  const backend::cpu b;
  if (!b.execution->kernels().computes_in_half())
    throw error(errc::unsupported, "half_check", "a processor with arithmetic of halves", b.name());
  session floats(b, f.net()), halves(b, f.net(), b.pack(f.net(), "fp16"));
  float_images images(path);
  const auto count = double(images.labels.size());
  double total = 0;
  for (const std::size_t l : levels) {
    const family_level& level = f.levels()[l];
    const auto in_floats = floats.load(level.arch, level.statistics);
    const auto in_halves = halves.load(level.arch, level.statistics);
    std::vector<float> image(image_values(level.arch.r));
    int right = 0, right_halves = 0, lost = 0, won = 0, others = 0;
    std::vector<double> errors; // of each image's logits, root mean square
    for (const std::uint32_t label : images.labels) {
      images.read(std::span(image));
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
  std::string pictures;
  std::vector<std::size_t> levels;
  [[maybe_unused]] std::size_t limit = 1000;
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
    } else if (i + 1 < argc && arg == "--write") {
      pictures = argv[++i];
    } else if (i + 1 < argc && arg == "--limit") {
      limit = static_cast<std::size_t>(report::read_number(arg, argv[++i], 1, 1e6));
    } else {
      names.push_back(arg);
    }
  }
  if (names.size() != 2) {
    std::cerr << "usage: half_check FAMILY FLOATS [options]; --help explains\n";
    return 2;
  }
  const family f = load_family(names[0]);
  if (levels.empty())
    for (std::size_t l = 0; l < f.levels().size(); ++l) levels.push_back(l);
  for (const std::size_t l : levels)
    if (l >= f.levels().size())
      throw error(errc::invalid_argument, "--levels", text("levels below ", f.levels().size()), text(l));
  if (!pictures.empty()) {
#ifndef DYNOFA_HALF_CHECK_WITHOUT_PICTURES
    write(f, levels, pictures, limit, names[1]);
    return 0;
#else
    throw error(errc::unsupported, "--write", "a program that reads pictures", "one built without");
#endif
  }
  return support::count_checks([&] { judge(f, levels, names[1]); });
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
