#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

namespace {

using namespace dynofa;
using small_space = search_space<ofa_mobilenet_v3, width<0.2>, classes<10>, depth<2, 3>, expand<3, 4>, kernel<3, 5>,
                                 resolution<64, 96>>;

supernet_ptr small_network() {
  static const supernet_ptr net = std::make_shared<const supernet>(random_supernet(small_space::description, 7));
  return net;
}
std::vector<float> images(const plan& p) {
  std::vector<float> values(p.image_values());
  random_stream random(3, "maps");
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}
scale_shift norms_of(const plan& p) { return fold(*small_network(), p, stored_statistics(*small_network(), p)); }

/// Every map of a whole run equals what the blocks give one by one.
template <class Backend>
void check_maps(Backend backend, double tolerance) {
  const supernet_ptr net = small_network();
  arch a = largest(net->space);
  a.r = 96;
  const plan bare = make_plan(net->space, a, 2), p = with_maps_at(bare, std::array{4, 8, 16, 32});
  session on(std::move(backend), net);
  const auto level = on.bind(p, norms_of(p)), plain = on.bind(bare, norms_of(bare));
  const std::vector<float> image = images(p);
  CHECK(on.run(level, image) == on.run(plain, image));
  on.run(level, image);

  std::vector<float> x = image;
  for (std::size_t b = 0; b < p.pooling_block(); ++b) {
    const block& of = p.blocks[b];
    std::vector<float> out(p.of_batch(of.out_values()));
    on.run_block(plain, b, x, out);
    x = out;
  }
  on.run(level, image); // run_block uses the workspace too
  x = image;
  for (std::size_t b = 0, met = 0; b < p.pooling_block(); ++b) {
    const block& of = p.blocks[b];
    std::vector<float> out(p.of_batch(of.out_values()));
    session judge(backend::reference{}, net);
    const auto alone = judge.bind(bare, norms_of(bare));
    judge.run_block(alone, b, x, out);
    x = out;
    if (of.output <= 0) continue;
    CHECK(of.output == static_cast<int>(++met));
    for (std::size_t n = 0; n < 2; ++n) {
      const feature_map map = on.map(level, met - 1, n);
      REQUIRE(map.values() == static_cast<std::size_t>(of.out_values()));
      std::vector<float> got(map.values());
      map.copy(got);
      double worst = 0, square = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        const double wanted = out[n * got.size() + i];
        worst = std::max(worst, std::abs(got[i] - wanted)), square += wanted * wanted;
      }
      CHECK(worst <= tolerance * std::sqrt(square / static_cast<double>(got.size())));
    }
  }
}

} // namespace

TEST_CASE("named maps are what their blocks give, and the logits stay") {
  check_maps(backend::reference{}, 0);
  check_maps(backend::cpu{}, 1e-4);
  check_maps(backend::cpu{.isa = "portable", .threads = 2}, 1e-4);
  check_maps(backend::cpu{.weights = "bf16"}, 0.1);
}

TEST_CASE("a map is not copied, and outlives the levels that run before it is named again") {
  const supernet_ptr net = small_network();
  const plan p = with_maps_at(make_plan(net->space, smallest(net->space)), std::array{8});
  session on(backend::cpu{}, net);
  const auto level = on.bind(p, norms_of(p));
  on.run(level, images(p));
  const void* const first = on.map(level, 0).data;
  on.run(level, images(p));
  CHECK(on.map(level, 0).data == first);
}

TEST_CASE("maps that a network does not have are one sentence") {
  const supernet_ptr net = small_network();
  const plan p = make_plan(net->space, smallest(net->space));
  CHECK_THROWS_AS(last_block_at_stride(p, 64), error);
  CHECK_THROWS_AS(last_block_at_stride(p, 3), error);
  CHECK_THROWS_AS(with_maps(p, std::array<std::size_t, 2>{1, 1}), error);
  CHECK_THROWS_AS(with_maps(p, std::array{p.pooling_block()}), error);
  CHECK_THROWS_AS(with_maps(p, std::array<std::size_t, 1>{999}), error);
  CHECK(with_maps_at(p, std::array{8}).blocks[last_block_at_stride(p, 8)].output == 1);
  session on(backend::reference{}, net);
  const auto level = on.bind(p, norms_of(p));
  on.run(level, images(p));
  CHECK_THROWS_AS(on.map(level, 0), error);
  const plan named = with_maps_at(p, std::array{8});
  const auto with_map = on.bind(named, norms_of(named));
  on.run(with_map, images(p));
  CHECK_THROWS_AS(on.map(with_map, 0, 1), error);
  CHECK(on.map(with_map, 0).size == 8);
}
