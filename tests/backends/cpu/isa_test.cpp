#include "dynofa/backend/cpu/isa.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace dynofa_test::backends_cpu_isa {

using namespace dynofa::backend::cpu_detail;

namespace {
std::string names(const processor_features& f) {
  std::string all;
  for (const isa& i : isas_of(f)) all += std::string(i.name) + " ";
  return all;
}
} // namespace

#if defined(__x86_64__)
TEST_CASE("an instruction set is offered only where everything that its kernels use is there") {
  using feature = bool processor_features::*;
  const std::vector<feature> of_avx2 = {&processor_features::avx2, &processor_features::fma, &processor_features::f16c};
  const std::vector<feature> of_avx512 = {&processor_features::avx512f, &processor_features::avx512bw,
                                          &processor_features::avx512vl, &processor_features::avx512dq};
  processor_features all;
  for (const feature f : of_avx2) all.*f = true;
  for (const feature f : of_avx512) all.*f = true;
  CHECK(names(all) == "avx512 avx2 portable ");
  for (const feature lacking : of_avx2) {
    processor_features f = all;
    f.*lacking = false;
    CHECK(names(f) == "portable ");
  }
  for (const feature lacking : of_avx512) {
    processor_features f = all;
    f.*lacking = false;
    CHECK(names(f) == "avx2 portable ");
  }
  for (const bool bf16 : {true, false})
    for (const bool vnni : {true, false}) {
      all.avx512bf16 = bf16, all.avx512vnni = vnni;
      CHECK(names(all) == (bf16 || vnni ? "avx512 avx512f avx2 portable " : "avx512 avx2 portable "));
      CHECK(isas_of(all).front().kernels->adds_pairs == !vnni);
    }
}
#endif

#if defined(__aarch64__)
TEST_CASE("dot products and arithmetic of halves are kernels of their own, each with and without the other") {
  for (const bool dot : {true, false})
    for (const bool half : {true, false}) {
      const processor_features f{.dot_products = dot, .half_arithmetic = half};
      CHECK(names(f) == (dot || half ? "neon neonv8 portable " : "neon portable "));
      const std::vector<isa> all = isas_of(f);
      const kernel_table &best = *all.front().kernels, &plain = *all[all.size() - 2].kernels;
      CHECK(best.computes_in_half() == half);
      CHECK((best.product_to_quads != plain.product_to_quads) == dot);
      CHECK((best.pointwise == plain.pointwise));
      CHECK_FALSE(plain.computes_in_half());
    }
}
#endif

TEST_CASE("only NEON computes in half precision") {
  for (const isa& i : available_isas()) CHECK((!i.kernels->computes_in_half() || i.name == "neon"));
}

TEST_CASE("what this machine offers is what its features give") {
  CHECK(names(query_features()).ends_with("portable "));
  CHECK(available_isas().size() == isas_of(query_features()).size());
  CHECK(names({}).ends_with("portable "));
}

} // namespace dynofa_test::backends_cpu_isa
