// ctest: threads
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/reference_calibration.hpp"
#include "dynofa/calibrate/record_ranges.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include "support/isas.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace dynofa_test::calibrate_record_ranges {

using namespace dynofa;

namespace {

image_source random_images(std::size_t count) {
  return {count, [](std::size_t n, int, std::span<float> image) {
            const auto values = conformance::normals(image.size(), 40 + n);
            std::copy(values.begin(), values.end(), image.begin());
          }};
}

bn_statistics calibrated(const supernet_ptr& net, const arch& a) {
  return calibrate(backend::cpu{}, net, std::span(&a, 1), random_images(16), {.images = 16, .batch = 16})
      .front()
      .statistics;
}

/// Lowest and highest values as the definition has them: block by block, image by image.
activation_ranges plain_extremes(const supernet_ptr& net, const arch& a, const bn_statistics& statistics,
                                 const image_source& source) {
  namespace plain = backend::plain;
  using enum byte_tensor::place;
  const plan p = make_plan(net->space, a);
  const scale_shift affine = fold(*net, p, statistics);
  const backend::reference judge;
  auto level = judge.bind(judge.pack(net), p, affine);
  auto space = judge.make_workspace(std::span(&p, 1));
  activation_ranges r{std::vector<float>(range_count(p)), std::vector<float>(range_count(p))};
  const auto tensors = byte_tensors(p);
  for (std::size_t n = 0; n < source.count; ++n) {
    std::vector<float> values(p.image_values());
    source.fill(n, p.arch.r, values);
    for (std::size_t b = 0; b < p.blocks.size(); ++b) {
      const block& block = p.blocks[b];
      const auto take = [&](byte_tensor::place where, const backend::image_tensor& x) {
        for (const byte_tensor& t : tensors) {
          if (t.block != b || t.where != where) continue;
          for (std::size_t i = 0; i < x.size(); ++i) {
            const std::size_t range = t.offset + (t.ranges > 1 ? i % x.shape(2) : 0);
            r.low[range] = std::min(r.low[range], x.data()[i]);
            r.high[range] = std::max(r.high[range], x.data()[i]);
          }
        }
      };
      const auto normalise = [&](backend::image_tensor& x, int i) {
        const plan::norm norm = p.norms[static_cast<std::size_t>(p.first_norm(b) + i)];
        const auto at = static_cast<std::size_t>(norm.offset), count = static_cast<std::size_t>(norm.channels);
        plain::normalise(x, std::span(affine.scale).subspan(at, count), std::span(affine.shift).subspan(at, count),
                         block.norm_act(i));
      };
      const auto size = static_cast<std::size_t>(block.in_size), channels = static_cast<std::size_t>(block.in_channels);
      auto x = backend::image_tensor::from_shape({size, size, channels});
      std::copy(values.begin(), values.end(), x.begin());
      take(input, x);
      if (block.kind == block_kind::inverted_residual) {
        x = plain::pointwise(x, *net, block, weight_role::expand);
        normalise(x, 0);
        take(expanded, x);
        x = plain::depthwise(x, net->array(block, weight_role::depthwise), block.kernel, block.stride);
        normalise(x, 1);
        take(ungated, x);
        if (block.se_channels > 0) plain::squeeze_excite(x, *net, block);
        take(projected, x);
      }
      std::vector<float> out(static_cast<std::size_t>(block.out_values()));
      judge.run_block(level, space, b, values, out);
      values = std::move(out);
    }
  }
  return r;
}

/// Largest difference of an end, in units of the widest range of its tensor.
double difference(const plan& p, const activation_ranges& got, const activation_ranges& wanted) {
  REQUIRE(got.low.size() == wanted.low.size());
  REQUIRE(got.high.size() == wanted.high.size());
  double worst = 0;
  for (const byte_tensor& t : byte_tensors(p)) {
    double apart = 0, widest = 0;
    for (std::size_t i = t.offset; i < t.offset + static_cast<std::size_t>(t.ranges); ++i) {
      apart = std::max(
          {apart, double(std::abs(got.low[i] - wanted.low[i])), double(std::abs(got.high[i] - wanted.high[i]))});
      widest = std::max(widest, double(wanted.high[i] - wanted.low[i]));
    }
    REQUIRE(widest > 0);
    worst = std::max(worst, apart / widest);
  }
  return worst;
}

template <class Backend>
activation_ranges record(const Backend& b, const supernet_ptr& net, const arch& a, range_options options = {},
                         std::size_t images = 7) {
  return record_ranges(b, net, a, calibrated(net, a), random_images(images), options);
}

const range_options extremes{.rule = range_rule::min_max};

} // namespace

TEST_CASE("the extremes of every tensor are those of plain loops, on the reference and every instruction set") {
  supernet_ptr net;
  SUBCASE("MobileNetV3") { net = support::tiny_supernet(); }
  SUBCASE("ProxylessNAS") { net = support::tiny_proxyless(); }
  SUBCASE("one width for the whole network") {
    net = std::make_shared<const supernet>(random_supernet(support::tiny_slimmable_space::description, 3));
  }
  random_stream random(1, "archs");
  std::set<byte_tensor::place> places;
  for (int i = 0; i < unless_emulated(3, 1); ++i) {
    const arch a = i == 0 ? largest(net->space) : i == 1 ? smallest(net->space) : random_arch(net->space, random);
    const plan p = make_plan(net->space, a);
    INFO(text(a));
    for (const byte_tensor& t : byte_tensors(p)) places.insert(t.where);
    const activation_ranges wanted = plain_extremes(net, a, calibrated(net, a), random_images(7));
    CHECK(difference(p, record(backend::reference{}, net, a, extremes), wanted) == 0);
    for (const std::string& isa : isas()) {
      INFO(isa);
      const auto got = record(backend::cpu{.isa = isa}, net, a, extremes);
      CHECK_NOTHROW(check_ranges(p, got, "recorded"));
      CHECK(difference(p, got, wanted) < 1e-4);
    }
  }
  CHECK(places.contains(byte_tensor::place::ungated) ==
        (net->space.stages[1].squeeze_excite || net->space.stages.back().squeeze_excite));
  CHECK(places.contains(byte_tensor::place::expanded));
}

TEST_CASE("every kind of inverted residual, odd sizes of maps") {
  const auto net = std::make_shared<const supernet>(random_supernet(conformance::every_block(), 3));
  const arch a = conformance::varied_arch(net->space, 64, 1);
  const auto wanted = plain_extremes(net, a, calibrated(net, a), random_images(2));
  const auto got = record(backend::cpu{}, net, a, extremes, 2);
  CHECK(difference(make_plan(net->space, a), got, wanted) < 1e-4);
}

TEST_CASE("threads and batches do not change a bit, whatever the rule") {
  const auto net = support::tiny_supernet();
  const arch a = largest(net->space);
  const range_rule rules[] = {range_rule::least_square_error, range_rule::min_max, range_rule::percentile};
  for (const range_rule rule : std::span(rules).first(unless_emulated<std::size_t>(3, 1))) {
    const range_options once{.batch = 3, .rule = rule, .percentile = 99};
    const auto wanted = record(backend::cpu{}, net, a, once);
    for (const int threads : {2, 11})
      for (const int batch : {threads == 2 ? 16 : 3}) {
        CAPTURE(threads);
        CAPTURE(batch);
        range_options options = once;
        options.threads = threads, options.batch = batch;
        CHECK(record(backend::cpu{.threads = std::min(threads, 3)}, net, a, options) == wanted);
      }
  }
}

TEST_CASE("other rules stay within the extremes, and hold zero") {
  const auto net = support::tiny_supernet();
  const arch a = smallest(net->space);
  const plan p = make_plan(net->space, a);
  const auto all = record(backend::cpu{}, net, a, extremes);
  for (const auto rule : {range_rule::least_square_error, range_rule::percentile}) {
    const auto some = record(backend::cpu{}, net, a, {.rule = rule, .percentile = 98});
    CHECK_NOTHROW(check_ranges(p, some, "recorded"));
    std::size_t narrower = 0;
    for (std::size_t i = 0; i < all.low.size(); ++i) {
      REQUIRE(some.low[i] >= all.low[i]);
      REQUIRE(some.high[i] <= all.high[i]);
      narrower += some.high[i] - some.low[i] < all.high[i] - all.low[i];
    }
    CHECK(narrower > (rule == range_rule::percentile ? all.low.size() / 10 : 0)); // few values: clipping seldom pays
  }
  CHECK(record(backend::cpu{}, net, a, {.rule = range_rule::percentile, .percentile = 100}) == all);
}

TEST_CASE("the reference and the CPU choose the same ranges") {
  const auto net = support::tiny_proxyless();
  const arch a = smallest(net->space);
  const plan p = make_plan(net->space, a);
  for (const auto rule : {range_rule::least_square_error, range_rule::percentile}) {
    const range_options options{.rule = rule, .percentile = 99};
    const auto got = record(backend::cpu{}, net, a, options), wanted = record(backend::reference{}, net, a, options);
    std::size_t far = 0; // a value may fall into the next bin, and of two good ranges the other may be a little better
    for (std::size_t i = 0; i < wanted.low.size(); ++i)
      far += std::abs(got.high[i] - wanted.high[i]) + std::abs(got.low[i] - wanted.low[i]) >
             1e-3f * (wanted.high[i] - wanted.low[i]);
    CHECK(far <= wanted.low.size() / 100);
  }
}

TEST_CASE("channels that are dead, and images without light") {
  supernet changed = *support::tiny_supernet();
  const arch a = smallest(changed.space);
  const plan p = make_plan(changed.space, a);
  const auto tensors = byte_tensors(p);
  const auto expanded = std::find_if(tensors.begin(), tensors.end(), [&](const byte_tensor& t) {
    return t.where == byte_tensor::place::expanded && p.blocks[t.block].act == activation::relu;
  });
  REQUIRE(expanded != tensors.end());
  norm_parameters& norm = changed.norms[changed.layout.norm_index(p.blocks[expanded->block], 0)];
  norm.weight[2] = 0, norm.bias[2] = -1;
  const auto net = std::make_shared<const supernet>(std::move(changed));
  const bn_statistics statistics = stored_statistics(*net, a);
  const image_source dark{3,
                          [](std::size_t, int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.f); }};
  for (const auto rule : {range_rule::least_square_error, range_rule::min_max, range_rule::percentile})
    for (const image_source& source : {random_images(3), dark}) {
      const auto r = record_ranges(backend::cpu{}, net, a, statistics, source, {.rule = rule});
      CHECK_NOTHROW(check_ranges(p, r, "recorded"));
      CHECK(r.low[expanded->offset + 2] == 0);
      CHECK(r.high[expanded->offset + 2] == 0);
    }
}

TEST_CASE("a network without byte tensors has no ranges, and no image is asked for") {
  const auto net = support::odd_resnet();
  const arch a = smallest(net->space);
  const image_source none{5, [](std::size_t, int, std::span<float>) { throw std::runtime_error("asked"); }};
  CHECK(record_ranges(backend::cpu{}, net, a, stored_statistics(*net, a), none).empty());
}

TEST_CASE("weights in half precision are recorded from, those in bf16 are refused") {
  const auto net = support::tiny_supernet();
  const arch a = smallest(net->space);
  const auto exact = record(backend::cpu{}, net, a, extremes);
  CHECK(difference(make_plan(net->space, a), record(backend::cpu{.weights = "fp16"}, net, a, extremes), exact) < 0.02);
  CHECK(support::sentence([&] { record(backend::cpu{.weights = "bf16"}, net, a); }) ==
        "cpu calibration: expected weights in fp32 or fp16, got bf16");
}

TEST_CASE("wrong use is one sentence") {
  const auto net = support::tiny_supernet();
  const arch a = smallest(net->space);
  bn_statistics statistics = stored_statistics(*net, a);
  const auto said = [&](const range_options& options, std::size_t images = 2) {
    return support::sentence(
        [&] { record_ranges(backend::cpu{}, net, a, statistics, random_images(images), options); });
  };
  const std::string wanted = "record_ranges: expected at least 1 image, 1 per batch and 1 thread, got ";
  CHECK(said({}) == "(no error)");
  CHECK(said({}, 0) == wanted + "0, 16 and 1");
  CHECK(said({.images = -1}) == wanted + "0, 16 and 1");
  CHECK(said({.batch = 0}) == wanted + "2, 0 and 1");
  CHECK(said({.threads = 0}) == wanted + "2, 16 and 0");
  for (const double p : {50.0, 100.1, -1.0, double(std::nanf("")), 1e300})
    CHECK(said({.percentile = p}) ==
          text("record_ranges: expected a percentile above 50, at most 100, got ", shown(p)));
  std::size_t calls = 0;
  CHECK(said({.batch = 1, .progress = [&](std::size_t done, std::size_t total) {
                CHECK(total == 4);
                CHECK(done == ++calls);
                return done < 3;
              }}) == "record_ranges: expected to see every batch, got a stop after 3 of 4");
  const image_source broken{3, [](std::size_t n, int, std::span<float>) {
                              if (n == 1) throw error(errc::io, "camera", "a picture", "none");
                            }};
  CHECK(support::sentence([&] { record_ranges(backend::cpu{}, net, a, statistics, broken, {.threads = 2}); }) ==
        "camera: expected a picture, got none");
  statistics.mean.pop_back();
  CHECK(said({}).find("channels for") != std::string::npos);
}

TEST_CASE("activations that are infinite or NaN are one sentence with the batch norm") {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto judge_on = [&](const auto& backend) {
    const auto said = [&](const supernet_ptr& net, float pixel, range_rule rule = range_rule::least_square_error) {
      const arch a = largest(net->space);
      const image_source source{5, [&](std::size_t n, int r, std::span<float> image) {
                                  random_images(5).fill(n, r, image);
                                  if (n == 3) image[700] = pixel;
                                }};
      return support::sentence([&] {
        record_ranges(backend, net, a, stored_statistics(*net, a), source, {.batch = 2, .rule = rule, .threads = 2});
      });
    };
    const auto net = support::tiny_supernet();
    const std::string expected = ": expected a finite mean of what the convolution before it gives, got ";
    CHECK(said(net, 0.5f) == "(no error)");
    for (const float pixel : {std::nanf(""), infinity, -infinity})
      for (const auto rule : {range_rule::least_square_error, range_rule::min_max})
        CHECK(said(net, pixel, rule).starts_with("record_ranges, first_conv.bn, channel 0" + expected));

    // finite until a batch norm multiplies it: the convolution behind has to tell
    supernet huge = *net;
    huge.norms[3].weight[5] = 3e38f; // of block 1's expansion
    CHECK(said(std::make_shared<const supernet>(std::move(huge)), 0)
              .starts_with("record_ranges, blocks.1.conv.depth_conv.bn.bn, channel 5" + expected));
  };
  judge_on(backend::reference{});
  for (const auto& isa : backend::cpu_detail::available_isas()) judge_on(backend::cpu{.isa = std::string(isa.name)});
}

} // namespace dynofa_test::calibrate_record_ranges
