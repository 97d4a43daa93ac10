// Altered family files, with a checksum made to fit again so that every reader behind it is reached: a family or one
// dynofa::error. Run it under AddressSanitizer and UBSan too.
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/tiny_space.hpp"
#include "support/torch_writer.hpp"

namespace dynofa_test::fuzz_family {

using namespace dynofa;
using namespace support;

TEST_CASE("altered headers behind a fitting checksum") {
  const auto net = tiny_supernet();
  family f(net, data::exact_preprocessing(), {});
  for (const arch& a : {smallest(net->space), largest(net->space)})
    f.add({a, stored_statistics(*net, a), {100, 50, 70}, {{"here", 1, 2, 0.5, 10}}});
  const scratch_folder folder;
  save_family(folder.path() / "f", f);
  const std::string whole = read_text(folder.path() / "f");
  std::uint64_t header = 0;
  std::memcpy(&header, whole.data(), 8);
  const auto metadata = whole.find("\"supernet."); // the descriptions stand before the first tensor's entry
  REQUIRE(metadata < header);

  constexpr std::string_view material = "0123456789-.eE{}[]\",:\\ntrufalsxdkr";
  random_stream random(1, "fuzz/family");
  std::size_t loaded = 0, refused = 0;
  for (int n = 0; n < 1500; ++n) {
    std::string s = whole;
    const auto region = static_cast<std::uint32_t>(n % 3 ? metadata : header);
    for (auto changes = 1 + random.below(3); changes-- > 0;) {
      const auto at = 8 + random.below(region);
      if (random.chance(0.2)) { // same length: the header's size still fits
        const std::size_t from = 8 + random.below(region),
                          size =
                              std::min<std::size_t>(1 + random.below(24), s.size() - std::max(from, std::size_t(at)));
        s.replace(at, size, std::string(s, from, size));
      } else {
        s[at] = material[random.below(static_cast<std::uint32_t>(material.size()))];
      }
    }
    if (n % 5 == 0) { // an infinity or a NaN among the weights and statistics
      const auto at = 8 + header + random.below(static_cast<std::uint32_t>(s.size() - 12 - header)) / 4 * 4;
      if (s.size() == whole.size())
        s.replace(at, 4, random.chance(0.5) ? "\xff\xff\xff\x7f" : std::string("\0\0\x80\xff", 4));
    }
    using namespace detail::family_io;
    const auto key = s.find(checksum_key);
    if (key != s.npos) {
      const auto at = key + checksum_key.size();
      s.replace(at, checksum_digits, checksum(std::as_bytes(std::span(s)), at, {}));
    }
    try {
      const family g = read_family(in_memory(s), "f");
      for (const auto& l : g.levels()) check_statistics(make_plan(g.space(), l.arch), l.statistics);
      visit_weights(*g.net(), [](const std::string&, const std::vector<float>& values, const shape_type&) {
        REQUIRE(first_not_finite(values) == values.size());
      });
      ++loaded;
    } catch (const error& e) {
      const std::string_view said = e.what();
      REQUIRE(said.starts_with("f"));
      REQUIRE(said.find('\n') == said.npos);
      ++refused;
    }
  }
  MESSAGE(loaded << " loaded, " << refused << " refused");
  CHECK(loaded > 20);
  CHECK(refused > 500);
}

} // namespace dynofa_test::fuzz_family
