#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/isa.hpp"
#include "dynofa/backend/reference.hpp"
#include "dynofa/core/half.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

// A NaN stays NaN, whatever its bits, through every kernel and activation of every instruction set and through the
// reference; and only where it belongs.

namespace dynofa_test::backends_cpu_nan {

using namespace dynofa;
using namespace dynofa::backend::cpu_detail;

namespace {

/// Quiet ones: the default of x86 and of NEON, and the one of CUDA, which rounding to bf16 by integers would wrap.
constexpr std::uint32_t patterns[] = {0xFFC00000u, 0x7FC00000u, 0x7FFFFFFFu, 0xFFFFFFFFu};
constexpr epilogue all_acts[] = {epilogue::identity, epilogue::relu, epilogue::relu6, epilogue::h_swish,
                                 epilogue::h_sigmoid};

struct alignas(64) block_of_floats {
  float values[16 * lane_block] = {};
  float* data() { return values; }
};
float read(bfloat16 v) { return bfloat16_to_float(static_cast<std::uint16_t>(v)); }
float read(float16 v) { return half_to_float(static_cast<std::uint16_t>(v)); }

/// Which of `count` values are NaN, as a word of '.' and 'N'.
template <class Value>
std::string nans(const Value* values, int count) {
  std::string s;
  for (int i = 0; i < count; ++i) {
    float v;
    if constexpr (sizeof(Value) == 4)
      v = values[i];
    else
      v = read(values[i]);
    s += std::isnan(v) ? 'N' : '.';
  }
  return s;
}

} // namespace

TEST_CASE("the reference's activations keep NaN") {
  for (activation act :
       {activation::identity, activation::relu, activation::relu6, activation::h_swish, activation::h_sigmoid})
    for (std::uint32_t bits : patterns) CHECK(std::isnan(backend::plain::activate(act, std::bit_cast<float>(bits))));
}

TEST_CASE("every kernel with an activation keeps NaN, and where it stands") {
  for (const isa& i : available_isas())
    for (std::uint32_t bits : patterns)
      for (epilogue act : all_acts) {
        const std::string name(i.name);
        CAPTURE(name);
        CAPTURE(bits);
        CAPTURE(int(act));
        const float nan = std::bit_cast<float>(bits);
        const kernel_table& k = *i.kernels;
        block_of_floats in, weights, ones, zeros, out, sums;
        std::fill_n(ones.data(), lane_block, 1.f);
        std::fill_n(weights.data(), 16 * lane_block, 0.5f);
        const std::string third = "...N............", everywhere(16, 'N'), nowhere(16, '.');

        in.values[lane_block + 3] = nan;  // of pixel 1
        if (act != epilogue::h_sigmoid) { // which only gates have
          k.normalise({in.data(), out.data(), 3, ones.data(), zeros.data(), act, nullptr, nullptr, nullptr});
          CHECK(nans(out.data(), 48) == nowhere + third + nowhere);

          const pointwise_args p{in.data(),
                                 4 * lane_block,
                                 weights.data(),
                                 4 * lane_block,
                                 4,
                                 out.data(),
                                 4 * lane_block,
                                 ones.data(),
                                 zeros.data(),
                                 nullptr,
                                 0,
                                 nullptr,
                                 0,
                                 act};
          k.pointwise(p, 1, 3);
          CHECK(nans(out.data(), 48) == nowhere + everywhere + nowhere);

          // a row of three pixels between paddings
          for (const bool to_bf16 : {false, true}) {
            const std::int32_t row_offset[] = {0};
            block_of_floats padded;
            padded.values[2 * lane_block + 3] = nan;
            k.depthwise[0][0]({padded.data(), row_offset, 1, out.data(), 3, weights.data(), ones.data(), zeros.data(),
                               sums.data(), 0, 1, act, to_bf16});
            const auto seen = to_bf16 ? nans(reinterpret_cast<const bfloat16*>(out.data()), 48) : nans(out.data(), 48);
            CHECK(seen == third + third + third);
            CHECK(nans(sums.data(), 16) == third);
          }
        }
        std::fill_n(in.data(), 16, 0.25f);
        in.values[2] = nan;
        k.matvec({in.data(), 4, weights.data(), 4 * lane_block, nullptr, out.data(), 1, act});
        CHECK(nans(out.data(), 16) == everywhere);
        std::fill_n(reinterpret_cast<std::uint16_t*>(zeros.data() + 64), 64, std::uint16_t{0x3800});
        k.matvec_half({in.data(), 4, zeros.data() + 64, 4 * lane_block, nullptr, out.data(), 1, act});
        CHECK(nans(out.data(), 16) == everywhere);
      }
}

TEST_CASE("every kernel in half precision keeps NaN, and where it stands, and gives infinity beyond its range") {
  for (const isa& i : available_isas())
    for (std::uint32_t bits : patterns)
      for (epilogue act : {epilogue::identity, epilogue::relu, epilogue::relu6, epilogue::h_swish}) {
        const kernel_table& k = *i.kernels;
        if (!k.computes_in_half()) continue;
        CAPTURE(bits);
        CAPTURE(int(act));
        const std::string third = "...N............", everywhere(16, 'N'), nowhere(16, '.');
        block_of_floats floats, ones, zeros, taps, mean;
        std::fill_n(ones.data(), lane_block, 1.f);
        std::fill_n(taps.data(), 16 * lane_block, 0.5f);
        alignas(64) float16 in[9 * 16 * lane_block] = {}, weights[132 * lane_block], out[4 * lane_block] = {};
        std::fill_n(weights, 132 * lane_block, float16{0x3800});
        floats.values[lane_block + 3] = std::bit_cast<float>(bits);
        k.narrow_to_half(floats.data(), in, 3);
        CHECK(nans(in, 48) == nowhere + third + nowhere);
        for (const int depth : {16, 128, 132}) { // one run of half sums, four, and two groups
          const pointwise_of<float16, float16> p{
              in,           16 * lane_block, weights, 132 * lane_block, depth, out, 4 * lane_block, ones.data(),
              zeros.data(), nullptr,         0,       nullptr,          0,     act};
          k.pointwise_in_half(p, 1, 3);
          CHECK(nans(out, 48) == nowhere + everywhere + nowhere);
        }
        k.mean_of_halves(in, 3, mean.data());
        CHECK(nans(mean.data(), 16) == third);

        // a row of three pixels between paddings
        const std::int32_t row_offset[] = {0};
        alignas(64) float16 padded[5 * lane_block] = {};
        padded[2 * lane_block + 3] = in[lane_block + 3];
        block_of_floats sums;
        k.depthwise_in_half[0][0](
            {padded, row_offset, 1, out, 3, taps.data(), ones.data(), zeros.data(), sums.data(), 0, 1, act});
        CHECK(nans(out, 48) == third + third + third);
        CHECK(nans(sums.data(), 16) == third);

        floats.values[lane_block + 3] = 7e4f; // beyond 65504
        k.narrow_to_half(floats.data(), in, 3);
        CHECK(read(in[lane_block + 3]) == INFINITY);
        if (act == epilogue::relu6) continue; // which ends at 6
        const pointwise_of<float16, float16> p{
            in,           16 * lane_block, weights, 132 * lane_block, 4, out, 4 * lane_block, ones.data(),
            zeros.data(), nullptr,         0,       nullptr,          0, act};
        k.pointwise_in_half(p, 1, 3);
        CHECK(read(out[lane_block]) == INFINITY);
      }
}

TEST_CASE("roundings to bf16 keep NaN") {
  for (const isa& i : available_isas())
    for (std::uint32_t bits : patterns) {
      const std::string name(i.name);
      CAPTURE(name);
      CAPTURE(bits);
      block_of_floats in, gates;
      in.values[3] = std::bit_cast<float>(bits);
      alignas(64) bfloat16 out[4 * lane_block] = {}, pairs[4 * lane_block] = {};
      i.kernels->narrow(in.data(), out, 1);
      CHECK(nans(out, 16) == "...N............");
      gates.values[0] = 1, gates.values[1] = std::bit_cast<float>(bits);
      i.kernels->scale_pairs_bf16(pairs, gates.data(), out, 2);
      CHECK(nans(out, 32) == ".N.N.N.N.N.N.N.N.N.N.N.N.N.N.N.N");
    }
}

TEST_CASE("a NaN anywhere in an image shows in its logits, and in no other image's") {
  const auto net = std::make_shared<const supernet>(random_supernet(conformance::every_block(), 21));
  const plan p = make_plan(net->space, conformance::varied_arch(net->space, 23, 1), 1, true);
  const scale_shift norms = conformance::norms_of(*net, p);
  auto image = conformance::normals(p.image_values(), 22);
  image[700] = std::bit_cast<float>(0x7FFFFFFFu);
  const std::vector<float> healthy = conformance::normals(p.image_values(), 22);
  const auto logits_of = [&](const auto& b, std::span<const float> from) {
    auto level = b.bind(b.pack(net), p, norms);
    auto space = b.make_workspace(std::span(&p, 1));
    std::vector<float> logits(10);
    b.run(level, space, image, logits);
    b.run(level, space, from, logits); // nothing is left of the image before
    return nans(logits.data(), 10);
  };
  CHECK(logits_of(backend::reference{}, image) == "NNNNNNNNNN");
  for (const isa& i : available_isas())
    for (const char* weights : {"fp32", "fp16", "bf16"})
      for (int threads : {1, 2}) {
        const backend::cpu b{.isa = std::string(i.name), .threads = threads, .weights = weights};
        CAPTURE(b.name());
        CHECK(logits_of(b, image) == "NNNNNNNNNN");
        CHECK(logits_of(b, healthy) == "..........");
      }
}

} // namespace dynofa_test::backends_cpu_nan
