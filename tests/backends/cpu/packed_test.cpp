#include "dynofa/backend/cpu/packed.hpp"
#include "dynofa/model/round_to_half.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace dynofa_test::backends_cpu_packed {

using namespace dynofa;
using namespace dynofa::conformance;
using backend::cpu_detail::lane_block;
using backend::cpu_detail::packed_supernet;

namespace {
std::size_t z(int i) { return static_cast<std::size_t>(i); }

/// Value i of output o, as the format stores it.
float value_at(const packed_supernet& p, std::size_t array, bool halves, bool pairs, int o, int i) {
  const packed_supernet::panels& panels = p.arrays[array];
  const std::size_t panel = z(o / lane_block) * panels.step;
  const std::size_t at = panel + z(i * lane_block + o % lane_block);
  const std::size_t in_pairs =
      panel + z((i / 2 * lane_block + o % lane_block) * 2 + i % 2); // bf16: two inputs side by side
  if (pairs) return bfloat16_to_float(p.data.as<const std::uint16_t>(panels.start)[in_pairs]);
  if (halves) return half_to_float(p.data.as<const std::uint16_t>(panels.start)[at]);
  return p.floats(panels)[at];
}
/// What value i of row o of the super-network's array becomes.
float wanted(const supernet& net, std::size_t array, bool halves, bool pairs, int o, int i) {
  const float w = net.weights[array][z(o) * z(net.layout.weights[array].extent().pitch) + z(i)];
  return pairs ? bfloat16_to_float(float_to_bfloat16(w)) : halves ? half_to_float(float_to_half(w)) : w;
}
} // namespace

TEST_CASE("every sub-network's weights are a prefix of the panels") {
  const supernet net = random_supernet(every_block(), 21);
  using backend::cpu_detail::number_format;
  std::size_t bytes_of_fp32 = 0;
  for (const number_format format : {number_format::fp32, number_format::fp16, number_format::bf16}) {
    const packed_supernet packed{net, format};
    for (std::size_t n = 1; n < net.weights.size(); ++n) { // the stem's are in another order
      const weight_array& w = net.layout.weights[n];
      const bool matrix = w.shape.size() == 2, vector = w.shape.size() == 1;
      const block& unit = net.layout.units[z(w.unit)];
      const bool of_image =
          unit.norm_count() > 0 && (w.role() == weight_role::expand || w.role() == weight_role::output);
      const bool pairs = matrix && of_image && format == number_format::bf16;
      const bool halves = matrix && !pairs && format != number_format::fp32;
      bool same = true;
      // few outputs: the first panels; few inputs: the front of each panel
      for (int o = 0; o < w.extent().rows; ++o)
        for (int i = 0; i < w.extent().columns; ++i)
          same &= vector ? packed.floats(packed.arrays[n])[o] == net.weights[n][z(o)]
                         : value_at(packed, n, halves, pairs, o, i) == wanted(net, n, halves, pairs, o, i);
      CHECK_MESSAGE(same, net.layout.key(w));
      CHECK(packed.arrays[n].start % 64 == 0);
    }
    if (format == number_format::fp32)
      bytes_of_fp32 = packed.bytes();
    else
      CHECK(packed.bytes() < 0.75 * double(bytes_of_fp32));
  }
}

TEST_CASE("a part holds what its plans read, in the same panels, and nothing of blocks that none runs") {
  const space_description d = every_block();
  const supernet net = random_supernet(d, 22);
  arch shallow = varied_arch(d, 64, 0), narrow = varied_arch(d, 64, 1);
  std::fill(shallow.d.begin(), shallow.d.end(), std::uint8_t{1});
  std::fill(narrow.d.begin(), narrow.d.end(), std::uint8_t{1});
  narrow.d[2] = 2;
  const std::vector<plan> plans = {make_plan(d, shallow), make_plan(d, narrow)};
  using backend::cpu_detail::number_format;
  const packed_supernet whole{net, number_format::fp32};
  const packed_supernet some{net, number_format::fp32, supernet_part::of(net, plans)};
  CHECK(some.bytes() < 0.8 * double(whole.bytes()));
  std::set<std::int16_t> idle;
  for (std::size_t n = 0; n < net.weights.size(); ++n) {
    const weight_array& w = net.layout.weights[n];
    const weight_extent& use = some.part.weights[n];
    CHECK(whole.part.weights[n] == w.extent());
    if (use.rows == 0 && w.role() == weight_role::output) idle.insert(w.unit);
    bool same = true;
    for (int o = 0; o < use.rows; ++o)
      for (int i = 0; i < use.columns && w.shape.size() > 1; ++i)
        same &= value_at(some, n, false, false, o, i) == value_at(whole, n, false, false, o, i);
    CHECK_MESSAGE(same, net.layout.key(w));
  }
  CHECK(idle.size() == 7); // the second blocks of all stages but one
}

TEST_CASE("bytes of a part are those of the whole, scales of full rows too") {
  const space_description d = every_block();
  const supernet net = random_supernet(d, 22);
  const plan p = make_plan(d, smallest(d));
  using backend::cpu_detail::number_format;
  for (const byte_weight_rule rule : {byte_weight_rule::full, byte_weight_rule::pairs}) {
    const packed_supernet whole{net, number_format::int8, rule};
    const packed_supernet some{net, number_format::int8, supernet_part::of(net, std::span(&p, 1)), rule};
    CHECK(some.bytes() < whole.bytes());
    int arrays_of_bytes = 0;
    for (std::size_t n = 0; n < net.weights.size(); ++n) {
      const weight_extent& use = some.part.weights[n];
      if (use.rows == 0 || some.arrays[n].steps == 0) continue;
      ++arrays_of_bytes;
      const byte_rows rows(net.weights[n], use, rule);
      for (int o = 0; o < use.rows; ++o) {
        CHECK(some.steps(some.arrays[n])[o] == whole.steps(whole.arrays[n])[o]);
        CHECK(some.steps(some.arrays[n])[o] == rows.steps[z(o)]);
      }
      // The front of the first panel, which has the same order whatever the panel's length.
      const auto *const a = some.data.as<const std::int8_t>(some.arrays[n].start), *const b =
                                                                                       whole.data.as<const std::int8_t>(
                                                                                           whole.arrays[n].start);
      for (int i = 0; i < use.columns / 8 * 8 && use.rows >= 16; ++i) CHECK(a[i * 16] == b[i * 16]);
    }
    CHECK(arrays_of_bytes > 30);
  }
}

namespace {
float& last_projection(supernet& net) {
  return net.array(net.layout.units[net.layout.units.size() - 4], weight_role::output).back();
}
} // namespace

TEST_CASE("a weight that half precision does not hold is refused by fp16 and kept by lossless") {
  using backend::cpu_detail::number_format;
  supernet net = random_supernet(every_block(), 24);
  last_projection(net) = -7e4f;
  CHECK_THROWS_WITH_AS((packed_supernet{net, number_format::fp16}),
                       "cpu backend weights: expected weights that fit half precision, got -70000", error);
  CHECK(packed_supernet{net, number_format::lossless}.format == number_format::fp32);
  last_projection(net) = 65519;
  CHECK(packed_supernet{net, number_format::fp16}.half);
}

TEST_CASE("lossless is half precision where every such weight is a half, and fp32 where one is not") {
  const space_description d = every_block();
  supernet net = round_to_half(random_supernet(d, 23));
  using backend::cpu_detail::number_format;
  const packed_supernet half{net, number_format::fp16}, lossless{net, number_format::lossless};
  CHECK(lossless.format == number_format::fp16);
  CHECK(lossless.half);
  CHECK(lossless.exact);
  CHECK_FALSE(half.exact);
  CHECK(lossless.bytes() == half.bytes());
  const float quarter_step = 1 + 0x1p-12f; // between two halves
  for (std::size_t n = 0; n < net.weights.size(); ++n) {
    if (net.layout.weights[n].shape.size() != 2) continue; // stem, depthwise kernels and biases are fp32 always
    std::vector<float>* const weights = &net.weights[n];
    const float before = std::exchange(weights->back(), quarter_step);
    const packed_supernet exact{net, number_format::lossless};
    CHECK(exact.format == number_format::fp32);
    CHECK_FALSE(exact.half);
    weights->back() = before;
  }
}

} // namespace dynofa_test::backends_cpu_packed
