// ctest: threads
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/reference_calibration.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/calibrate/calibrator.hpp"
#include "dynofa/model/round_to_half.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <cmath>
#include <limits>

namespace dynofa_test::calibrate_calibrator {

using namespace dynofa;

namespace {

std::vector<std::vector<float>> images_of(const plan& p, int count) {
  random_stream random(3, "images");
  std::vector<std::vector<float>> images(static_cast<std::size_t>(count));
  for (auto& image : images) {
    image.resize(static_cast<std::size_t>(p.blocks[0].in_values()));
    for (float& v : image) v = static_cast<float>(random.normal());
  }
  return images;
}

template <class Backend>
bn_statistics collect(const Backend& backend, const supernet_ptr& net, const arch& a,
                      std::initializer_list<int> batches, variance_rule rule = variance_rule::within_batches) {
  int images = 0, largest = 0;
  for (const int b : batches) images += b, largest = std::max(largest, b);
  calibrator<Backend> c(backend, net, backend.pack(net), a, largest, rule);
  const auto all = images_of(c.plan(), images);
  std::size_t next = 0;
  for (const int b : batches) {
    for (int n = 0; n < b; ++n) c.load(static_cast<std::size_t>(n), all[next++]);
    c.add(b);
  }
  CHECK(c.images() == images);
  return c.statistics();
}

double difference(const std::vector<float>& got, const std::vector<float>& wanted) {
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    worst = std::max(worst, double(std::abs(got[i] - wanted[i])));
    largest = std::max(largest, double(std::abs(wanted[i])));
  }
  return worst / largest;
}

} // namespace

TEST_CASE("the CPU kernels collect what the reference collects, on every instruction set") {
  const auto net = support::tiny_supernet();
  random_stream random(1, "archs");
  for (int i = 0; i < 4; ++i) {
    const arch a = i == 0 ? largest(net->space) : random_arch(net->space, random);
    const bn_statistics wanted = collect(backend::reference{}, net, a, {4, 3});
    for (const auto& isa : backend::cpu_detail::available_isas()) {
      INFO(isa.name << " " << text(a));
      const bn_statistics got = collect(backend::cpu{.isa = std::string(isa.name)}, net, a, {4, 3});
      CHECK(difference(got.mean, wanted.mean) < 2e-5);
      // The last layers of 32 pixels normalise three samples per channel, which magnifies what was rounded before.
      CHECK(difference(got.var, wanted.var) < 2e-4);
    }
  }
}

TEST_CASE("batches that are worked on in groups of several images collect the same") {
  const auto net = support::tiny_supernet();
  for (const arch& a : {smallest(net->space), largest(net->space)}) {
    const bn_statistics wanted = collect(backend::reference{}, net, a, {21, 9});
    for (const auto& isa : backend::cpu_detail::available_isas()) {
      INFO(isa.name);
      const bn_statistics got = collect(backend::cpu{.isa = std::string(isa.name)}, net, a, {21, 9});
      CHECK(difference(got.mean, wanted.mean) < 2e-5);
      CHECK(difference(got.var, wanted.var) < 2e-5);
      for (int threads : {2, 3})
        CHECK(collect(backend::cpu{.isa = std::string(isa.name), .threads = threads}, net, a, {21, 9}) == got);
    }
  }
}

TEST_CASE("weights stored in half precision collect what the same values in fp32 do, to the bit") {
  const auto net = std::make_shared<const supernet>(round_to_half(*support::tiny_supernet()));
  for (const arch& a : {smallest(net->space), largest(net->space)})
    for (const auto& isa : backend::cpu_detail::available_isas()) {
      INFO(isa.name);
      const backend::cpu exact{.isa = std::string(isa.name)}, half{.isa = std::string(isa.name), .weights = "lossless"};
      CHECK(half.pack(net)->half);
      CHECK(collect(half, net, a, {6, 3}) == collect(exact, net, a, {6, 3}));
    }
}

TEST_CASE("calibration wants weights in fp32 or half precision") {
  const auto net = support::tiny_supernet();
  const backend::cpu b{.weights = "bf16"};
  CHECK(support::sentence([&] { calibrator<backend::cpu>(b, net, b.pack(net), smallest(net->space), 2); }) ==
        "cpu calibration: expected weights in fp32 or fp16, got bf16");
}

TEST_CASE("threads do not change a bit") {
  const auto net = support::tiny_supernet();
  const arch a = largest(net->space);
  CHECK(collect(backend::cpu{.threads = 2}, net, a, {5, 4}) == collect(backend::cpu{}, net, a, {5, 4}));
}

TEST_CASE("batches are weighted by their size, pooling adds the spread between them") {
  const auto net = support::tiny_supernet();
  const arch a = smallest(net->space);
  const backend::reference judge;
  // The stem sees raw images, so its statistics can be put together from those of the batches.
  const bn_statistics both = collect(judge, net, a, {6, 2});
  calibrator<backend::reference> c(judge, net, judge.pack(net), a, 8);
  const auto all = images_of(c.plan(), 8);
  const auto of = [&](std::size_t first, std::size_t count) {
    calibrator<backend::reference> part(judge, net, judge.pack(net), a, 8);
    for (std::size_t n = 0; n < count; ++n) part.load(n, all[first + n]);
    part.add(static_cast<int>(count));
    return part.statistics();
  };
  const bn_statistics six = of(0, 6), two = of(6, 2), pooled = collect(judge, net, a, {6, 2}, variance_rule::pooled),
                      whole = of(0, 8);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(both.mean[i] == doctest::Approx((6 * six.mean[i] + 2 * two.mean[i]) / 8));
    CHECK(both.var[i] == doctest::Approx((6 * six.var[i] + 2 * two.var[i]) / 8));
    CHECK(pooled.var[i] >= both.var[i]);
    CHECK(pooled.var[i] == doctest::Approx(whole.var[i]).epsilon(1e-5)); // of the stem: the same pixels
  }
}

TEST_CASE("a calibrated network has normalised activations: logits move to those of its own batch") {
  supernet_ptr net;
  SUBCASE("MobileNetV3") { net = support::tiny_supernet(); }
  SUBCASE("ProxylessNAS") { net = support::tiny_proxyless(); }
  SUBCASE("ResNet") { net = support::odd_resnet(); }
  const arch a = smallest(net->space);
  const backend::cpu backend;
  calibrator<backend::cpu> c(backend, net, backend.pack(net), a, 16);
  const auto all = images_of(c.plan(), 16);
  for (std::size_t n = 0; n < 16; ++n) c.load(n, all[n]);
  c.add(16);
  auto batch = open_calibration(backend, backend.pack(net), c.plan(), 16);
  session runner(backend, net);
  auto level = runner.load(a, c.statistics());
  // One batch: its statistics are the running ones, so the batch itself runs as it did while it was collected.
  const bn_statistics s = c.statistics();
  const scale_shift affine = fold(*net, c.plan(), s);
  for (std::size_t n = 0; n < 16; ++n) batch.load(n, all[n]);
  for (std::size_t b = 0; b < c.plan().blocks.size(); ++b)
    for (int i = 0; i < c.plan().blocks[b].norm_count(); ++i) {
      batch.convolve(b, i, 16);
      const auto norm = c.plan().norms[static_cast<std::size_t>(c.plan().first_norm(b) + i)];
      const auto at = static_cast<std::size_t>(norm.offset), count = static_cast<std::size_t>(norm.channels);
      batch.normalise(b, i, std::span(affine.scale).subspan(at, count), std::span(affine.shift).subspan(at, count));
    }
  for (const std::size_t n : {std::size_t(0), std::size_t(15)}) {
    std::vector<float> logits(static_cast<std::size_t>(net->space.classes));
    batch.logits(n, logits);
    CHECK(difference(logits, runner.run(level, all[n])) < 1e-4);
  }
}

TEST_CASE("wrong use is one sentence") {
  const auto net = support::tiny_supernet();
  const backend::reference judge;
  const arch a = smallest(net->space);
  calibrator<backend::reference> c(judge, net, judge.pack(net), a, 2);
  CHECK(support::sentence([&] { c.statistics(); }) == "calibrator: expected at least one batch, got none");
  CHECK(support::sentence([&] { c.add(3); }) == "calibrator: expected 1 to 2 images, got 3");
  CHECK(support::sentence([&] { c.load(2, {}); }) ==
        "calibrator: expected image 1 at most, of 3072 values, got image 2 of 0");
  CHECK(support::sentence([&] { calibrator<backend::reference>(judge, net, judge.pack(net), a, 0); }) ==
        "calibrator: expected a batch of at least 1 image, got 0");
}

TEST_CASE("a calibrator goes on where another one stopped") {
  const auto net = support::tiny_supernet();
  const backend::cpu one;
  const arch a = smallest(net->space);
  const bn_statistics whole = collect(one, net, a, {4, 4});

  calibrator<backend::cpu> first(one, net, one.pack(net), a, 4), second(one, net, one.pack(net), a, 4);
  const auto images = images_of(first.plan(), 8);
  for (std::size_t n = 0; n < 4; ++n) first.load(n, images[n]), second.load(n, images[4 + n]);
  first.add(4);
  second.restore(first.state());
  second.add(4);
  CHECK(second.images() == 8);
  CHECK(second.statistics() == whole);

  calibration_state broken = first.state();
  broken.mean.pop_back();
  CHECK(support::sentence([&] { second.restore(broken); }) == text("calibrator: expected finite sums of ",
                                                                   whole.mean.size(), " channels, got others, of ",
                                                                   whole.mean.size() - 1));
  CHECK(second.statistics() == whole);
}

TEST_CASE(
    "a state of another architecture, super-network, batch size or of other images is refused, with what differs") {
  const auto net = support::tiny_supernet(), retrained = support::tiny_supernet(8);
  const backend::reference judge;
  const arch a = smallest(net->space);
  arch other = a;
  other.ks[0] = 7; // as many channels
  using calibrator = calibrator<backend::reference>;
  const auto rule = variance_rule::within_batches;
  calibrator one(judge, net, judge.pack(net), a, 4, rule, "resized to r x r");
  for (std::size_t n = 0; n < 4; ++n) one.load(n, images_of(one.plan(), 4)[n]);
  one.add(4);
  const auto said = [&](const supernet_ptr& of, const arch& b, int batch, const char* inputs) {
    calibrator c(judge, of, judge.pack(of), b, batch, rule, inputs);
    const auto sentence = support::sentence([&] { c.restore(one.state()); });
    CHECK(c.images() == (sentence == "(no error)" ? 4 : 0));
    return sentence;
  };
  CHECK(said(net, a, 4, "resized to r x r") == "(no error)");
  CHECK(said(net, other, 4, "resized to r x r") ==
        text("calibrator: expected a state of architecture ", other.canonical(), ", got one of architecture ", a));
  CHECK(said(retrained, a, 4, "resized to r x r") == text("calibrator: expected a state of super-network ",
                                                          in_base(16, retrained->hash()), ", got one of super-network ",
                                                          in_base(16, net->hash())));
  CHECK(said(net, a, 5, "resized to r x r") == "calibrator: expected a state of batches of 5, got one of batches of 4");
  CHECK(said(net, a, 4, "cropped") ==
        "calibrator: expected a state of inputs cropped, got one of inputs resized to r x r");
}

TEST_CASE("statistics that are infinite or NaN are one sentence with norm and channel, and leave nothing behind") {
  const auto broken = [](auto change) {
    supernet net = *support::tiny_supernet();
    change(net);
    return std::make_shared<const supernet>(std::move(net));
  };
  const auto judge_on = [&](const auto& backend) {
    const auto said = [&](const supernet_ptr& net, float pixel) {
      calibrator c(backend, net, backend.pack(net), largest(net->space), 2);
      auto images = images_of(c.plan(), 4);
      for (std::size_t n = 0; n < 2; ++n) c.load(n, images[n]);
      const auto once = support::sentence([&] { c.add(2); });
      if (once != "(no error)") return once;
      images[3][700] = pixel;
      for (std::size_t n = 0; n < 2; ++n) c.load(n, images[2 + n]);
      const auto twice = support::sentence([&] { c.add(2); });
      CHECK(c.images() == (twice == "(no error)" ? 4 : 2));
      CHECK(are_sound(c.statistics()));
      return twice;
    };
    const std::string expected = ": expected a finite mean and mean square of a batch, got ";
    CHECK(said(support::tiny_supernet(), 0.5f) == "(no error)");
    CHECK(said(support::tiny_supernet(), std::nanf("")) ==
          "calibrator, first_conv.bn, channel 0" + expected + "NaN and NaN");
    const auto norm = broken([](supernet& net) { net.norms[3].bias[5] = std::nanf(""); }); // of block 1's expansion
    CHECK(said(norm, 0) == "calibrator, blocks.1.conv.depth_conv.bn.bn, channel 5" + expected + "NaN and NaN");
    const auto weight = broken([](supernet& net) { net.weights[0][27 * 2] = std::numeric_limits<float>::infinity(); });
    CHECK(said(weight, 0).starts_with("calibrator, first_conv.bn, channel 2" + expected));
  };
  judge_on(backend::reference{});
  for (const auto& isa : backend::cpu_detail::available_isas()) judge_on(backend::cpu{.isa = std::string(isa.name)});
}

} // namespace dynofa_test::calibrate_calibrator
