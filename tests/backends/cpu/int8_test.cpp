// ctest: heavy
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/isa.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/space/search_space.hpp"
#include "dynofa/testing/conformance.hpp"

#include <doctest/doctest.h>

#include "support/isas.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa_test::backends_cpu_int8 {

using namespace dynofa;
using namespace dynofa::conformance;
using namespace dynofa::backend::cpu_detail;

namespace {

byte_weight_rule rule_of(const std::string& isa) { return backend::cpu{.isa = isa}.byte_rule(); }

/// Suites for instruction sets by their rule of weights, made once: of all sizes with every block in each, or of one
/// network of each size.
class suites {
public:
  explicit suites(std::vector<int> sizes, bool whole = true)
      : sizes_{std::move(sizes)}
      , whole_{whole} {}
  const suite& of(const std::string& isa) {
    auto& made = made_[static_cast<std::size_t>(rule_of(isa))];
    if (made) return *made;
    if (whole_) return *(made = suite::of_every_block(sizes_, rule_of(isa)));
    made.emplace(std::make_shared<const supernet>(random_supernet(every_block(), 3)));
    made->in_bytes = rule_of(isa);
    for (const int size : sizes_) made->add(varied_arch(made->net->space, size, 0));
    return *made;
  }

private:
  std::vector<int> sizes_;
  bool whole_;
  std::optional<suite> made_[2];
};

/// The backend as it would be on a machine with another L2: small ones cut images into bands of rows.
struct with_l2 : backend::cpu {
  caches sizes;
  with_l2(const backend::cpu& b, std::size_t bytes)
      : backend::cpu{b}
      , sizes{32 * 1024, bytes} {}
  bound bind(const std::shared_ptr<const packed>& weights_of, const plan& p, const scale_shift& norms) const {
    return bound{weights_of, p, norms, sizes};
  }
  workspace make_workspace(std::span<const plan> plans) const { return {plans, thread_count(), sizes}; }
};

/// With fused multiply-add every code of a block is the reference's; else a tie may fall to the other side. So it may
/// in any whole network, behind a stem that is summed in another order, and what follows rounds differently then.
options tolerance(const std::string& isa) {
  return {.block_tolerance = isa == "portable" ? 0.05 : 1e-5, .logits_tolerance = 0.2};
}

/// A code as an instruction set's kernels store it, and back.
std::uint8_t stored(const isa& i, int code) { return static_cast<std::uint8_t>(code - i.kernels->stored_offset); }
int code_of(const isa& i, std::uint8_t stored) { return static_cast<std::uint8_t>(stored + i.kernels->stored_offset); }

} // namespace

TEST_CASE("int8 levels follow the integer rule on every instruction set, to the last code") {
#ifdef DYNOFA_EMULATED
  suites whole({64, 8}), small({23});
#else
  suites whole({97, 64, 8}), small({23});
#endif
  for (const std::string& isa : isas())
    for (const int threads : {1, 3}) {
      const backend::cpu b{.isa = isa, .threads = threads, .weights = "int8"};
      CHECK(b.name().find("int8") != std::string::npos);
      for (const std::size_t l2 : {std::size_t{2} << 20, std::size_t{48} << 10}) {
        if (threads > 1 && l2 > (1 << 20)) continue;
        const auto r = judge(with_l2{b, l2}, (threads == 1 ? whole : small).of(isa), tolerance(isa));
        CAPTURE(b.name());
        for (const std::string& finding : r.findings) FAIL_CHECK(finding);
        CHECK(r.runs_batches);
      }
    }
}

TEST_CASE("ProxylessNAS in int8: ReLU6, a first block without residual, no layer between pooling and classifier") {
  space_description d = ofa_proxyless_w1_3::description;
  for (auto& stage : d.stages) stage.width = std::max(8, stage.width / 32 * 8);
  d.mix_width = 104, d.classes = 10;
  const auto net = std::make_shared<const supernet>(random_supernet(d, 8));
  for (const std::string& isa : isas()) {
    const backend::cpu b{.isa = isa, .threads = 2, .weights = "int8"};
    suite s(net);
    s.in_bytes = b.byte_rule();
    s.add(varied_arch(d, 64, 0)), s.add(varied_arch(d, 23, 1)), s.add(varied_arch(d, 64, 2), 3);
    const auto r = judge(with_l2{b, std::size_t{100} << 10}, s, tolerance(isa));
    for (const std::string& finding : r.findings) FAIL_CHECK(finding);
  }
}

TEST_CASE("the front in one and its blocks one by one give the same codes") {
  // 120 pixels: the first three blocks run row by row as one where the cache is small
  suites all({120}, false);
  for (const std::string& isa : isas()) {
    const suite& s = all.of(isa);
    const with_l2 fused{backend::cpu{.isa = isa, .weights = "int8"}, 64 << 10},
        apart{backend::cpu{.isa = isa, .weights = "int8"}, 64 << 20};
    for (const truth& t : s.networks) {
      std::vector<float> answers[2];
      for (const with_l2* b : {&fused, &apart}) {
        const auto packed = b->pack(s.net);
        auto level = b->bind(packed, t.of, t.norms);
        CHECK(level.fused_front == (b == &fused));
        auto space = b->make_workspace(std::span(&t.of, 1));
        auto& logits = answers[b == &apart];
        logits.resize(t.logits().size());
        b->run(level, space, t.images(), logits);
      }
      CHECK(difference(answers[0], answers[1]) < (isa == "portable" ? 0.2 : 1e-5));
    }
  }
}

TEST_CASE("int8 stays near fp32, and is a quarter of its weights") {
  suites all({64});
  const backend::cpu b;
  const suite& s = all.of(b.isa_name());
  const auto floats = b.pack(s.net), bytes = b.pack(s.net, "int8");
  CHECK(double(bytes->bytes()) < 0.36 * double(floats->bytes())); // depthwise kernels and narrow rows are padded
  for (const truth& t : s.networks) {
    auto exact = b.bind(floats, t.of, t.norms), brisk = b.bind(bytes, t.of, t.norms);
    auto space = b.make_workspace(std::span(&t.of, 1)); // one workspace for both formats
    std::vector<float> wanted(t.logits().size()), got(wanted.size());
    b.run(exact, space, t.images(), wanted);
    b.run(brisk, space, t.images(), got);
    const double error = difference(got, wanted);
    CHECK(error > 1e-4); // it really is int8
    CHECK(error < 0.3);
  }
}

TEST_CASE("ranges far too narrow cut off what a block computes, as the rule says") {
  const auto net = std::make_shared<const supernet>(random_supernet(every_block(), 3));
  const plan p = make_plan(net->space, varied_arch(net->space, 23, 1), 1, true);
  for (const std::string& isa : isas()) {
    const backend::cpu b{.isa = isa, .weights = "int8"};
    truth t = truth::in_bytes(net, p, b.byte_rule());
    for (std::size_t i = 0; i < t.norms.ranges.low.size(); i += 3)
      t.norms.ranges.low[i] = i % 2 ? -1e-25f : 0, t.norms.ranges.high[i] = 1e-24f;
    suite s(net);
    s.in_bytes = b.byte_rule();
    s.networks.push_back({net, p, t.norms, backend::reference_int8::by(b.byte_rule())});
    const auto r = judge(b, s, tolerance(isa));
    for (const std::string& finding : r.findings) FAIL_CHECK(finding);
  }
}

TEST_CASE("more threads than pixels leave some of them nothing to do") {
  const auto net = std::make_shared<const supernet>(random_supernet(every_block(), 3));
  const plan p = make_plan(net->space, varied_arch(net->space, 64, 1));
  for (const char* format : {"fp32", "int8"}) {
    const backend::cpu one{.weights = format}, many{.threads = 100, .weights = format};
    const truth t = truth::in_bytes(net, p, one.byte_rule());
    session few(one, net), more(many, net);
    const auto wanted = few.run(few.bind(p, t.norms), t.images()), got = more.run(more.bind(p, t.norms), t.images());
    CHECK(difference(got, wanted) < (std::string(format) == "int8" ? 0.2 : 1e-4));
  }
}

TEST_CASE("an instruction set that adds pairs of products wants weights whose pairs fit") {
  const auto net = std::make_shared<const supernet>(random_supernet(every_block(), 3));
  const plan p = make_plan(net->space, varied_arch(net->space, 64, 1));
  for (const std::string& from : isas())
    for (const std::string& to : isas()) {
      const backend::cpu packs{.isa = from, .weights = "int8"}, binds{.isa = to, .weights = "int8"};
      const truth t = truth::in_bytes(net, p, rule_of(from));
      const auto packed = packs.pack(net);
      if (rule_of(from) == byte_weight_rule::full && rule_of(to) == byte_weight_rule::pairs)
        CHECK_THROWS_AS((void)binds.bind(packed, p, t.norms), error);
      else
        CHECK(binds.bind(packed, p, t.norms).bytes() > 0);
    }
}

TEST_CASE("sums of products are exact integers, with the largest codes and weights there are") {
  constexpr int k = 32, pixels = 13, panels = 4;
  aligned_bytes values(k / lane_block * pixels * lane_block), in(values.size()), weights(panels * k * lane_block),
      sums(panels * lane_block * 4), out(panels * pixels * lane_block * 4), ones(panels * lane_block * 4),
      zeros(panels * lane_block * 4);
  auto* const codes = values.as<std::uint8_t>();
  auto* const w = weights.as<std::int8_t>();
  for (const int seed : {0, 1, 2}) {
    random_stream random{static_cast<std::uint64_t>(seed), "bytes"};
    for (std::size_t i = 0; i < in.size(); ++i)
      codes[i] = seed == 0 ? 255 : static_cast<std::uint8_t>(random.below(256));
    // neighbours of one sign are at most 128 together, as byte_weight_rule::pairs has them
    for (std::size_t i = 0; i < weights.size(); ++i)
      w[i] = static_cast<std::int8_t>(seed == 0   ? i % 2 ? 64 : 64
                                      : seed == 1 ? i % 2 ? -127 : 127
                                                  : static_cast<int>(random.below(129)) - 64);
    std::fill_n(ones.as<float>(), panels * lane_block, 1.f);
    for (int o = 0; o < panels * lane_block; ++o) {
      std::int32_t sum = 0;
      for (int i = 0; i < k; ++i) sum += w[(o / lane_block * k + i / 4 * 4) * lane_block + o % lane_block * 4 + i % 4];
      sums.as<std::int32_t>()[o] = sum;
    }
    for (const isa& i : available_isas()) {
      CAPTURE(i.name);
      for (std::size_t j = 0; j < in.size(); ++j) in.as<std::uint8_t>()[j] = stored(i, codes[j]);
      for (const int zero : {0, 100, 255}) {
        i.kernels->product_to_floats({.product = {.in = in.as<std::uint8_t>(),
                                                  .in_plane = pixels * lane_block,
                                                  .weights = w,
                                                  .panel = k * lane_block,
                                                  .k = k,
                                                  .zero = zero,
                                                  .weight_sums = sums.as<std::int32_t>(),
                                                  .ahead = nullptr,
                                                  .ahead_step = 0},
                                      .out = out.as<float>(),
                                      .out_plane = pixels * lane_block,
                                      .scale = ones.as<float>(),
                                      .shift = zeros.as<float>(),
                                      .residual = nullptr,
                                      .residual_plane = 0,
                                      .act = epilogue::identity},
                                     panels, pixels);
        for (int o = 0; o < panels * lane_block; ++o)
          for (int p = 0; p < pixels; ++p) {
            std::int32_t wanted = 0;
            for (int c = 0; c < k; ++c)
              wanted += (codes[(c / lane_block * pixels + p) * lane_block + c % lane_block] - zero) *
                        w[(o / lane_block * k + c / 4 * 4) * lane_block + o % lane_block * 4 + c % 4];
            REQUIRE(out.as<float>()[(o / lane_block * pixels + p) * lane_block + o % lane_block] == float(wanted));
          }
      }
    }
  }
}

TEST_CASE("floats become codes and codes other codes as the rule says, whatever they are") {
  constexpr int pixels = 7;
  aligned_bytes in(pixels * lane_block * 4), out(pixels * lane_block), factors(lane_block * 4), shifts(lane_block * 4);
  auto* const x = in.as<float>();
  random_stream random{1, "codes"};
  for (int i = 0; i < pixels * lane_block; ++i) x[i] = static_cast<float>(3 * random.normal());
  constexpr float infinite = std::numeric_limits<float>::infinity();
  x[3] = infinite, x[4] = -infinite, x[5] = 1e30f, x[6] = -1e30f, x[7] = 0;
  for (const isa& i : available_isas()) {
    CAPTURE(i.name);
    for (const byte_code by :
         {byte_code::of(-2.5f, 4.f), byte_code::of(0, 6), byte_code::of(-1, 0), byte_code::of(0, 0)}) {
      i.kernels->to_bytes(x, out.as<std::uint8_t>(), pixels, by.inverse, static_cast<float>(by.zero));
      for (int j = 0; j < pixels * lane_block; ++j) {
        if (by.inverse == 0 && std::isinf(x[j])) continue; // infinity times zero
        const int got = code_of(i, out.as<std::uint8_t>()[j]), wanted = by.code(x[j]);
        REQUIRE(std::abs(got - wanted) <= (i.name == "portable" ? 1 : 0));
      }
    }
    auto* const codes = out.as<std::uint8_t>();
    std::vector<std::uint8_t> before(pixels * lane_block);
    for (std::size_t j = 0; j < before.size(); ++j)
      before[j] = static_cast<std::uint8_t>(j * 37), codes[j] = stored(i, before[j]);
    const byte_code from = byte_code::of(-.4f, 3), to = byte_code::of(-.3f, 2);
    std::vector<gated_code> gated;
    for (int c = 0; c < lane_block; ++c) {
      gated.emplace_back(static_cast<float>(c) / 15, from, to);
      factors.as<float>()[c] = gated.back().factor, shifts.as<float>()[c] = gated.back().shift;
    }
    i.kernels->rescale_bytes(codes, factors.as<float>(), shifts.as<float>(), pixels);
    for (int j = 0; j < pixels * lane_block; ++j) {
      const int wanted =
          rounded_code(gated[static_cast<std::size_t>(j % lane_block)].apply(before[static_cast<std::size_t>(j)]));
      REQUIRE(std::abs(code_of(i, codes[j]) - wanted) <= (i.name == "portable" ? 1 : 0));
    }
  }
}

TEST_CASE("an int8 level wants ranges that can be, and says so in one sentence") {
  const auto net = std::make_shared<const supernet>(random_supernet(every_block(), 3));
  const plan p = make_plan(net->space, varied_arch(net->space, 64, 1));
  const backend::cpu b{.weights = "int8"};
  const truth good = truth::in_bytes(net, p, b.byte_rule());
  const auto packed = b.pack(net);
  const auto refused = [&](auto change) {
    scale_shift norms = good.norms;
    change(norms.ranges);
    try {
      (void)b.bind(packed, p, norms);
    } catch (const error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(refused([](activation_ranges&) {}).empty());
  CHECK(refused([](activation_ranges& r) { r = {}; }).find("activation ranges, as record_ranges makes them") !=
        std::string::npos);
  CHECK(refused([](activation_ranges& r) { r.low.pop_back(); }).find("lows and") != std::string::npos);
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), most = std::numeric_limits<float>::max();
  for (const auto& range :
       {std::pair{nan, 1.f}, {0.f, nan}, {1.f, 2.f}, {-2.f, -1.f}, {-most, most}, {0.f, INFINITY}}) {
    const std::string said = refused([&](activation_ranges& r) { r.low[5] = range.first, r.high[5] = range.second; });
    CHECK(said.find("activation range 5: expected low ≤ 0 ≤ high and a finite width") != std::string::npos);
  }
  // Widths that are none, or far too small: what the block really computes is cut off.
  CHECK(refused([](activation_ranges& r) { r.low[5] = r.high[5] = 0; }).empty());
  CHECK_THROWS_AS((void)b.bind(b.pack(support::odd_resnet()),
                               make_plan(support::odd_resnet()->space, smallest(support::odd_resnet()->space)),
                               norms_of(*support::odd_resnet(), make_plan(support::odd_resnet()->space,
                                                                          smallest(support::odd_resnet()->space)))),
                  error);
}

} // namespace dynofa_test::backends_cpu_int8
