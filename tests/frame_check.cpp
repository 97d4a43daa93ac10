#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/host_clock.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/data/frame_preprocessor.hpp"
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/resize.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/report/program.hpp"

#include "support/checks.hpp"
#include "support/frames.hpp"
#include "support/help.hpp"
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

constexpr const char* help =
    R"(frame_check FAMILY IMAGES [--limit N] [--width N] [--height N] [--noise SIGMA] [--levels A,B,…] [--threads N]

What quick resizing costs the levels of FAMILY: every picture of the labelled folder IMAGES becomes a frame of 640 × 480
(N × N), enlarged by Pillow's filter, with noise of SIGMA levels (4) in every pixel as a camera's, as NV12 and as RGB;
top-1 with the frame resized exactly and quickly, on the same frames, with McNemar's counts, and how far the logits move.
By the family's rule and by that of the other mode: `exact` reads two pixels along each side, `imagenet_crop` averages.
Then how long both take beside the network, on one thread.)";

using namespace dynofa;
using support::check, support::fixed;

struct options {
  int width = 640, height = 480, limit = 0, threads = hardware_threads();
  double noise = 4;
  std::vector<std::size_t> levels;
};

/// A picture as a camera with more pixels would give it.
data::image enlarged(const data::image& picture, const options& o, std::size_t n) {
  data::image frame = data::resize_pil_bilinear(picture, o.height, o.width);
  if (o.noise == 0) return frame;
  random_stream random(n, "frame_check");
  // a sum of four bytes is near enough to a normal value, and sixteen times as quick
  const double scale = o.noise / std::sqrt(4 * (256.0 * 256 - 1) / 12);
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < frame.pixels.size(); ++i) {
    bits = i % 2 == 0 ? random.at(i) : bits >> 32;
    const auto sum = int(bits & 255) + int(bits >> 8 & 255) + int(bits >> 16 & 255) + int(bits >> 24 & 255);
    const double value = frame.pixels[i] + (sum - 510) * scale + 0.5;
    frame.pixels[i] = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
  }
  return frame;
}

/// What one level says of all frames of one layout by one rule.
struct verdict {
  std::size_t exact = 0, quick = 0, lost = 0, won = 0;
  double moved = 0, spread = 0; ///< sums of squares over the logits: differences, and deviations from their means
};

struct setting {
  data::preprocessing rule;
  data::pixel_layout layout;
  std::string name() const { return text(name_of(rule.mode), ", ", name_of(layout)); }
};

std::vector<std::vector<verdict>> judge(const backend::cpu& one, const family& f, const data::image_folder& images,
                                        const std::vector<setting>& settings, const options& o) {
  std::vector<std::vector<verdict>> all(settings.size(), std::vector<verdict>(o.levels.size()));
  const auto packed = one.pack(f.net());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  parallel_for(static_cast<std::size_t>(o.threads), o.threads, [&](std::size_t) {
    session<backend::cpu> runner(one, f.net(), packed);
    std::vector<session<backend::cpu>::level> levels;
    for (const std::size_t l : o.levels) levels.push_back(runner.load(f.levels()[l].arch, f.levels()[l].statistics));
    std::vector<data::frame_preprocessor> exact, quick;
    for (const setting& s : settings) {
      exact.emplace_back(s.rule);
      quick.emplace_back(s.rule, data::resizing::quick);
    }
    auto mine = std::vector(settings.size(), std::vector<verdict>(o.levels.size()));
    std::vector<float> in;
    for (std::size_t n; (n = next++) < images.size();) {
      const data::image picture = enlarged(images.load(n), o, n);
      const auto label = static_cast<std::size_t>(images.label(n));
      for (std::size_t s = 0; s < settings.size(); ++s) {
        const support::laid_out memory(picture, settings[s].layout);
        for (std::size_t l = 0; l < levels.size(); ++l) {
          const int r = f.levels()[o.levels[l]].arch.r;
          in.resize(image_values(r));
          exact[s].apply(memory.view(), r, in);
          const auto said = runner.run(levels[l], in);
          const std::vector<float> right(said.begin(), said.end());
          quick[s].apply(memory.view(), r, in);
          const auto got = runner.run(levels[l], in);
          const bool a = argmax(right) == label, b = argmax(got) == label;
          verdict& v = mine[s][l];
          v.exact += a, v.quick += b, v.lost += a && !b, v.won += !a && b;
          double mean = 0;
          for (const float x : right) mean += double(x) / double(right.size());
          for (std::size_t c = 0; c < right.size(); ++c) {
            v.moved += (double(got[c]) - right[c]) * (double(got[c]) - right[c]);
            v.spread += (right[c] - mean) * (right[c] - mean);
          }
        }
      }
      if (n % 500 == 0) std::cerr << "  " << n << " of " << images.size() << " images\n";
    }
    const std::lock_guard lock(mutex);
    for (std::size_t s = 0; s < settings.size(); ++s)
      for (std::size_t l = 0; l < levels.size(); ++l) {
        verdict& to = all[s][l];
        const verdict& from = mine[s][l];
        to.exact += from.exact, to.quick += from.quick, to.lost += from.lost, to.won += from.won;
        to.moved += from.moved, to.spread += from.spread;
      }
  });
  return all;
}

template <class Work>
double median_ms(int times, Work&& work) {
  std::vector<double> ms;
  for (int i = 0; i < times; ++i) ms.push_back(work());
  std::nth_element(ms.begin(), ms.begin() + times / 2, ms.end());
  return ms[static_cast<std::size_t>(times) / 2];
}

void check_time(const backend::cpu& one, const family& f, const data::image& picture, const options& o) {
  const std::size_t last = f.levels().size() - 1;
  session<backend::cpu> runner(one, f.net());
  auto level = runner.load(f.levels()[last].arch, f.levels()[last].statistics);
  const int r = f.levels()[last].arch.r;
  std::vector<float> in(image_values(r));
  const support::laid_out memory(enlarged(picture, o, 0), data::pixel_layout::nv12);
  double network = 0, took[2] = {};
  for (const auto how : {data::resizing::exact, data::resizing::quick}) {
    data::frame_preprocessor prepare(f.preprocessing(), how);
    prepare.prepare(data::pixel_layout::nv12, o.width, o.height, r);
    // in turn with the network, as frames come: what lies in the caches is its as well
    std::vector<double> frames;
    network = median_ms(200, [&] {
      prepare.apply(memory.view(), r, in);
      frames.push_back(prepare.last_ms());
      return backend::milliseconds_per_run(1, [&] { runner.run(level, in); });
    });
    took[int(how)] =
        median_ms(static_cast<int>(frames.size()), [&, i = std::size_t(0)]() mutable { return frames[i++]; });
  }
  check(took[1] <= 0.25 * network,
        text("level ", last, ", a frame of ", memory.view().to_string(), " to ", r, ": exact ", fixed(took[0], 3),
             " ms, quick ", fixed(took[1], 3), " ms, the network ", fixed(network, 3), " ms; of that ",
             fixed(took[1] / network, 3), " (0.25)"));
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  options o;
  std::vector<std::string> names;
  std::string wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto number = [&](double least, double most) { return report::read_number(arg, argv[++i], least, most); };
    if (i + 1 < argc && arg == "--threads")
      o.threads = static_cast<int>(number(1, 256));
    else if (i + 1 < argc && arg == "--limit")
      o.limit = static_cast<int>(number(1, 1e9));
    else if (i + 1 < argc && arg == "--width")
      o.width = static_cast<int>(number(1, 8192));
    else if (i + 1 < argc && arg == "--height")
      o.height = static_cast<int>(number(1, 8192));
    else if (i + 1 < argc && arg == "--noise")
      o.noise = number(0, 100);
    else if (i + 1 < argc && arg == "--levels")
      wanted = argv[++i];
    else
      names.push_back(arg);
  }
  if (names.size() != 2) {
    std::cerr << "usage: frame_check FAMILY IMAGES [options]; --help explains\n";
    return 2;
  }
  return support::count_checks([&] {
    const family f = load_family(names[0]);
    data::image_folder images(names[1]);
    if (o.limit > 0 && static_cast<std::size_t>(o.limit) < images.size())
      images = images.subset(std::size_t(o.limit), 1);
    const std::size_t count = f.levels().size();
    if (wanted.empty())
      for (std::size_t i = 0; i < 4; ++i) o.levels.push_back(i * (count - 1) / 3);
    for (std::string_view rest = wanted; !rest.empty();) {
      const auto level = take_number<std::size_t>(rest);
      if (!level || *level >= count)
        throw error(errc::invalid_argument, "--levels", text("numbers below ", count, ", A,B,…"), wanted);
      o.levels.push_back(*level);
      if (rest.starts_with(',')) rest.remove_prefix(1);
    }
    o.levels.erase(std::unique(o.levels.begin(), o.levels.end()), o.levels.end());

    const backend::cpu one;
    std::vector<setting> settings;
    for (const auto mode : {data::preprocessing_mode::exact, data::preprocessing_mode::imagenet_crop})
      for (const auto layout : {data::pixel_layout::nv12, data::pixel_layout::rgb}) {
        settings.push_back({f.preprocessing(), layout});
        settings.back().rule.mode = mode;
      }
    const auto verdicts = judge(one, f, images, settings, o);
    const double n = static_cast<double>(images.size());
    for (std::size_t s = 0; s < settings.size(); ++s) {
      double total = 0;
      for (std::size_t l = 0; l < o.levels.size(); ++l) {
        const verdict& v = verdicts[s][l];
        const double loss = 100 * (double(v.exact) - double(v.quick)) / n;
        total += loss / double(o.levels.size());
        check(loss <= 1,
              text(settings[s].name(), ", level ", o.levels[l], " at ", f.levels()[o.levels[l]].arch.r, ": top-1 ",
                   fixed(100 * double(v.exact) / n, 2), " -> ", fixed(100 * double(v.quick) / n, 2), ", ",
                   fixed(loss, 2), " points lost (1.0), ", v.lost, " images lost and ", v.won, " won, logits move by ",
                   fixed(std::sqrt(v.moved / v.spread), 4), " of their deviation"));
      }
      check(total <= 0.3, text(settings[s].name(), ": on average ", fixed(total, 3), " points lost (0.3)"));
    }
    check_time(one, f, images.load(0), o);
  });
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
