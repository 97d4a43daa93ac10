// ctest:
// expect: 475 tensors.*drawn by this program.*1\..*%.*uncalibrated
#include "dynofa/backend/engine.hpp"
#include "dynofa/backend/reference.hpp"
#include "dynofa/data/draw.hpp"
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/preprocess_json.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/report/progress.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <mutex>
#include <thread>

// The main job: load a trained super-network, take sub-networks out of it, classify real images.
//
//   quickstart                       the super-network in assets/, on an image drawn here
//   quickstart --image cat.jpg       … on your image
//   quickstart --images DIR          top-1 over a folder with one sub-folder per class

namespace {

using namespace dynofa;
using backend_type = backend::reference;

struct classifier {
  supernet_ptr net;
  data::preprocessing preprocessing;
  std::vector<std::string> names, ids;
  std::string origin;
};

classifier load(const std::string& path) {
  const checkpoint file = read_checkpoint(path);
  auto metadata = [&](const char* key) {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end())
      throw error(errc::missing_key, path, text("metadata ", key), "none (03_load_a_checkpoint writes it)");
    return found->second;
  };
  classifier c;
  c.net = std::make_shared<const supernet>(
      make_supernet(parse_space(metadata("dynofa.space")), with_canonical_keys(file.tensors, path)));
  c.preprocessing = nlohmann::json::parse(metadata("dynofa.preprocessing")).get<data::preprocessing>();
  for (const auto& entry : nlohmann::json::parse(metadata("dynofa.classes"))) {
    c.names.push_back(entry.at("name"));
    c.ids.push_back(entry.at("wnid"));
  }
  c.origin = file.metadata.contains("dynofa.origin") ? file.metadata.at("dynofa.origin") : "unknown";
  std::cout << path << "\n  " << file.format << ", " << file.tensors.size() << " tensors, " << c.net->space.classes
            << " classes, " << c.net->space.cardinality() << " sub-networks at each of "
            << c.net->space.resolutions.size() << " resolutions\n  " << c.origin
            << "\n  images: " << c.preprocessing.to_string() << "\n\n";
  return c;
}

void classify(const classifier& c, const arch& a, const data::image& picture) {
  std::vector<float> image(std::size_t(a.r) * a.r * 3);
  c.preprocessing.apply(picture, a.r, image);
  engine engine(backend_type{}, c.net);
  auto level = engine.load(a);
  auto scores = engine.run(level, image);
  const float top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (float& s : scores) sum += s = std::exp(s - top);
  for (int place = 1; place <= 3; ++place) {
    const std::size_t best = argmax(scores);
    std::cout << "    " << place << ". " << std::fixed << std::setprecision(1) << std::setw(5)
              << 100 * scores[best] / sum << " %  " << c.names[best] << '\n';
    scores[best] = -1;
  }
}

/// Top-1 of an architecture with the super-network's stored statistics, on all threads.
double top1(const classifier& c, const arch& a, const data::image_folder& images, int threads) {
  std::mutex pool_mutex;
  struct worker {
    dynofa::engine<backend_type> runner;
    backend_type::bound level;
    std::vector<float> image;
  };
  std::vector<std::unique_ptr<worker>> idle;
  std::size_t right = 0;
  report::progress bar(std::cerr, text("  r", a.r));
  data::for_each_image(
      images, threads,
      [&](std::size_t, int label, const data::image& picture) {
        std::unique_ptr<worker> w;
        {
          const std::lock_guard lock(pool_mutex);
          if (!idle.empty()) w = std::move(idle.back()), idle.pop_back();
        }
        if (!w) {
          engine<backend_type> e(backend_type{}, c.net);
          auto level = e.load(a);
          w = std::make_unique<worker>(
              worker{std::move(e), std::move(level), std::vector<float>(std::size_t(a.r) * a.r * 3)});
        }
        c.preprocessing.apply(picture, a.r, w->image);
        const auto best = argmax(w->runner.run(w->level, w->image));
        const std::lock_guard lock(pool_mutex);
        right += static_cast<int>(best) == label;
        idle.push_back(std::move(w));
      },
      [&](std::size_t done, std::size_t total) { return bar(done, total); });
  return 100.0 * static_cast<double>(right) / static_cast<double>(images.size());
}

void describe(const char* what, const space_description& space, const arch& a) {
  const plan p = make_plan(space, a);
  std::cout << what << ": " << a.r << "x" << a.r << ", " << std::fixed << std::setprecision(1)
            << static_cast<double>(p.macs()) / 1e6 << " M MACs, " << static_cast<double>(p.parameters()) / 1e6
            << " M parameters\n";
}

} // namespace

int main(int argc, char** argv) try {
  CLI::App app("dynofa: one super-network, many networks");
  std::string asset = DYNOFA_ASSETS "/tinyimagenet_w1.2.safetensors", image, folder;
  std::size_t limit = 0;
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  app.add_option("--supernet", asset, "safetensors with space, preprocessing and class names inside");
  app.add_option("--image", image, "JPEG or PNG to classify");
  app.add_option("--images", folder, "folder with one sub-folder per class: measures top-1");
  app.add_option("--limit", limit, "with --images: use this many, drawn with a fixed seed");
  app.add_option("--threads", threads, "threads for --images");
  CLI11_PARSE(app, argc, argv);

  const classifier c = load(asset);
  const space_description& space = c.net->space;
  const arch large = largest(space), small = smallest(space);
  if (!folder.empty()) {
    data::image_folder images(folder, c.ids);
    if (limit && limit < images.size()) images = images.subset(limit, 1);
    std::cout << images.size() << " images\n";
    describe("largest sub-network, the super-network's own statistics", space, large);
    std::cout << "  top-1 " << std::setprecision(2) << top1(c, large, images, threads) << " %\n";
    describe("smallest sub-network, uncalibrated", space, small);
    std::cout << "  top-1 " << std::setprecision(2) << top1(c, small, images, threads)
              << " %: the statistics of the largest sub-network are wrong for every other, so each one is calibrated "
                 "before use\n";
    return 0;
  }

  const data::image picture = image.empty() ? data::draw_landscape(96, 128, 7) : data::read_image(image);
  std::cout << (image.empty() ? "no --image given: a landscape drawn by this program" : image) << ", " << picture.width
            << "x" << picture.height << '\n';
  describe("  largest sub-network", space, large);
  classify(c, large, picture);
  describe("  smallest sub-network, uncalibrated (its answer is noise)", space, small);
  classify(c, small, picture);
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
