#include "dynofa/space/arch.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include <algorithm>
#include <unordered_set>
#include <vector>

namespace dynofa_test::space_arch {

using namespace dynofa;

namespace {

constexpr const space_description& space = ofa_w1_2::description;

std::string fault(const arch& a) {
  const auto found = find_fault(space, a);
  CHECK(is_legal(space, a) == !found.has_value());
  CHECK(support::sentence([&] { validate(space, a); }) == (found ? found->what() : "(no error)"));
  if (found) CHECK(found->code() == errc::invalid_arch);
  return found ? found->what() : "";
}

/// Changes inactive genes only.
arch reroll_inactive(arch a, random_stream& random) {
  for (std::size_t i = 0; i < a.ks.size(); ++i)
    if (!a.active(i)) {
      a.ks[i] = static_cast<std::uint8_t>(3 + 2 * random.below(3));
      a.e[i] = static_cast<std::uint8_t>(3 + random.below(2));
    }
  return a;
}

} // namespace

TEST_CASE("every fault has its sentence") {
  const arch good = largest(space);
  CHECK(fault(good) == "");
  const auto with = [&](auto change) {
    arch a = good;
    change(a);
    return fault(a);
  };
  CHECK(with([](arch& a) { a.ks.resize(19); }) == "architecture field ks: expected 20 values, got 19 values");
  CHECK(with([](arch& a) { a.e.resize(1); }) == "architecture field e: expected 20 values, got 1 value");
  CHECK(with([](arch& a) { a.e.resize(48, 3); }) == "architecture field e: expected 20 values, got 48 values");
  CHECK(with([](arch& a) { a.d.resize(0); }) == "architecture field d: expected 5 values, got 0 values");
  CHECK(with([](arch& a) { a.ks[5] = 4; }) == "architecture field ks[5]: expected one of 3, 5, 7 (stage 2), got 4");
  CHECK(with([](arch& a) { a.ks[19] = 255; }) ==
        "architecture field ks[19]: expected one of 3, 5, 7 (stage 5), got 255");
  CHECK(with([](arch& a) { a.e[0] = 5; }) == "architecture field e[0]: expected one of 3, 4, 6 (stage 1), got 5");
  CHECK(with([](arch& a) { a.d[3] = 1; }) == "architecture field d[3]: expected one of 2, 3, 4 (stage 4), got 1");
  CHECK(with([](arch& a) { a.d[4] = 0; }) == "architecture field d[4]: expected one of 2, 3, 4 (stage 5), got 0");
  CHECK(with([](arch& a) { a.r = 161; }) ==
        "architecture field r: expected one of 160, 164, 168, 172, 176, 180, 184, 188, "
        "192, 196, 200, 204, 208, 212, 216, 220, 224, got 161");
  CHECK(fault(arch{}) == "architecture field ks: expected 20 values, got 0 values");
}

TEST_CASE("genes of inactive blocks must be legal too") {
  arch a = smallest(space);
  a.ks[3] = 9; // block 4 of a stage of depth 2
  CHECK(fault(a) == "architecture field ks[3]: expected one of 3, 5, 7 (stage 1), got 9");
}

TEST_CASE("largest and smallest bound every gene") {
  const arch big = largest(space), small = smallest(space);
  CHECK(big.r == 224);
  CHECK(small.r == 160);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(big.ks[i] == 7);
    CHECK(big.e[i] == 6);
    CHECK(small.ks[i] == 3);
    CHECK(small.e[i] == 3);
  }
  CHECK(big > small);
}

TEST_CASE("equality, order, hash and print look at the active genes alone") {
  random_stream random(11, "canonical");
  for (int i = 0; i < 2000; ++i) {
    const arch a = random_arch(space, random), same = reroll_inactive(a, random), canon = a.canonical();
    REQUIRE(is_legal(space, canon));
    REQUIRE(canon.canonical().ks == canon.ks);
    REQUIRE(canon.ks == same.canonical().ks); // gene by gene, not by the arch's own equality
    REQUIRE(canon.e == same.canonical().e);
    REQUIRE(canon == a);
    REQUIRE(a == same);
    REQUIRE(!(a < same));
    REQUIRE(!(a > same));
    REQUIRE(a.hash() == same.hash());
    REQUIRE(std::hash<arch>{}(a) == std::hash<arch>{}(canon));
    REQUIRE(text(a) == text(same));
  }
}

TEST_CASE("changing one active gene changes equality, hash, print and order") {
  random_stream random(12, "change");
  for (int i = 0; i < 2000; ++i) {
    const arch a = random_arch(space, random);
    arch b = a;
    const std::size_t stage = random.below(5), gene = stage * 4 + random.below(a.d[stage]);
    switch (random.below(4)) {
    case 0: b.ks[gene] = b.ks[gene] == 3 ? 7 : 3; break;
    case 1: b.e[gene] = b.e[gene] == 3 ? 6 : 3; break;
    case 2: b.d[stage] = b.d[stage] == 2 ? 4 : 2; break;
    default: b.r = b.r == 160 ? 224 : 160; break;
    }
    REQUIRE(a != b);
    REQUIRE(a.hash() != b.hash());
    REQUIRE(text(a) != text(b));
    REQUIRE((a < b) != (b < a));
  }
}

TEST_CASE("the order is total: sorting groups equals, and sets by order and by hash agree") {
  using tiny = search_space<ofa_mobilenet_v3, depth<1, 2>, expand<3>, kernel<3, 5>, resolution<32>>;
  random_stream random(13, "order");
  std::vector<arch> all;
  for (int i = 0; i < 3000; ++i) all.push_back(random_arch(tiny::description, random));
  std::sort(all.begin(), all.end());
  for (std::size_t i = 1; i < all.size(); ++i) REQUIRE(all[i - 1] <= all[i]);
  const std::unordered_set<arch> by_hash(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  CHECK(all.size() == by_hash.size());
  for (std::size_t i = 1; i < all.size(); ++i) REQUIRE(all[i - 1] < all[i]);
}

TEST_CASE("hashes of many architectures do not collide and are fixed for files") {
  random_stream random(14, "hash");
  std::unordered_set<std::uint64_t> hashes;
  std::unordered_set<arch> archs;
  for (int i = 0; i < 20000; ++i) {
    const arch a = random_arch(space, random);
    archs.insert(a);
    hashes.insert(a.hash());
  }
  CHECK(hashes.size() == archs.size());
  CHECK(largest(ofa_w1_2::description).hash() == 0x088ce29d553dbe39u);
}

TEST_CASE("print shows active genes stage by stage") {
  arch a = smallest(space);
  a.ks[0] = 7;
  a.d[1] = 3;
  CHECK(text(a) == "r160 d 2 3 2 2 2 k 7 3 | 3 3 3 | 3 3 | 3 3 | 3 3 e 3 3 | 3 3 3 | 3 3 | 3 3 | 3 3");
}

TEST_CASE("an architecture whose lengths do not fit can be compared, hashed and printed until it is refused") {
  arch none, odd = largest(space), few = largest(space), no_depths = largest(space);
  odd.ks.resize(21, 3);
  few.e.resize(3);
  no_depths.d.resize(0);
  arch short_ks = largest(space);
  short_ks.ks.resize(3);
  const arch all[] = {none, odd, few, no_depths, short_ks, largest(space)};
  for (const arch& a : all) {
    CHECK(a == a.canonical());
    for (const arch& b : all) {
      CHECK((&a == &b) == (a == b));
      CHECK((&a == &b) == (a.hash() == b.hash()));
      CHECK((&a == &b) == (text(a) == text(b)));
    }
    if (a != largest(space)) CHECK(find_fault(space, a).has_value());
  }
  CHECK(!none.well_formed());
  CHECK(largest(space).well_formed());
}

TEST_CASE("ResNet: blocks that run whatever the depth, and a deep stem's depth") {
  constexpr const space_description& resnet = ofa_resnet50_space::description;
  arch a = smallest(resnet);
  CHECK(a.fixed == decltype(a.fixed){0, 2, 2, 4, 2});
  CHECK(a.d == decltype(a.d){0, 0, 0, 0, 0});
  const bool runs[] = {true, true, false, false, true,  true, false, false, true,
                       true, true, true,  false, false, true, true,  false, false};
  for (std::size_t b = 0; b < 18; ++b) CHECK(a.active(b) == runs[b]);
  a.d[3] = 1;
  CHECK(a.active(12));
  CHECK_FALSE(a.active(13));
  CHECK(a.active_blocks(3) == 5);
  CHECK(text(a) == "r128 d 0 0 0 1 0 w 0 0 0 0 0 0 k 3 3 | 3 3 | 3 3 3 3 3 | 3 3 "
                   "e 0.2 0.2 | 0.2 0.2 | 0.2 0.2 0.2 0.2 0.2 | 0.2 0.2");
  arch other = a;
  other.e[13] = decimal(0.35);
  CHECK(other == a);
  CHECK(other.hash() == a.hash());
  other.e[12] = decimal(0.35);
  CHECK(other != a);
}

TEST_CASE("ResNet: an architecture of a file becomes one of the space") {
  constexpr const space_description& resnet = ofa_resnet50_space::description;
  arch read = largest(resnet);
  read.ks.resize(0), read.uneven = {}, read.fixed = {};
  CHECK(is_legal(resnet, read));
  CHECK(conform(resnet, read) == largest(resnet));
  CHECK(conform(resnet, read).hash() == largest(resnet).hash());
  // Of a stem's depths only the largest counts: once-for-all draws 1 too and skips the convolution there.
  arch one = read, none = read;
  one.d[0] = 1, none.d[0] = 0;
  CHECK(is_legal(resnet, one));
  CHECK(conform(resnet, one) == conform(resnet, none));
  CHECK_FALSE(conform(resnet, one) == conform(resnet, read));
  const auto said = [&](auto change) {
    arch a = largest(resnet);
    change(a);
    const auto found = find_fault(resnet, a);
    CHECK(is_legal(resnet, a) == !found.has_value());
    return found ? std::string(found->what()) : "";
  };
  CHECK(said([](arch& a) { a.w[5] = 3; }) == "architecture field w[5]: expected one of 0, 1, 2 (stage 5), got 3");
  CHECK(said([](arch& a) { a.w[0] = 9; }) == "architecture field w[0]: expected one of 0, 1, 2 (stage 1), got 9");
  CHECK(said([](arch& a) { a.w.resize(5); }) == "architecture field w: expected 6 values, got 5 values");
  CHECK(said([](arch& a) { a.w.resize(0); }) == "architecture field w: expected 6 values, got 0 values");
  CHECK(said([](arch& a) { a.d[0] = 3; }) == "architecture field d[0]: expected one of 0, 2 (stage 1), got 3");
  CHECK(said([](arch& a) { a.d[1] = 3; }) == "architecture field d[1]: expected one of 0, 1, 2 (stage 2), got 3");
  CHECK(said([](arch& a) { a.e[4] = 1; }) ==
        "architecture field e[4]: expected one of 0.2, 0.25, 0.35 (stage 3), got 1");
  CHECK(said([](arch& a) { a.ks[4] = 5; }) == "architecture field ks[4]: expected one of 3 (stage 3), got 5");
  // and a network without widths has none
  arch mobile = largest(space);
  mobile.w.push_back(0);
  CHECK(fault(mobile) == "architecture field w: expected 0 values, got 1 value");
}

TEST_CASE("a width changes equality, hash, print and order, wherever it stands") {
  constexpr const space_description& resnet = ofa_resnet50_space::description;
  random_stream random(15, "width");
  for (int i = 0; i < 300; ++i) {
    const arch a = random_arch(resnet, random);
    REQUIRE(is_legal(resnet, a));
    arch b = a;
    const std::size_t w = random.below(6);
    b.w[w] = b.w[w] == 0 ? 2 : 0;
    REQUIRE(a != b);
    REQUIRE(a.hash() != b.hash());
    REQUIRE(text(a) != text(b));
    REQUIRE((a < b) != (b < a));
    const arch canon = a.canonical();
    REQUIRE(is_legal(resnet, canon));
    REQUIRE(canon == a);
  }
}

} // namespace dynofa_test::space_arch
