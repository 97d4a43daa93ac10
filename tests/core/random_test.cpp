#include "dynofa/core/random.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <fstream>
#include <random>
#include <string>

namespace dynofa_test::core_random {

using namespace dynofa;

static_assert(std::uniform_random_bit_generator<random_stream>);
static_assert(fnv1a64("") == 0xcbf29ce484222325u && fnv1a64("a") == 0xaf63dc4c8601ec8cu);

namespace {

const nlohmann::json& golden() {
  static const auto vectors =
      nlohmann::json::parse(std::ifstream(DYNOFA_SOURCE_DIR "/tests/golden/generator_vectors.json"));
  return vectors;
}
std::uint64_t hex(const nlohmann::json& digits) { return std::stoull(digits.get<std::string>(), nullptr, 16); }
random_stream stream_of(const nlohmann::json& vector) {
  return random_stream(vector.at("seed"), vector.at("name").get<std::string>());
}

} // namespace

TEST_CASE("hashes, keys and words are those of the reference vectors") {
  for (const auto& [name, hash] : golden().at("fnv1a64").items()) CHECK(fnv1a64(name) == hex(hash));
  for (const auto& v : golden().at("key")) CHECK(stream_of(v).key() == hex(v.at("key")));
  for (const auto& v : golden().at("u64")) {
    const std::uint64_t start = v.at("start");
    for (std::size_t i = 0; i < v.at("values").size(); ++i) CHECK(stream_of(v).at(start + i) == hex(v.at("values")[i]));
  }
}

TEST_CASE("uniforms and normals have the reference's bits") {
  const auto bits_agree = [](const char* name, auto&& value) {
    const auto& v = golden().at(name);
    for (std::size_t i = 0; i < v.at("hex").size(); ++i)
      CHECK(std::bit_cast<std::uint32_t>(static_cast<float>(value(stream_of(v).at(i)))) == hex(v.at("hex")[i]));
  };
  bits_agree("uniform_lo0.5", [](std::uint64_t u) { return random_stream::uniform_of(u, 0.5); });
  bits_agree("normal_std1", [](std::uint64_t u) { return random_stream::normal_of(u, 1.0); });
  bits_agree("normal_std0.2", [](std::uint64_t u) { return random_stream::normal_of(u, 0.2); });
}

TEST_CASE("the stream \"sample\" picks the reference's elements") {
  random_stream sample(0, "sample");
  const auto& words = golden().at("sample_u64");
  REQUIRE(words.size() == 64);
  for (std::size_t j = 0; j < words.size(); ++j) {
    const std::uint64_t u = sample();
    CHECK(u == hex(words[j]));
    CHECK(u % 1000 == golden().at("sample_indices_of_1000")[j].get<std::uint64_t>());
  }
}

TEST_CASE("2^20 normals have the reference's mean, deviation and extreme") {
  random_stream stats(7, "stats");
  double sum = 0, squares = 0, extreme = 0;
  constexpr int n = 1 << 20;
  for (int i = 0; i < n; ++i) {
    const double x = static_cast<float>(stats.normal());
    sum += x;
    squares += x * x;
    extreme = std::max(extreme, std::abs(x));
  }
  const auto& expected = golden().at("statistics_of_2^20_normals");
  CHECK(std::abs(sum / n - expected.at("mean").get<double>()) < 1e-9);
  CHECK(std::abs(std::sqrt(squares / n - sum / n * sum / n) - expected.at("std").get<double>()) < 1e-6);
  CHECK(extreme == expected.at("max_abs").get<double>());
}

TEST_CASE("a stream resumes where it stood, and at() does not move it") {
  random_stream a(3, "x");
  a();
  a();
  random_stream b = random_stream::resume(a.key(), a.counter());
  CHECK(a.at(5) == b.at(5));
  for (int i = 0; i < 10; ++i) CHECK(a() == b());
  CHECK(a.counter() == 12);
  CHECK(random_stream(3, "x")() != random_stream(3, "y")());
  CHECK(random_stream(3, "x")() != random_stream(4, "x")());
}

TEST_CASE("below, uniform and chance keep to their range and spread evenly") {
  random_stream random(1, "spread");
  std::array<int, 7> counts{};
  double sum = 0;
  int heads = 0;
  constexpr int n = 70000;
  for (int i = 0; i < n; ++i) {
    ++counts.at(random.below(7));
    const double u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    sum += u;
    heads += random.chance(0.3);
  }
  for (int count : counts) CHECK(std::abs(count - n / 7) < 5 * std::sqrt(n / 7.0)); // 5 standard deviations
  CHECK(std::abs(sum / n - 0.5) < 5 * std::sqrt(1 / 12.0 / n));
  CHECK(std::abs(heads - 0.3 * n) < 5 * std::sqrt(0.21 * n));
  for (int i = 0; i < 100; ++i) {
    CHECK(random.below(1) == 0);
    CHECK(!random.chance(0));
    CHECK(random.chance(1));
  }
}

} // namespace dynofa_test::core_random
