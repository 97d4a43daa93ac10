// ctest: threads
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/reference_calibration.hpp"
#include "dynofa/calibrate/calibrator.hpp"
#include "dynofa/model/round_to_half.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include "support/isas.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

namespace dynofa_test::backends_cpu_whole_calibration {

using namespace dynofa;

namespace {

/// Blocks of both worlds: a deep stem in front of inverted residuals, with squeeze-excite, and pooling without a
/// convolution before it.
supernet_ptr deep_stem_and_inverted_residuals() {
  using space = search_space<network<stem_width<16>, stem_activation<activation::relu>, deep_stem<24, activation::relu>,
                                     stage_widths<24, 40, 56>, strides<1, 2, 2>,
                                     activations<activation::relu, activation::h_swish, activation::relu6>,
                                     squeeze_excite<false, true, true>, final_width<0>, mix_width<0>, classes<10>>,
                             depth<1, 2>, expand<3, 4>, kernel<3, 5, 7>, resolution<33, 48>>;
  return std::make_shared<const supernet>(random_supernet(space::description, 5));
}

std::vector<float> image_of(const plan& p, std::size_t n) { return conformance::normals(p.image_values(), 100 + n); }

template <class Backend>
bn_statistics collect(const Backend& backend, const supernet_ptr& net, const arch& a,
                      std::initializer_list<int> batches) {
  calibrator<Backend> c(backend, net, backend.pack(net), a, std::max(batches));
  std::size_t next = 0;
  for (const int count : batches) {
    for (int n = 0; n < count; ++n) c.load(static_cast<std::size_t>(n), image_of(c.plan(), next++));
    c.add(count);
  }
  return c.statistics();
}

/// Largest difference of a norm's values, in units of the largest that the norm has.
double difference(const plan& p, const std::vector<float>& got, const std::vector<float>& wanted) {
  REQUIRE(got.size() == wanted.size());
  double worst = 0;
  for (const plan::norm& n : p.norms) {
    double apart = 0, largest = 0;
    for (auto c = static_cast<std::size_t>(n.offset); c < static_cast<std::size_t>(n.offset + n.channels); ++c) {
      apart = std::max(apart, double(std::abs(got[c] - wanted[c])));
      largest = std::max(largest, double(std::abs(wanted[c])));
    }
    worst = std::max(worst, apart / largest);
  }
  return worst;
}

arch varied(const supernet& net, random_stream& random, int i) {
  arch a = i == 0 ? largest(net.space) : i == 1 ? smallest(net.space) : random_arch(net.space, random);
  a.r = net.space.resolutions[static_cast<std::size_t>(i) % net.space.resolutions.size()];
  return a;
}

} // namespace

TEST_CASE("whole tensors collect what the reference collects, on every instruction set") {
  supernet_ptr net;
  SUBCASE("ResNet") { net = support::odd_resnet(); }
  SUBCASE("deep stem and inverted residuals") { net = deep_stem_and_inverted_residuals(); }
  random_stream random(1, "archs");
  for (int i = 0; i < 3; ++i) {
    const arch a = varied(*net, random, i);
    const plan p = make_plan(net->space, a);
    const bn_statistics wanted = collect(backend::reference{}, net, a, {5, 3});
    for (const std::string& isa : isas()) {
      INFO(isa << " " << text(a));
      const bn_statistics got = collect(backend::cpu{.isa = isa}, net, a, {5, 3});
      CHECK(difference(p, got.mean, wanted.mean) < 5e-5);
      // The last layers normalise 20 and 12 samples per channel, which magnifies what was rounded before.
      CHECK(difference(p, got.var, wanted.var) < 2e-4);
    }
  }
}

TEST_CASE("whole tensors: threads do not change a bit, whether there are more pictures than threads or fewer") {
  supernet_ptr net;
  SUBCASE("ResNet") { net = support::odd_resnet(); }
  SUBCASE("deep stem and inverted residuals") { net = deep_stem_and_inverted_residuals(); }
  random_stream random(2, "archs");
  for (int i = 1; i < 3; ++i) {
    const arch a = varied(*net, random, i);
    for (const std::string& isa : isas()) {
      INFO(isa << " " << text(a));
      const bn_statistics alone = collect(backend::cpu{.isa = isa}, net, a, {1, 7, 2});
      for (const int threads : {2, 3})
        CHECK(collect(backend::cpu{.isa = isa, .threads = threads}, net, a, {1, 7, 2}) == alone);
    }
  }
}

TEST_CASE("whole tensors: weights in half precision collect what the same values in fp32 do, to the bit") {
  const auto net = std::make_shared<const supernet>(round_to_half(*support::odd_resnet()));
  for (const arch& a : {smallest(net->space), largest(net->space)})
    for (const std::string& isa : isas()) {
      INFO(isa);
      const backend::cpu exact{.isa = isa}, half{.isa = isa, .weights = "lossless"};
      CHECK(half.pack(net)->half);
      CHECK(collect(half, net, a, {4, 3}) == collect(exact, net, a, {4, 3}));
    }
}

TEST_CASE("whole tensors: what is broken is named as the reference names it") {
  const auto said = [](const auto& backend, auto change) {
    supernet net = *support::odd_resnet();
    change(net);
    const auto broken = std::make_shared<const supernet>(std::move(net));
    return support::sentence([&] { collect(backend, broken, largest(broken->space), {1}); });
  };
  const auto compare = [&](auto change) {
    const std::string wanted = said(backend::reference{}, change);
    CHECK(wanted.starts_with("calibrator, "));
    for (const std::string& isa : isas()) CHECK(said(backend::cpu{.isa = isa, .threads = 2}, change) == wanted);
  };
  const network_layout layout = support::odd_resnet()->layout;
  for (std::size_t norm = 0; norm + 1 < layout.norms.size(); norm += 13)
    compare([norm](supernet& net) { net.norms[norm].bias[5] = std::nanf(""); });
  for (std::size_t w = 0; w + 2 < layout.weights.size(); w += 13)
    compare([w](supernet& net) { net.weights[w][1] = std::nanf(""); });
}

TEST_CASE("whole tensors: wrong weights and plans are one sentence") {
  const auto net = support::odd_resnet();
  const backend::cpu half{.weights = "bf16"}, one;
  const plan p = make_plan(net->space, smallest(net->space));
  CHECK(support::sentence([&] { open_calibration(half, half.pack(net), p, 2); }) ==
        "cpu calibration: expected weights in fp32 or fp16, got bf16");
  CHECK(support::sentence([&] {
          open_calibration(one, one.pack(net), make_plan(net->space, smallest(net->space), 2), 2);
        }) == "cpu calibration: expected a plan for one image, got 2");
}

} // namespace dynofa_test::backends_cpu_whole_calibration
