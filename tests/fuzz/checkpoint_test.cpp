// ctest: allocations
// Altered checkpoints of all four kinds must load or be refused with one dynofa::error: no crash, no hang, no
// allocation out of proportion. Run it under AddressSanitizer and UBSan too: every tensor that loads is read to its
// last byte.
#include "dynofa/core/random.hpp"
#include "dynofa/model/checkpoint.hpp"

#include <doctest/doctest.h>

#include <malloc.h>

#include "support/scratch_folder.hpp"
#include "support/torch_writer.hpp"
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>

// Every operator new of this program is counted, so that a length field that is believed shows as a peak. All forms
// that the standard library uses are replaced: sanitizers bring their own for those left out.
namespace {
std::atomic<std::size_t> live_bytes{0}, peak_bytes{0};

void* allocate(std::size_t size) noexcept {
  void* p = size > (std::size_t{1} << 30) ? nullptr : std::malloc(size);
  if (!p) {
    peak_bytes = ~std::size_t{0};
    return nullptr;
  }
  const auto live = live_bytes += ::malloc_usable_size(p);
  if (live > peak_bytes) peak_bytes = live;
  return p;
}
void* allocate_or_throw(std::size_t size) {
  if (void* p = allocate(size)) return p;
  throw std::bad_alloc();
}
void release(void* p) noexcept {
  if (p) live_bytes -= ::malloc_usable_size(p);
  std::free(p);
}
} // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { release(p); }

namespace dynofa_test::fuzz_checkpoint {

using namespace dynofa;
using namespace support;

namespace {

class mutator {
public:
  explicit mutator(std::uint64_t seed)
      : random_{seed, "fuzz/checkpoint"} {}

  std::size_t below(std::size_t n) { return n ? random_.below(static_cast<std::uint32_t>(n)) : 0; }

  /// One to `most` changes within the first `region` bytes; `other` gives material for splices.
  std::string operator()(std::string s, std::string_view other, std::size_t region, std::size_t most = 4) {
    for (auto changes = 1 + below(most); changes-- > 0;) {
      const auto at = below(std::min(region, s.size()));
      const auto kind = below(8), size = below(64), from = below(other.size()); // drawn in a fixed order
      const auto letter = static_cast<char>(below(256));
      switch (kind) {
      case 0:
      case 1:
        if (!s.empty()) s[at] = static_cast<char>(s[at] ^ 1 << (letter & 7));
        break;
      case 2:
        if (!s.empty()) s[at] = letter;
        break;
      case 3: s.resize(size < 48 ? s.size() - std::min(size, s.size()) : at); break;
      case 4: s.insert(at, size < 32 ? std::string(1 + size / 2, letter) : opcodes()); break;
      case 5: s.erase(at, 1 + size / 4); break;
      case 6: number(s, at); break;
      case 7: s.replace(at, size, other.substr(from, below(64))); break;
      }
    }
    return s;
  }

private:
  /// A handful of opcodes that mean something to the pickle machine.
  std::string opcodes() {
    constexpr std::string_view meaningful =
        "N\x88\x89K(t)]}aeusRbQqhrj\x85\x86\x87\x94\x93.GXCBJM\x8a\x8b\x8c\x8d\x8e\x95";
    std::string s;
    for (auto n = 1 + below(6); n-- > 0;) s += meaningful[below(meaningful.size())];
    return s;
  }
  /// Overwrites a length-like field with a number at the edge of some type or size, in binary or decimal.
  void number(std::string& s, std::size_t at) {
    constexpr std::uint64_t edges[] = {0,          1,          0x7F,       0x80,       0xFF,     0x7FFF,
                                       0xFFFF,     0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1u << 20, 1u << 28,
                                       1ull << 40, INT64_MAX,  1ull << 63, ~0ull};
    auto edge = edges[below(std::size(edges))];
    edge += below(3) - 1;
    const auto binary = raw<std::uint64_t>(edge).substr(0, std::size_t{1} << below(4));
    if (const auto digit = s.find_first_of("0123456789", at); digit != s.npos && below(3) == 0)
      s.replace(digit, s.find_first_not_of("0123456789", digit) - digit, std::to_string(edge));
    else if (at + binary.size() <= s.size())
      s.replace(at, binary.size(), binary);
  }

  random_stream random_;
};

struct tally {
  std::size_t loaded = 0, refused = 0, peak = 0;
  double slowest_s = 0;
  unsigned checksum = 0; // keeps the reads of the tensors alive

  void read(std::string_view content) {
    const auto file = in_memory(content);
    const auto before = live_bytes.load();
    peak_bytes = before;
    const auto start = std::chrono::steady_clock::now();
    try {
      const auto read = read_checkpoint(file, "f");
      for (const auto& [name, t] : read.tensors) {
        REQUIRE(byte_count(t.shape, t.type) == t.bytes.size());
        for (auto byte : t.bytes) checksum = checksum * 31 + std::to_integer<unsigned>(byte);
      }
      ++loaded;
    } catch (const error& e) {
      const std::string_view said = e.what();
      REQUIRE(said.starts_with("f"));
      REQUIRE(said.size() < 400);
      REQUIRE(said.find('\n') == said.npos);
      REQUIRE(said.find("Malloc") == said.npos); // libzip's word for memory it did not get
      ++refused;
    }
    slowest_s = std::max(slowest_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    peak = std::max(peak, peak_bytes - before);
  }
  void report(const std::string& what) const {
    MESSAGE(what << ": " << loaded << " loaded, " << refused << " refused, slowest " << slowest_s * 1e3
                 << " ms, at most " << peak / 1024 << " KiB allocated");
  }
};

/// A small safetensors file with two tensors and metadata, as bytes.
std::string small_safetensors() {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const std::int64_t count = 7;
  state_dict tensors{{"blocks.0.weight", tensor::of_floats(values, {2, 3})},
                     {"blocks.0.count", tensor::of(std::span(&count, 1), {}, dtype::i64)}};
  const auto [header, order] = safetensors_header(tensors, {{"net", "small"}}, "small");
  std::string file = header;
  for (const auto* t : order) file.append(reinterpret_cast<const char*>(t->bytes.data()), t->bytes.size());
  return file;
}

} // namespace

TEST_CASE("small files of every format") {
  auto official = small_torch_file();
  official.location = "cuda:0";
  official.wrapped = false;
  const std::string files[] = {small_safetensors(), small_torch_file().legacy(), official.legacy(),
                               zip_of(small_torch_file().zip_entries()),
                               zip_of(small_torch_file().zip_entries(), true)};
  mutator mutate(1);
  for (std::size_t i = 0; i < std::size(files); ++i) {
    tally counts;
    counts.read(files[i]);
    REQUIRE(counts.loaded == 1);
    for (int n = 0; n < 20'000; ++n)
      counts.read(mutate(files[i], files[mutate.below(std::size(files))], files[i].size()));
    counts.report(text("small file ", i));
    CHECK(counts.loaded + counts.refused == 20'001);
    CHECK(counts.refused > 10'000);
    CHECK(counts.peak < 80u << 20); // the zip reader's allowance is 64 MiB and a little
    CHECK(counts.slowest_s < 5);
  }
}

TEST_CASE("altered pickles inside well-formed containers") {
  // the checks of lengths and CRCs would refuse most alterations before a tensor is made, so the containers are built
  // anew
  const auto file = small_torch_file();
  const auto object = file.object(true), other = file.keys(), zip_object = file.object(false);
  mutator mutate(2);
  tally legacy, zipped;
  for (int n = 0; n < 20'000; ++n) legacy.read(file.legacy_with(mutate(object, other, object.size(), 2)));
  for (int n = 0; n < 10'000; ++n)
    zipped.read(zip_of(file.zip_entries_with(mutate(zip_object, object, zip_object.size(), 2)), n % 2 == 0));
  legacy.report("legacy");
  zipped.report("zip");
  for (const auto& counts : {legacy, zipped}) {
    CHECK(counts.loaded > 100); // so that strange tensors are met, not only strange files
    CHECK(counts.refused > 1000);
    CHECK(counts.peak < 80u << 20);
    CHECK(counts.slowest_s < 5);
  }
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
