#pragma once
// Altered checkpoints must load or be refused with one dynofa::error: no crash, no hang, no allocation out of
// proportion. Run it under AddressSanitizer and UBSan too: every tensor that loads is read to its last byte. A program
// includes this once: it replaces operator new.
#include "dynofa/core/random.hpp"
#include "dynofa/model/checkpoint.hpp"
#include "dynofa/model/guess_space.hpp"
#include "dynofa/model/keys.hpp"

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
    constexpr std::string_view meaningful = "N\x88\x89K(t)]}aeusRbQqhrj\x85\x86\x87\x94\x93."
                                            "GXCBJM\x8a\x8b\x8c\x8d\x8e\x95ILFSVpgdlio012\x81\x8f\x90\x91\x92\x96\x98";
    constexpr std::string_view phrases[] = {"cos\nsystem\n", "ccollections\nOrderedDict\n",
                                            ")\x81}b",       "I01\n",
                                            "](]",           "ctorch._tensor\n_rebuild_from_type_v2\n",
                                            "(lp0\n"};
    if (below(4) == 0) return std::string(phrases[below(std::size(phrases))]);
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
      REQUIRE(read.notes.left_out.size() <= 128);
      ++loaded;
      try { // what example 03 does next
        std::vector<std::string> left_out;
        guess_space(with_canonical_keys(read.tensors, "f", &left_out), "f");
      } catch (const error&) {
      }
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

/// What training scripts write: scores and arguments beside the weights, an average of them, names behind wrappers, an
/// expanded buffer; protocol 2, 5 and Python 2's.
inline std::vector<torch_file> training_files() {
  std::vector<torch_file> files(4, small_torch_file());
  files[0].beside = {{"best_acc", numpy_scalar}, {"args", namespace_2}, {"optimizer", "}K\0}s"s}};
  files[1].python2 = true;
  files[2].front = "\x80\x05", files[2].name = "model";
  files[2].beside = {{"args", namespace_5}, {"model_ema", small_torch_file().state(false)}};
  files[3].views.push_back({"module._orig_mod.blocks.1.expanded", 0, 3, {4, 2}, {0, 1}});
  files[3].views.push_back({"blocks.0.total_ops", 1, 0, {}, {}});
  return files;
}

/// Small files of every format, as they are written and altered `each` times.
inline void alter_files(std::uint64_t seed, int each) {
  auto official = small_torch_file();
  official.location = "cuda:0";
  official.wrapped = false;
  std::vector<std::string> files = {small_safetensors(), small_torch_file().legacy(), official.legacy(),
                                    zip_of(small_torch_file().zip_entries()),
                                    zip_of(small_torch_file().zip_entries(), true)};
  for (const torch_file& file : training_files()) files.push_back(file.legacy());
  mutator mutate(seed);
  for (std::size_t i = 0; i < files.size(); ++i) {
    tally counts;
    counts.read(files[i]);
    REQUIRE(counts.loaded == 1);
    for (int n = 0; n < each; ++n) counts.read(mutate(files[i], files[mutate.below(files.size())], files[i].size()));
    counts.report(text("small file ", i));
    CHECK(counts.loaded + counts.refused == static_cast<std::size_t>(each) + 1);
    CHECK(counts.refused > static_cast<std::size_t>(each) / 2);
    CHECK(counts.peak < 80u << 20); // the zip reader's allowance is 64 MiB and a little
    CHECK(counts.slowest_s < 5);
  }
}

/// Altered pickles inside well-formed containers: the checks of lengths and CRCs would refuse most alterations before a
/// tensor is made, so the containers are built anew.
inline void alter_pickles(std::uint64_t seed, int each) {
  mutator mutate(seed);
  const auto other = small_torch_file().keys();
  std::vector<torch_file> files = training_files();
  files.insert(files.begin(), small_torch_file());
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto object = files[i].object(true), zip_object = files[i].object(false);
    tally legacy, zipped;
    for (int n = 0; n < each; ++n) legacy.read(files[i].legacy_with(mutate(object, other, object.size(), 2)));
    for (int n = 0; n < each / 2; ++n)
      zipped.read(zip_of(files[i].zip_entries_with(mutate(zip_object, object, zip_object.size(), 2)), n % 2 == 0));
    legacy.report(text("legacy ", i));
    zipped.report(text("zip ", i));
    for (const auto& counts : {legacy, zipped}) {
      CHECK(counts.loaded > static_cast<std::size_t>(each) / 200); // strange tensors are met, not only strange files
      CHECK(counts.refused > static_cast<std::size_t>(each) / 20);
      CHECK(counts.peak < 80u << 20);
      CHECK(counts.slowest_s < 5);
    }
  }
}

} // namespace
} // namespace dynofa_test::fuzz_checkpoint
