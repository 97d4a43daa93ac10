#include "dynofa/backend/cpu/packed.hpp"

#include <doctest/doctest.h>

#include "backends/cpu/networks.hpp"

using namespace dynofa;
using namespace cpu_tests;
using backend::cpu_detail::lane_block;
using backend::cpu_detail::packed_supernet;

namespace {
std::size_t z(int i) { return static_cast<std::size_t>(i); }
} // namespace

TEST_CASE("every sub-network's weights are a prefix of the panels") {
  const space_description d = every_block();
  const supernet net = random_supernet(d, 21);
  using backend::cpu_detail::number_format;
  const packed_supernet packed{net, number_format::fp32}, half{net, number_format::fp16};
  const packed_supernet bf16{net, number_format::bf16};
  for (std::size_t n = 1; n < net.blocks.size(); ++n) {
    const block_weights& from = net.blocks[n];
    const auto& to = packed.blocks[n];
    const float *expand = packed.floats(to.expand), *project = packed.floats(to.project);
    bool same = true;
    for (int o = 0; o < from.mid_channels; ++o) // few outputs: the first panels; few inputs: the front of each panel
      for (int i = 0; i < from.in_channels; ++i)
        same &= expand[z(o / lane_block) * to.expand.step + z(i * lane_block + o % lane_block)] ==
                from.expand[z(o) * z(from.in_channels) + z(i)];
    for (int o = 0; o < from.out_channels; ++o)
      for (int i = 0; i < from.mid_channels; ++i)
        same &= project[z(o / lane_block) * to.project.step + z(i * lane_block + o % lane_block)] ==
                from.project[z(o) * z(from.mid_channels) + z(i)];
    for (int k : {3, 5, 7}) {
      const auto& taps = to.depthwise[z(k / 2 - 1)];
      for (int c = 0; c < from.mid_channels; ++c)
        for (int t = 0; t < k * k; ++t)
          same &= packed.floats(taps)[z(c / lane_block) * taps.step + z(t * lane_block + c % lane_block)] ==
                  from.depthwise_of(k)[z(c) * z(k * k) + z(t)];
    }
    for (int h = 0; h < from.se_channels; ++h)
      for (int i = 0; i < from.mid_channels; ++i)
        same &= half.data.as<const std::uint16_t>(
                    half.blocks[n].se_reduce.start)[z(h / lane_block) * half.blocks[n].se_reduce.step +
                                                    z(i * lane_block + h % lane_block)] ==
                float_to_half(from.se_reduce[z(h) * z(from.mid_channels) + z(i)]);
    // bf16: two inputs of the same output are neighbours
    const auto& pairs = bf16.blocks[n];
    auto is = [&](const auto& panels, int o, int i, float wanted) {
      return bf16.data.as<const std::uint16_t>(panels.start)[z(o / lane_block) * panels.step +
                                                             z((i / 2 * lane_block + o % lane_block) * 2 + i % 2)] ==
             float_to_bfloat16(wanted);
    };
    for (int o = 0; o < from.mid_channels; ++o)
      for (int i = 0; i < from.in_channels; ++i)
        same &= is(pairs.expand, o, i, from.expand[z(o) * z(from.in_channels) + z(i)]);
    for (int o = 0; o < from.out_channels; ++o)
      for (int i = 0; i < from.mid_channels; ++i)
        same &= is(pairs.project, o, i, from.project[z(o) * z(from.mid_channels) + z(i)]);
    CHECK_MESSAGE(same, "block " << n);
    for (const auto* p : {&to.expand, &to.project, &to.depthwise[0], &to.depthwise[2]}) CHECK(p->start % 64 == 0);
  }
  CHECK(half.bytes() < packed.bytes());
  CHECK(bf16.bytes() < half.bytes());
}
