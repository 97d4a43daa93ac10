// ctest: heavy
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/isa.hpp"
#include "dynofa/model/channel_plan.hpp"
#include "dynofa/model/round_to_half.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/space/search_space.hpp"
#include "dynofa/testing/conformance.hpp"

#include <doctest/doctest.h>

#include "support/isas.hpp"
#include "support/slimmable_networks.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dynofa_test::backends_cpu_cpu {

using namespace dynofa;
using namespace dynofa::conformance;

static_assert(inference_backend<backend::cpu>);

namespace {

/// What judges `b`, as checks of this test.
template <class Backend>
conformance::report check(const Backend& b, const suite& s, const options& o = {}) {
  conformance::report r = judge(b, s, o);
  CAPTURE(b.name());
  for (const std::string& finding : r.findings) FAIL_CHECK(finding);
  CHECK(r.runs_batches);
  return r;
}

/// What a number format is held to whose weights are halves already.
options options_for(const backend::cpu& b) {
  // Computed in half precision. The worst error met of a block is 0.014, in a value of many times the root mean square:
  // long sums are off by 0.0009 in the mean (isa_neon_half.hpp), and a block has three of them one behind the other.
  if (b.weights == "fp16" && computes_in_half(b.isa)) return {.block_tolerance = 0.03, .logits_tolerance = 0.02};
  return {};
}

/// The backend as it would be on a machine with another L2: small ones cut images into bands of rows.
struct with_l2 : backend::cpu {
  backend::cpu_detail::caches caches;
  with_l2(const backend::cpu& b, std::size_t bytes)
      : backend::cpu{b}
      , caches{32 * 1024, bytes} {}
  bound bind(const std::shared_ptr<const packed>& weights_of, const plan& p, const scale_shift& norms) const {
    return bound{weights_of, p, norms, caches};
  }
  workspace make_workspace(std::span<const plan> plans) const { return {plans, thread_count(), caches}; }
};

} // namespace

TEST_CASE("every block on every instruction set agrees with the reference") {
  const suite whole = suite::of_every_block();
  suite small = whole;
  std::erase_if(small.networks, [](const truth& t) { return t.of.arch.r == 97; });
  for (const std::string& isa : isas())
    for (int threads : {1, 2, 4}) check(backend::cpu{.isa = isa, .threads = threads}, threads == 1 ? whole : small);
}

TEST_CASE("the blocks of ResNet-50D on every instruction set agree with the reference") {
  const suite bottlenecks = suite::of_bottlenecks();
  for (const std::string& isa : isas())
    for (int threads : {1, 2}) check(backend::cpu{.isa = isa, .threads = threads}, bottlenecks);
}

TEST_CASE("bands of rows give what whole images give") {
  suite s(
      std::make_shared<const supernet>(round_to_half(random_supernet(every_block(), 4)))); // for both formats the same
  s.add_varied(std::array{59, 8});
  for (const std::string& isa : isas())
    for (int threads : {1, 2, 3})
      for (std::size_t l2 : {std::size_t(1), std::size_t(40) << 10, std::size_t(150) << 10})
        for (const char* weights : {"fp32", "fp16"}) {
          if (threads > unless_emulated(2, 1) && std::string(weights) == "fp16") continue;
          if (unless_emulated(false, l2 == std::size_t(40) << 10 || threads != (l2 == 1 ? 1 : 3))) continue;
          CAPTURE(l2);
          const backend::cpu b{.isa = isa, .threads = threads, .weights = weights};
          check(with_l2(b, l2), s, options_for(b));
        }
}

TEST_CASE("ProxylessNAS: ReLU6, a first block without residual, no layer between pooling and classifier") {
  space_description d = ofa_proxyless_w1_3::description;
  for (auto& stage : d.stages) stage.width = std::max(8, stage.width / 32 * 8);
  d.mix_width = 104, d.classes = 10;
  suite s(std::make_shared<const supernet>(round_to_half(random_supernet(d, 8))));
  s.add_varied(std::array{64, 23});
  s.add(varied_arch(d, 64, 1), 3);
  for (const std::string& isa : isas())
    for (int threads : {1, 2})
      for (const char* weights : {"fp32", "fp16"})
        if (unless_emulated(true, (threads == 1) == (std::string(weights) == "fp32"))) {
          const backend::cpu b{.isa = isa, .threads = threads, .weights = weights};
          check(with_l2(b, std::size_t(100) << 10), s, options_for(b));
        }
}

TEST_CASE("ResNet: widths, ratios and depths at random, odd sizes and a batch") {
  suite s(support::tiny_resnet(9));
  random_stream random(9, "resnet on the cpu");
  for (const int r : {64, 43, 23, 8}) {
    arch a = random_arch(s.net->space, random);
    a.r = static_cast<std::uint16_t>(r);
    s.add(a, r == 23 ? 3 : 1);
  }
  for (const std::string& isa : isas())
    for (int threads : {1, 2}) {
      check(backend::cpu{.isa = isa, .threads = threads}, s);
      for (const std::size_t kib : {1, 200, 400, 600}) // bands of other heights, the last of one row among them
        if (unless_emulated(true, (threads == 1) == (kib == 1)))
          check(with_l2({.isa = isa, .threads = threads}, kib << 10), s);
    }
}

TEST_CASE("slimmable networks: one width for all, and channels that a list describes") {
  const auto all = support::slimmable_networks();
  suite lists(all.front().first), widths(all.back().first);
  for (const auto& one : all) (one.first == lists.net ? lists : widths).networks.emplace_back(one.first, one.second);
  lists.add(largest(lists.net->space)); // beside which packed weights are small
  for (const std::string& isa : isas())
    for (const suite* s : {&lists, &widths}) check(backend::cpu{.isa = isa, .threads = 2}, *s);
}

TEST_CASE("the largest network of once-for-all, and a batch") {
  suite s(std::make_shared<const supernet>(random_supernet(ofa_w1_2::description, 5)));
  arch a = largest(s.net->space);
  a.r = unless_emulated<std::uint16_t>(160, 96);
  s.add(a, 2);
  for (const std::string& isa : isas()) check(backend::cpu{.isa = isa, .threads = 2}, s);
}

TEST_CASE("weights in half precision stay within their rounding") {
  suite s(std::make_shared<const supernet>(random_supernet(every_block(), 6)));
  s.add_varied(std::array{64});
  for (const std::string& isa : isas()) {
    const backend::cpu half{.isa = isa, .weights = "fp16"};
    CHECK(half.pack(s.net)->bytes() < backend::cpu{.isa = isa}.pack(s.net)->bytes());
    if (computes_in_half(isa)) continue;
    CHECK(half.name().ends_with(" fp16 weights, 1 thread"));
    // 2^-11 per weight, averaged over long sums; fp32 would be a hundred times closer
    CHECK(check(half, s, {.block_tolerance = 3e-3, .logits_tolerance = 5e-3}).worst_block > 1e-4);
  }
}

TEST_CASE("levels computed in half precision on every instruction set stay within its rounding") {
  suite s(std::make_shared<const supernet>(random_supernet(every_block(), 6)));
  s.add_varied(std::array{64, 23});
  s.add(varied_arch(s.net->space, 64, 2), 3);
  for (const std::string& isa : isas())
    for (int threads : {1, 2, 4}) {
      if (!computes_in_half(isa) || unless_emulated(false, threads > 1)) continue;
      const backend::cpu b{.isa = isa, .threads = threads, .weights = "fp16"};
      CHECK(b.name().find(" fp16, ") != std::string::npos);
      const auto r = check(b, s, options_for(b));
      CHECK(r.worst_block > 0x1p-11); // it really is half precision
      MESSAGE(b.name() << ": worst block " << r.worst_block << ", worst logits " << r.worst_logits);
    }
}

TEST_CASE("networks with dense convolutions multiply floats by half-precision weights on every instruction set") {
  suite s(std::make_shared<const supernet>(round_to_half(*support::tiny_resnet(9))));
  arch a = largest(s.net->space);
  a.r = 43;
  s.add(a);
  for (const std::string& isa : isas()) check(backend::cpu{.isa = isa, .weights = "fp16"}, s);
}

TEST_CASE("a map of a level computed in half precision is one of halves") {
  const auto net = std::make_shared<const supernet>(round_to_half(random_supernet(every_block(), 18)));
  const std::size_t named[] = {3};
  const plan p = with_maps(make_plan(net->space, varied_arch(net->space, 64, 1)), named);
  const scale_shift norms = norms_of(*net, p);
  const std::vector<float> image = normals(p.image_values(), 19);
  for (const std::string& isa : isas()) {
    const backend::cpu b{.isa = isa};
    auto space = b.make_workspace(std::span(&p, 1));
    std::vector<float> logits(10), maps[3];
    const char* const formats[] = {"fp32", "lossless", "fp16"};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto level = b.bind(b.pack(net, formats[i]), p, norms);
      b.run(level, space, image, logits);
      const feature_map map = b.map(level, space, 0, 0);
      const bool halves = i == 2 && computes_in_half(isa);
      CHECK(map.type == (halves ? feature_map::element::f16 : feature_map::element::f32));
      maps[i].resize(map.values());
      map.copy(maps[i]);
    }
    CHECK(maps[1] == maps[0]);
    CHECK(difference(maps[2], maps[0]) < (computes_in_half(isa) ? 0.02 : 1e-6));
  }
}

TEST_CASE("lossless weights and a part of the super-network give the same answers to the bit") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(round_to_half(random_supernet(d, 16)));
  std::vector<plan> plans;
  for (std::size_t first : {0u, 1u, 2u}) {
    arch a = varied_arch(d, 64, first);
    a.d[first] = a.d[first + 3] = 1;
    plans.push_back(make_plan(d, a));
  }
  const std::vector<float> image = normals(static_cast<std::size_t>(plans[0].blocks[0].in_values()), 17);
  for (const std::string& isa : isas())
    for (const char* weights : {"fp32", "lossless", "bf16"}) {
      CAPTURE(isa);
      CAPTURE(weights);
      const backend::cpu exact{.isa = isa, .weights = std::string(weights) == "lossless" ? "fp32" : weights};
      const backend::cpu b{.isa = isa, .weights = weights};
      const auto whole = exact.pack(net), part = b.pack(net, std::span<const plan>(plans).first(2));
      CHECK(part->bytes() < whole->bytes());
      auto space = b.make_workspace(plans);
      for (const plan& p : std::span<const plan>(plans).first(2)) {
        const auto truth = exact.bind(whole, p, norms_of(*net, p)), level = b.bind(part, p, norms_of(*net, p));
        std::vector<float> wanted(10), got(10);
        exact.run(truth, space, image, wanted);
        b.run(level, space, image, got);
        CHECK(got == wanted);
      }
      CHECK_THROWS_WITH_AS(b.bind(part, plans[2], norms_of(*net, plans[2])),
                           doctest::Contains("cpu backend bind: expected a plan that the super-network was packed for, "
                                             "got one that reads more of block "),
                           error);
    }
  CHECK(backend::cpu{.isa = "portable", .weights = "lossless"}.name() == "cpu portable lossless weights, 1 thread");
}

TEST_CASE("bf16 levels on every instruction set stay within the roundings of the format") {
  // A value passes at most eight roundings to 8 bits (2^-8 relative at most) from a block's input to its output: input,
  // both weights, gate times weight, depthwise output, residual, output, and the reference's own input stays exact.
  // Their errors are independent: of some thousand outputs the worst is 4 to 5 standard deviations out.
  const double tolerance = 5 * std::sqrt(8.) * 0x1p-8;
  suite s(std::make_shared<const supernet>(random_supernet(every_block(), 13)));
  s.add_varied(std::array{64, 23});
  for (const std::string& isa : isas())
    for (std::size_t l2 : {std::size_t(40) << 10, std::size_t(1) << 20}) {
      CAPTURE(l2);
      const backend::cpu b{.isa = isa, .threads = l2 > (100 << 10) ? 1 : 3, .weights = "bf16"};
      CHECK(b.name().find("bf16") != std::string::npos);
      const auto r = check(with_l2(b, l2), s, {.block_tolerance = tolerance, .logits_tolerance = 10 * tolerance});
      CHECK(r.worst_block > 0x1p-10); // it really is bf16
    }
}

TEST_CASE("levels of both formats share a backend and a workspace") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 14));
  const plan p = make_plan(d, varied_arch(d, 64, 1));
  const scale_shift norms = norms_of(*net, p);
  const std::vector<float> image = normals(static_cast<std::size_t>(p.blocks[0].in_values()), 15);
  const backend::cpu b{.threads = 2};
  auto space = b.make_workspace(std::span(&p, 1));
  const auto exact = b.bind(b.pack(net), p, norms), half = b.bind(b.pack(net, "bf16"), p, norms);
  std::vector<float> first(10), second(10), other(10);
  b.run(exact, space, image, first);
  b.run(half, space, image, other);
  b.run(exact, space, image, second);
  CHECK(first == second);
  CHECK(first != other);
  CHECK_THROWS_WITH_AS((void)b.pack(net, "bf8"),
                       "cpu backend weights: expected fp32, fp16, lossless, bf16 or int8, got bf8", error);
}

TEST_CASE("what it costs: packed weights and one more level") {
  for (const space_description& d : {ofa_w1_0::description, ofa_w1_2::description}) {
    const auto net = std::make_shared<const supernet>(random_supernet(d, 1));
    const backend::cpu b;
    const auto packed = b.pack(net);
    arch a = varied_arch(d, d.resolutions.front(), 0);
    for (auto& k : a.ks) k = 7;
    for (auto& e : a.e) e = 6;
    const plan p = make_plan(d, a);
    CHECK(double(packed->bytes()) <= 1.45 * double(p.weight_bytes()));
    const auto level = b.bind(packed, p, norms_of(*net, p));
    CHECK(level.bytes() <= 8 * static_cast<std::size_t>(p.norm_values()) + 16 * 1024);
  }
}

TEST_CASE("wrong requests are sentences") {
  CHECK_THROWS_WITH_AS((void)backend::cpu{.isa = "mmx"}.threads, doctest::Contains("cpu backend isa: expected"), error);
  CHECK_THROWS_WITH_AS((void)backend::cpu{.threads = 0}.threads, "cpu backend threads: expected 1 … 256, got 0", error);
  CHECK_THROWS_WITH_AS((void)backend::cpu{.weights = "int3"}.threads,
                       "cpu backend weights: expected fp32, fp16, lossless, bf16 or int8, got int3", error);
}

TEST_CASE("names, and an executor of the caller") {
  CHECK(backend::cpu{.isa = "portable"}.name() == "cpu portable, 1 thread");
  CHECK(backend::cpu{.isa = "portable", .threads = 2}.name() == "cpu portable, 2 threads");
  int calls = 0;
  const backend::executor backwards{&calls, [](void* self, int tasks, void (*task)(void*, int), void* context) {
                                      ++*static_cast<int*>(self);
                                      for (int i = tasks; i-- > 0;) task(context, i);
                                    }};
  check(backend::cpu{.threads = 3, .threads_of = backwards}, suite::of_every_block(std::array{23}));
  CHECK(calls > 0);
}

} // namespace dynofa_test::backends_cpu_cpu
