// ctest: allocations
#include "dynofa/model/random_supernet.hpp"

#include "fuzz/checkpoint.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::fuzz_checkpoint {

TEST_CASE("small files of every format") { alter_files(1, 12'000); }

TEST_CASE("altered pickles inside well-formed containers") { alter_pickles(2, 6'000); }

TEST_CASE("a space is guessed from altered shapes, or refused") {
  state_dict whole = random_checkpoint(support::tiny_space::description, 7);
  for (auto& [key, t] : whole) t.bytes = {}, t.owner = nullptr; // shapes alone are looked at
  random_stream random(4, "fuzz/guess");
  constexpr std::int64_t edges[] = {0, 1, 3, 8, 9, 16, 24, 48, 1 << 14, 1 << 20, INT64_MAX, -1};
  std::size_t guessed = 0, refused = 0;
  for (int n = 0; n < 3000; ++n) {
    auto altered = whole;
    for (auto changes = 1 + random.below(3); changes-- > 0;) {
      auto at = altered.begin();
      std::advance(at, random.below(static_cast<std::uint32_t>(altered.size())));
      if (random.chance(0.3))
        altered.erase(at);
      else if (at->second.shape.size() > 0)
        at->second.shape[random.below(static_cast<std::uint32_t>(at->second.shape.size()))] =
            edges[random.below(std::size(edges))];
    }
    try {
      const auto guess = guess_space(altered, "f");
      REQUIRE(guess.space.stages.size() == 5);
      ++guessed;
    } catch (const error& e) {
      REQUIRE(std::string_view(e.what()).find('\n') == std::string_view::npos);
      ++refused;
    }
  }
  MESSAGE(guessed << " guessed, " << refused << " refused");
  CHECK(guessed > 100);
  CHECK(refused > 100);
}

TEST_CASE("the headers, pickles and directories of real files") {
  const auto golden = std::filesystem::path(DYNOFA_SOURCE_DIR) / "tests/golden/tiny";
  mutator mutate(3);
  for (auto* name :
       {"supernet.safetensors", "supernet_legacy.pth", "supernet_legacy_official_style.pth", "supernet_zip.pth"}) {
    const auto whole = read_text(golden / name);
    REQUIRE(whole.size() > 1'000'000);
    const bool at_the_end = std::string_view(name) == "supernet_zip.pth"; // a zip's directory is its last 40 kB
    tally counts;
    counts.read(whole);
    REQUIRE(counts.loaded == 1);
    for (int n = 0; n < 250; ++n) {
      if (at_the_end && n % 2 == 0) {
        const auto split = whole.size() - 40'000;
        counts.read(whole.substr(0, split) + mutate(whole.substr(split), whole, 40'000));
      } else {
        counts.read(mutate(whole, whole, 100'000));
      }
    }
    counts.report(name);
    CHECK(counts.refused > 100);
    CHECK(counts.peak < 80u << 20);
    CHECK(counts.slowest_s < 5);
  }
}

} // namespace dynofa_test::fuzz_checkpoint
