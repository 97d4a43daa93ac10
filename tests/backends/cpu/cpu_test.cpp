// ctest: heavy
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/isa.hpp"
#include "dynofa/model/round_to_half.hpp"

#include <doctest/doctest.h>

#include "backends/cpu/networks.hpp"
#include <algorithm>
#include <initializer_list>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace dynofa_test::backends_cpu_cpu {

using namespace dynofa;
using namespace cpu_tests;

static_assert(inference_backend<backend::cpu>);

namespace {

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const auto& i : backend::cpu_detail::available_isas()) names.emplace_back(i.name);
  return names;
}

using block_case = std::tuple<int, int, activation, bool>;

/// A network and what the reference makes of it: judged once, however many backends are compared with it.
struct judged {
  supernet_ptr net;
  plan of;
  scale_shift norms;
  std::vector<std::vector<float>> tensors; ///< the image, then every block's output

  judged(supernet_ptr n, const plan& p)
      : net{std::move(n)}
      , of{p}
      , norms{norms_of(*net, p)} {
    const backend::reference judge;
    auto level = judge.bind(judge.pack(net), p, norms);
    auto space = judge.make_workspace(std::span(&p, 1));
    const auto batch = static_cast<std::size_t>(p.batch);
    tensors.push_back(normals(batch * static_cast<std::size_t>(p.blocks[0].in_values()), 7));
    for (std::size_t i = 0; i < p.blocks.size(); ++i) {
      std::vector<float> out(batch * static_cast<std::size_t>(p.blocks[i].out_values()));
      judge.run_block(level, space, i, tensors.back(), out);
      tensors.push_back(std::move(out));
    }
  }

  /// Architectures that start with each kernel size, at these resolutions.
  static std::vector<judged> of_every_block(const supernet_ptr& net, std::initializer_list<int> resolutions) {
    std::vector<judged> all;
    for (std::size_t first : {0u, 1u, 2u})
      for (int r : resolutions) all.emplace_back(net, make_plan(net->space, arch_of(net->space, r, first), 1, true));
    return all;
  }
};

/// Every block on the reference's input of that block, then the whole network. Returns the worst difference.
double compare(const backend::cpu& b, const judged& truth, std::set<block_case>* seen = nullptr,
               backend::cpu_detail::caches caches = backend::cpu_detail::query_caches(), double tolerance = 2e-5,
               double logits_tolerance = 2e-4) {
  const plan& p = truth.of;
  const backend::cpu_detail::level level{b.pack(truth.net), p, truth.norms, caches};
  backend::cpu_detail::arena space{std::span(&p, 1), b.thread_count(), caches};

  double worst = 0;
  for (std::size_t i = 0; i < p.blocks.size(); ++i) {
    std::vector<float> got(truth.tensors[i + 1].size());
    b.run_block(level, space, i, truth.tensors[i], got);
    const double d = difference(got, truth.tensors[i + 1]);
    INFO("block " << i << " of " << text(p.arch) << " kernel " << int(p.blocks[i].kernel));
    CHECK(d < tolerance);
    worst = std::max(worst, d);
    if (seen && p.blocks[i].kind == block_kind::inverted_residual)
      seen->insert({p.blocks[i].kernel, p.blocks[i].stride, p.blocks[i].act, p.blocks[i].se_channels > 0});
  }
  const std::vector<float>& wanted = truth.tensors.back();
  std::vector<float> logits(wanted.size());
  b.run(level, space, truth.tensors.front(), logits);
  CHECK(difference(logits, wanted) < logits_tolerance); // errors of all blocks together
  b.run(level, space, truth.tensors.front(), logits);   // and nothing is left over in the workspace
  CHECK(difference(logits, wanted) < logits_tolerance);
  return worst;
}

} // namespace

TEST_CASE("every block on every instruction set agrees with the reference") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 3));
  const auto networks = judged::of_every_block(net, {97, 64, 23, 8}); // odd and even sizes, down to a single pixel
  for (const std::string& isa : isas())
    for (int threads : {1, 2, 4}) {
      CAPTURE(isa);
      CAPTURE(threads);
      const backend::cpu b{.isa = isa, .threads = threads};
      std::set<block_case> seen;
      for (const judged& n : networks)
        if (threads == 1 || n.of.arch.r != 97) compare(b, n, &seen);
      for (int kernel : {3, 5, 7})
        for (int stride : {1, 2})
          for (activation act : {activation::relu, activation::h_swish})
            for (bool se : {false, true}) CHECK(seen.count({kernel, stride, act, se}) == 1);
    }
}

TEST_CASE("bands of rows give what whole images give") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(round_to_half(random_supernet(d, 4))); // for both the same
  const auto networks = judged::of_every_block(net, {59, 8});
  for (const std::string& isa : isas())
    for (int threads : {1, 2, 3})
      for (std::size_t l2 : {std::size_t(1), std::size_t(40) << 10, std::size_t(150) << 10}) {
        CAPTURE(isa);
        CAPTURE(threads);
        CAPTURE(l2);
        for (const char* weights : {"fp32", "fp16"}) {
          if (threads == 3 && std::string(weights) == "fp16") continue;
          CAPTURE(weights);
          const backend::cpu b{.isa = isa, .threads = threads, .weights = weights};
          for (const judged& n : networks) compare(b, n, nullptr, {32 * 1024, l2});
        }
      }
}

TEST_CASE("the largest network of once-for-all, and a batch") {
  const space_description& d = ofa_w1_2::description;
  const auto net = std::make_shared<const supernet>(random_supernet(d, 5));
  arch largest = arch_of(d, 160, 0);
  for (auto& k : largest.ks) k = 7;
  for (auto& e : largest.e) e = 6;
  const judged truth{net, make_plan(d, largest, 2)};
  for (const std::string& isa : isas()) {
    CAPTURE(isa);
    const backend::cpu b{.isa = isa, .threads = 2};
    MESSAGE(b.name() << ": worst difference of a block " << compare(b, truth) << " rms");
  }
}

TEST_CASE("weights in half precision stay within their rounding") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 6));
  const plan p = make_plan(d, arch_of(d, 64, 1));
  const scale_shift norms = norms_of(*net, p);
  const std::vector<float> image = normals(static_cast<std::size_t>(p.blocks[0].in_values()), 8);
  for (const std::string& isa : isas()) {
    const backend::cpu exact{.isa = isa}, half{.isa = isa, .weights = "fp16"};
    std::vector<float> wanted(10), got(10);
    for (const auto* b : {&exact, &half}) {
      const auto level = b->bind(b->pack(net), p, norms);
      auto space = b->make_workspace(std::span(&p, 1));
      b->run(level, space, image, b == &exact ? wanted : got);
    }
    const double d16 = difference(got, wanted);
    CAPTURE(isa);
    CHECK(d16 < 5e-3); // 2^-11 per weight, averaged over long sums
    CHECK(d16 > 0);    // it really is another storage
    CHECK(half.pack(net)->bytes() < exact.pack(net)->bytes());
  }
}

TEST_CASE("lossless weights and a part of the super-network give the same answers to the bit") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(round_to_half(random_supernet(d, 16)));
  std::vector<plan> plans;
  for (std::size_t first : {0u, 1u, 2u}) {
    arch a = arch_of(d, 64, first);
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
  const space_description d = every_block();
  const auto networks = judged::of_every_block(std::make_shared<const supernet>(random_supernet(d, 13)), {64, 23});
  for (const std::string& isa : isas())
    for (std::size_t l2 : {std::size_t(40) << 10, std::size_t(1) << 20}) {
      const int threads = l2 > (100 << 10) ? 1 : 3;
      CAPTURE(isa);
      CAPTURE(threads);
      CAPTURE(l2);
      const backend::cpu b{.isa = isa, .threads = threads, .weights = "bf16"};
      CHECK(b.name().find("bf16") != std::string::npos);
      double worst = 0;
      for (const judged& n : networks)
        worst = std::max(worst, compare(b, n, nullptr, {32 * 1024, l2}, tolerance, 10 * tolerance));
      CHECK(worst > 0x1p-10); // it really is bf16
    }
}

TEST_CASE("levels of both formats share a backend and a workspace") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 14));
  const plan p = make_plan(d, arch_of(d, 64, 1));
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
  CHECK_THROWS_WITH_AS((void)b.pack(net, "bf8"), "cpu backend weights: expected fp32, fp16, lossless or bf16, got bf8",
                       error);
}

TEST_CASE("what it costs: packed weights and one more level") {
  for (const space_description& d : {ofa_w1_0::description, ofa_w1_2::description}) {
    const auto net = std::make_shared<const supernet>(random_supernet(d, 1));
    const backend::cpu b;
    const auto packed = b.pack(net);
    arch a = arch_of(d, d.resolutions.front(), 0);
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
                       "cpu backend weights: expected fp32, fp16, lossless or bf16, got int3", error);
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 1));
  const backend::cpu b;
  const auto packed = b.pack(net);
  const plan p = make_plan(d, arch_of(d, 64, 0));
  CHECK_THROWS_AS(b.bind(packed, p, scale_shift{}), error);
  const plan other = make_plan(ofa_w1_2::description, arch_of(ofa_w1_2::description, 160, 0));
  CHECK_THROWS_AS(b.bind(packed, other, scale_shift{}), error);
}

TEST_CASE("names, and an executor of the caller") {
  CHECK(backend::cpu{.isa = "portable"}.name() == "cpu portable, 1 thread");
  CHECK(backend::cpu{.isa = "portable", .threads = 2}.name() == "cpu portable, 2 threads");
  int calls = 0;
  const backend::executor backwards{&calls, [](void* self, int tasks, void (*task)(void*, int), void* context) {
                                      ++*static_cast<int*>(self);
                                      for (int i = tasks; i-- > 0;) task(context, i);
                                    }};
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 9));
  compare(backend::cpu{.threads = 3, .threads_of = backwards}, {net, make_plan(d, arch_of(d, 64, 0))});
  CHECK(calls > 0);
}

} // namespace dynofa_test::backends_cpu_cpu
