#include "dynofa/model/tensor.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"

namespace dynofa_test::model_tensor {

using namespace dynofa;

TEST_CASE("byte_count multiplies extents and element size, and tells what does not fit") {
  CHECK(byte_count({}, dtype::i64) == 8);
  CHECK(byte_count({2, 3}, dtype::f16) == 12);
  CHECK(byte_count({2, 0, 3}, dtype::f32) == 0);
  CHECK(byte_count({-1}, dtype::u8) == std::nullopt);
  CHECK(byte_count({INT64_MAX, 1}, dtype::boolean) == static_cast<std::uint64_t>(INT64_MAX));
  CHECK(byte_count({INT64_MAX, 2}, dtype::i16) == std::nullopt);
  CHECK(byte_count({1ll << 32, 1ll << 32}, dtype::u8) == std::nullopt);
}

TEST_CASE("every floating-point type reads as float, from unaligned bytes too") {
  const std::byte wide[] = {std::byte{9}, std::byte{0}, std::byte{0},    std::byte{0},   std::byte{0},
                            std::byte{0}, std::byte{0}, std::byte{0xF8}, std::byte{0xBF}}; // -1.5 after one byte
  CHECK(tensor{dtype::f64, {1}, std::span(wide).subspan(1), nullptr}.to_floats() == std::vector<float>{-1.5f});
  const std::uint16_t halves[] = {0x3C00, 0xC000}, bfloats[] = {0x3F80, 0xC000};
  const float floats[] = {1, -2};
  const std::vector<float> expected{1, -2};
  CHECK(tensor::of<std::uint16_t>(halves, {2}, dtype::f16).to_floats() == expected);
  CHECK(tensor::of<std::uint16_t>(bfloats, {2}, dtype::bf16).to_floats() == expected);
  CHECK(tensor::of_floats(floats, {2}).to_floats() == expected);
  CHECK(tensor{dtype::f32, {0}, {}, nullptr}.to_floats().empty());
  const std::int64_t one = 1;
  CHECK(support::sentence([&] {
          tensor::of<std::int64_t>({&one, 1}, {}, dtype::i64).to_floats();
        }) == "tensor: expected a floating-point type, got I64");
}

TEST_CASE("a tensor made of values owns a copy") {
  tensor t;
  {
    std::vector<float> values{1, 2, 3};
    t = tensor::of_floats(values, {3, 1});
  }
  CHECK(t.to_floats() == std::vector<float>{1, 2, 3});
  CHECK(to_string(t.shape) == "[3, 1]");
  CHECK(t.size() == 3);
}

} // namespace dynofa_test::model_tensor
