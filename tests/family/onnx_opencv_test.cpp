// ctest: opencv
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/onnx.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"
#include <algorithm>
#include <cmath>
#include <opencv2/dnn.hpp>
#include <string>
#include <vector>

namespace dynofa_test::family_onnx_opencv {

using namespace dynofa;

namespace {

/// Our logits against those of OpenCV's DNN module, which reads the export for `batch` images (0: any) from memory, on
/// `n` images: the largest difference in standard deviations of the logits.
double difference(const supernet_ptr& net, const arch& a, const bn_statistics& statistics, int n, int batch) {
  const std::size_t r = a.r, pixels = r * r;
  const std::vector<float> images = conformance::normals(static_cast<std::size_t>(n) * pixels * 3, a.hash());
  session ours(backend::cpu{}, net);
  const auto wanted = ours.run(ours.load(a, statistics, n), images);

  const int shape[] = {n, 3, int(a.r), int(a.r)};
  cv::Mat input(4, shape, CV_32F);
  for (std::size_t i = 0; i < images.size(); ++i) // [N,r,r,3] → [N,3,r,r]
    input.ptr<float>()[(i / (3 * pixels) * 3 + i % 3) * pixels + i / 3 % pixels] = images[i];
  const std::string model = to_onnx(*net, a, statistics, batch);
  cv::dnn::Net theirs = cv::dnn::readNetFromONNX(model.data(), model.size());
  theirs.setInput(input, "image");
  const cv::Mat got = theirs.forward("logits");
  REQUIRE(got.total() == wanted.size());

  double mean = 0, square = 0, worst = 0;
  const auto count = static_cast<double>(wanted.size());
  for (const float v : wanted) mean += v / count;
  for (const float v : wanted) square += (v - mean) * (v - mean) / count;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    worst = std::max(worst, std::abs(double(got.ptr<float>()[i]) - wanted[i]) / std::sqrt(square));
  return worst;
}

} // namespace

TEST_CASE("OpenCV reads every export and gives our logits, one image or several") {
  double worst = 0;
  const auto judge = [&](const supernet_ptr& net, const arch& a) {
    for (const auto& [n, batch] : {std::pair(1, 0), std::pair(1, 1), std::pair(3, 3)})
      worst = std::max(worst, difference(net, a, stored_statistics(*net, a), n, batch));
  };
  const auto tiny = support::tiny_supernet();
  random_stream random(5, "onnx");
  judge(tiny, smallest(tiny->space)), judge(tiny, largest(tiny->space));
  for (int i = 0; i < 4; ++i) judge(tiny, random_arch(tiny->space, random));
  const auto every = std::make_shared<const supernet>(random_supernet(conformance::every_block(), 1));
  for (std::size_t first = 0; first < 3; ++first) judge(every, conformance::varied_arch(every->space, 64, first));
  MESSAGE("at most ", worst, " standard deviations of the logits apart");
  CHECK(worst < 1e-3);
}

TEST_CASE("the levels of the committed family too") {
  const family f = load_family(DYNOFA_SOURCE_DIR "/examples/assets/tinyimagenet.dynofa");
  double worst = 0;
  for (std::size_t i : {std::size_t(0), f.levels().size() - 1})
    worst = std::max(worst, difference(f.net(), f.levels()[i].arch, f.levels()[i].statistics, 2, 2));
  MESSAGE("at most ", worst, " standard deviations of the logits apart");
  CHECK(worst < 1e-3);
}

} // namespace dynofa_test::family_onnx_opencv
