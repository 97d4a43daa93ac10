#include "dynofa/backend/cpu/packed.hpp"
#include "dynofa/family/weights.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>
#include <vector>

using namespace dynofa;
using namespace dynofa::conformance;
using backend::cpu_detail::lane_block;
using backend::cpu_detail::packed_supernet;

namespace {
std::size_t z(int i) { return static_cast<std::size_t>(i); }
float at(const float* panels, std::size_t step, int o, int i) {
  return panels[z(o / lane_block) * step + z(i * lane_block + o % lane_block)];
}
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
    auto halved = [&](const auto& panels, int o, int i, float wanted) {
      return half.data.as<const std::uint16_t>(
                 panels.start)[z(o / lane_block) * panels.step + z(i * lane_block + o % lane_block)] ==
             float_to_half(wanted);
    };
    for (int o = 0; o < from.mid_channels; ++o)
      for (int i = 0; i < from.in_channels; ++i)
        same &= halved(half.blocks[n].expand, o, i, from.expand[z(o) * z(from.in_channels) + z(i)]) &&
                halved(half.blocks[n].project, i % from.out_channels, o,
                       from.project[z(i % from.out_channels) * z(from.mid_channels) + z(o)]);
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
  CHECK(half.bytes() < 0.75 * double(packed.bytes()));
  CHECK(bf16.bytes() == half.bytes());
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
  std::size_t idle = 0;
  for (std::size_t n = 0; n < net.blocks.size(); ++n) {
    const auto &use = some.part.blocks[n], &all = whole.part.blocks[n];
    const auto &to = some.blocks[n], &full = whole.blocks[n];
    CHECK(all.mid_channels == net.blocks[n].mid_channels);
    if (use.mid_channels == 0) {
      ++idle;
      continue;
    }
    bool same = true;
    for (int o = 0; o < use.mid_channels && n > 0; ++o)
      for (int i = 0; i < net.blocks[n].in_channels; ++i)
        same &=
            at(some.floats(to.expand), to.expand.step, o, i) == at(whole.floats(full.expand), full.expand.step, o, i);
    for (int o = 0; o < net.blocks[n].out_channels; ++o)
      for (int i = 0; i < use.mid_channels; ++i)
        same &= at(some.floats(to.project), to.project.step, o, i) ==
                at(whole.floats(full.project), full.project.step, o, i);
    for (int o = 0; o < use.se_channels; ++o)
      for (int i = 0; i < use.mid_channels; ++i)
        same &= at(some.floats(to.se_reduce), to.se_reduce.step, o, i) ==
                    at(whole.floats(full.se_reduce), full.se_reduce.step, o, i) &&
                at(some.floats(to.se_expand), to.se_expand.step, i, o) ==
                    at(whole.floats(full.se_expand), full.se_expand.step, i, o);
    for (std::size_t k = 0; k < 3; ++k)
      for (int c = 0; c < use.depthwise[k]; ++c)
        for (int t = 0; t < int(2 * k + 3) * int(2 * k + 3); ++t)
          same &= at(some.floats(to.depthwise[k]), to.depthwise[k].step, c, t) ==
                  at(whole.floats(full.depthwise[k]), full.depthwise[k].step, c, t);
    CHECK_MESSAGE(same, "block " << n);
  }
  CHECK(idle == 7); // the second blocks of all stages but one
}

TEST_CASE("a weight that half precision does not hold is refused by fp16 and kept by lossless") {
  using backend::cpu_detail::number_format;
  supernet net = random_supernet(every_block(), 24);
  net.blocks.back().project.back() = -7e4f;
  CHECK_THROWS_WITH_AS((packed_supernet{net, number_format::fp16}),
                       "cpu backend weights: expected weights that fit half precision, got -70000", error);
  CHECK(packed_supernet{net, number_format::lossless}.format == number_format::fp32);
  net.blocks.back().project.back() = 65519;
  CHECK(packed_supernet{net, number_format::fp16}.half);
}

TEST_CASE("lossless is half precision where every such weight is a half, and fp32 where one is not") {
  const space_description d = every_block();
  supernet net = round_to_half(random_supernet(d, 23));
  using backend::cpu_detail::number_format;
  const packed_supernet half{net, number_format::fp16}, lossless{net, number_format::lossless};
  CHECK(lossless.format == number_format::fp16);
  CHECK(lossless.half);
  CHECK(lossless.bytes() == half.bytes());
  const float quarter_step = 1 + 0x1p-12f; // between two halves
  block_weights& last = net.blocks.back(); // of a stage with squeeze-excite
  for (std::vector<float>* weights : {&net.classifier, &net.feature_mix, &net.final_expand, &last.se_expand,
                                      &last.se_reduce, &last.expand, &last.project}) {
    const float before = std::exchange(weights->back(), quarter_step);
    const packed_supernet exact{net, number_format::lossless};
    CHECK(exact.format == number_format::fp32);
    CHECK_FALSE(exact.half);
    weights->back() = before;
  }
}
