#include "dynofa/backend/cuda.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/preprocess_json.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/sampling.hpp"

#include <nlohmann/json.hpp>

#include "golden/golden.hpp"
#include "support/help.hpp"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <vector>

namespace {

constexpr const char* help = R"(gpu_check SUPERNET [IMAGES]

What the CUDA backend promises at run time, on the GPU of this machine: switching among six levels (p99 of
choosing a level and launching its graph ≤ 50 µs), memory of six levels ≤ 1.3 × one super-network and arena,
and, with a folder of labelled images, fp16 logits within 1e-2 of their standard deviation and top-1 within 0.2
points of fp32. Every case prints a line; the last says `N passed, N failed`.)";

using namespace dynofa;

struct model {
  supernet_ptr net;
  data::preprocessing preprocessing;
  std::vector<std::string> class_ids;
};

model load(const std::string& path) {
  const checkpoint file = read_checkpoint(path);
  model m;
  m.net = std::make_shared<const supernet>(
      make_supernet(parse_space(file.metadata.at("dynofa.space")), with_canonical_keys(file.tensors, path)));
  m.preprocessing = nlohmann::json::parse(file.metadata.at("dynofa.preprocessing")).get<data::preprocessing>();
  for (const auto& entry : nlohmann::json::parse(file.metadata.at("dynofa.classes")))
    m.class_ids.push_back(entry.at("wnid"));
  return m;
}

void check_switching(const model& m, golden::tally& t) {
  t.begin("switching");
  session runner(backend::cuda{}, m.net);
  std::vector<session<backend::cuda>::level> levels;
  random_stream random(1, "levels");
  levels.push_back(runner.load(smallest(m.net->space)));
  levels.push_back(runner.load(largest(m.net->space)));
  while (levels.size() < 6) levels.push_back(runner.load(random_arch(m.net->space, random)));

  std::size_t level_bytes = 0;
  runner.prepare();
  for (auto& level : levels) {
    level_bytes += level->bytes();
  }
  const double base = double(runner.packed()->bytes() + runner.workspace().bytes());
  std::cout << "  super-network " << runner.packed()->bytes() << " bytes, arena " << runner.workspace().bytes()
            << ", six levels " << level_bytes << ": " << (base + double(level_bytes)) / base << " x\n";
  t.check("memory of six levels", (base + double(level_bytes)) / base / 1.3);

  // From the decision to the launched graph: that is what a switch adds; the graph then runs for its own time.
  std::vector<double> us;
  for (int i = 0; i < 10000; ++i) {
    auto& level = levels[random() % levels.size()];
    const auto start = std::chrono::steady_clock::now();
    runner.backend().enqueue(*level, runner.workspace());
    us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    runner.backend().wait();
  }
  std::sort(us.begin(), us.end());
  std::cout << "  switch and launch: median " << us[us.size() / 2] << " us, p99 " << us[us.size() * 99 / 100]
            << " us, worst " << us.back() << " us\n";
  t.check("p99 of a switch", us[us.size() * 99 / 100] / 50);
  t.end();
}

void check_accuracy(const model& m, const std::string& folder, golden::tally& t) {
  t.begin("fp16 against fp32");
  const data::image_folder images(folder, m.class_ids);
  const arch a = largest(m.net->space);
  session half(backend::cuda{.precision = "fp16"}, m.net), exact(backend::cuda{.precision = "fp32"}, m.net);
  auto half_level = half.load(a), exact_level = exact.load(a);
  std::vector<float> image(image_values(a.r));
  double right[2] = {};
  std::vector<double> apart; // of the logits, largest of an image, in their standard deviations
  data::for_each_image(images, 1, [&](std::size_t, int label, const data::image& picture) {
    m.preprocessing.apply(picture, a.r, image);
    const std::vector<float> rounded = half.run(half_level, image), wanted = exact.run(exact_level, image);
    right[0] += int(argmax(rounded)) == label;
    right[1] += int(argmax(wanted)) == label;
    double sum = 0, square = 0, worst = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      sum += wanted[i], square += double(wanted[i]) * wanted[i];
      worst = std::max(worst, double(std::abs(rounded[i] - wanted[i])));
    }
    const double n = double(wanted.size()), deviation = std::sqrt(square / n - sum / n * sum / n);
    apart.push_back(worst / deviation);
  });
  const double to_percent = 100.0 / double(images.size());
  std::cout << "  top-1 over " << images.size() << " images: fp16 " << right[0] * to_percent << " %, fp32 "
            << right[1] * to_percent << " %\n";
  std::sort(apart.begin(), apart.end());
  std::cout << "  logits apart by, in standard deviations: median image " << apart[apart.size() / 2] << ", 99 % "
            << apart[apart.size() * 99 / 100] << ", worst " << apart.back() << '\n';
  t.check("logits", apart.back() / 1e-2);
  t.check("difference of top-1", std::abs(right[0] - right[1]) * to_percent / 0.2);
  t.end();
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: gpu_check SUPERNET [IMAGES]\n";
    return 2;
  }
  const model m = load(argv[1]);
  golden::tally t;
  check_switching(m, t);
  if (argc == 3) check_accuracy(m, argv[2], t);
  return t.finish();
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
