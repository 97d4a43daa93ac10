// ctest: allocations
// Altered checkpoints, and no allocation out of proportion; every tensor that loads is read to its last byte.
#include "dynofa/model/checkpoint.hpp"
#include "dynofa/model/guess_space.hpp"
#include "dynofa/model/keys.hpp"
#include "dynofa/model/random_supernet.hpp"

#include <doctest/doctest.h>

#include <malloc.h>

#include "fuzz/parts.hpp"
#include "support/fuzz.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_space.hpp"
#include "support/torch_writer.hpp"
#include <atomic>
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

/// A small safetensors file with two tensors and metadata, as bytes.
std::string small_safetensors() {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const std::int64_t count = 7;
  state_dict tensors{{"blocks.0.weight", tensor::of_floats(values, {2, 3})},
                     {"blocks.0.count", tensor::of(std::span(&count, 1), {}, dtype::i64)}};
  return as_safetensors(tensors, {{"net", "small"}});
}

/// What means something to the pickle machine: phrases, and opcodes.
fuzz::mutator mutator_of(std::uint64_t seed) {
  static const auto pieces = [] {
    std::vector<std::string_view> all{"cos\nsystem\n", "ccollections\nOrderedDict\n",
                                      ")\x81}b",       "I01\n",
                                      "](]",           "ctorch._tensor\n_rebuild_from_type_v2\n",
                                      "(lp0\n"};
    constexpr std::string_view opcodes = "N\x88\x89K(t)]}aeusRbQqhrj\x85\x86\x87\x94\x93."
                                         "GXCBJM\x8a\x8b\x8c\x8d\x8e\x95ILFSVpgdlio012\x81\x8f\x90\x91\x92\x96\x98";
    for (std::size_t i = 0; i < opcodes.size(); ++i) all.push_back(opcodes.substr(i, 1));
    return all;
  }();
  return fuzz::mutator(seed, pieces, true);
}

std::size_t most_allocated = 0; // by one file
unsigned checksum = 0;          // keeps the reads of the tensors alive

void read(const file_bytes& file) {
  const struct measured {
    measured() { peak_bytes = before; }
    ~measured() { most_allocated = std::max(most_allocated, peak_bytes - before); }
    std::size_t before = live_bytes;
  } here;
  try {
    const auto read = read_checkpoint(file, "f");
    for (const auto& [name, t] : read.tensors) {
      REQUIRE(byte_count(t.shape, t.type) == t.bytes.size());
      for (auto byte : t.bytes) checksum = checksum * 31 + std::to_integer<unsigned>(byte);
    }
    REQUIRE(read.notes.left_out.size() <= 128);
    try { // what example 03 does next
      std::vector<std::string> left_out;
      guess_space(with_canonical_keys(read.tensors, "f", &left_out), "f");
    } catch (const error&) {
    }
  } catch (const error& e) {
    REQUIRE(std::string_view(e.what()).find("Malloc") == std::string_view::npos); // libzip's word for no memory
    throw;
  }
}
/// The zip reader's allowance is 64 MiB and a little.
void expect_little_memory() { CHECK(most_allocated < 80u << 20); }

/// What training scripts write: scores and arguments beside the weights, an average of them, names behind wrappers, an
/// expanded buffer; protocol 2, 5 and Python 2's.
std::vector<torch_file> training_files() {
  std::vector<torch_file> files(4, small_torch_file());
  files[0].beside = {{"best_acc", numpy_scalar}, {"args", namespace_2}, {"optimizer", "}K\0}s"s}};
  files[1].python2 = true;
  files[2].front = "\x80\x05", files[2].name = "model";
  files[2].beside = {{"args", namespace_5}, {"model_ema", small_torch_file().state(false)}};
  files[3].views.push_back({"module._orig_mod.blocks.1.expanded", 0, 3, {4, 2}, {0, 1}});
  files[3].views.push_back({"blocks.0.total_ops", 1, 0, {}, {}});
  return files;
}

void alter_files(const char* what, const std::vector<std::string>& files, std::size_t usual, std::uint64_t seed) {
  fuzz::alter({what}, files, usual, mutator_of(seed), [](const file_bytes& file, std::size_t) {
    read(file);
  }).expect(0, 50);
  expect_little_memory();
}

/// Altered pickles inside well-formed containers: the checks of lengths and CRCs would refuse most alterations before a
/// tensor is made, so the containers are built anew. Strange tensors are met, not only strange files.
template <class Contain>
void alter_pickles(const char* what, bool legacy, std::size_t usual, std::uint64_t seed, Contain contain) {
  std::vector<torch_file> files = training_files();
  files.push_back(small_torch_file());
  std::vector<std::string> objects;
  for (const torch_file& file : files) objects.push_back(file.object(legacy));
  fuzz::alter({what}, objects, usual, mutator_of(seed), [&](const file_bytes& object, std::size_t i) {
    read(in_memory(contain(files[i], object.text())));
  }).expect(1, 5);
  expect_little_memory();
}

} // namespace

TEST_CASE("small files of safetensors") { alter_files("safetensors", {small_safetensors()}, 12'000, 1); }

TEST_CASE("small files of torch's legacy format") {
  auto official = small_torch_file();
  official.location = "cuda:0";
  official.wrapped = false;
  std::vector<std::string> files = {small_torch_file().legacy(), official.legacy()};
  for (const torch_file& file : training_files()) files.push_back(file.legacy());
  alter_files("torch legacy", files, 40'000, 2);
}

TEST_CASE("small files of torch's zip format") {
  const auto entries = small_torch_file().zip_entries();
  alter_files("torch zip", {zip_of(entries), zip_of(entries, true)}, 20'000, 3);
}

TEST_CASE("altered pickles inside well-formed containers") {
  alter_pickles("pickles in legacy files", true, 16'000, 4,
                [](const torch_file& file, std::string_view object) { return file.legacy_with(object); });
  alter_pickles("pickles in zip files", false, 8'000, 5,
                [deflate = false](const torch_file& file, std::string_view object) mutable {
                  return zip_of(file.zip_entries_with(object), deflate = !deflate);
                });
}

TEST_CASE("a space is guessed from altered shapes, or refused") {
  using space =
      search_space<ofa_mobilenet_v3, width<0.2>, classes<10>, depth<2>, expand<6>, kernel<3, 5, 7>, resolution<32>>;
  state_dict whole = random_checkpoint(space::description, 7);
  for (auto& [key, t] : whole) t.bytes = {}, t.owner = nullptr; // shapes alone are looked at
  random_stream random(fuzz::seed(4), "fuzz/guess");
  constexpr std::int64_t edges[] = {0, 1, 3, 8, 9, 16, 24, 48, 1 << 14, 1 << 20, INT64_MAX, -1};
  std::size_t guessed = 0, refused = 0;
  const std::size_t end = fuzz::mutations(2'000);
  for (std::size_t n = 0; n < end; ++n) {
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
  MESSAGE("spaces of shapes: " << guessed << " guessed, " << refused << " refused");
  CHECK(guessed >= end / 30);
  CHECK(refused >= end / 30);
}

TEST_CASE("the headers, pickles and directories of real files") {
  const auto golden = std::filesystem::path(DYNOFA_SOURCE_DIR) / "tests/golden/tiny";
  fuzz::mutator mutate = mutator_of(6);
  for (auto* name :
       {"supernet.safetensors", "supernet_legacy.pth", "supernet_legacy_official_style.pth", "supernet_zip.pth"}) {
    const auto whole = read_text(golden / name);
    REQUIRE(whole.size() > 1'000'000);
    const bool at_the_end = std::string_view(name) == "supernet_zip.pth"; // a zip's directory is its last 40 kB
    fuzz::tally counts{name};
    const auto take = [&](const std::string& content) { counts.take(content, read); };
    take(whole);
    REQUIRE(counts.read == 1);
    for (int n = 0; n < 250; ++n) { // as always: the formats' own tests are the ones that may be long
      if (at_the_end && n % 2 == 0) {
        const auto split = whole.size() - 40'000;
        take(whole.substr(0, split) + mutate(whole.substr(split), whole, 40'000));
      } else {
        take(mutate(whole, whole, 100'000));
      }
    }
    counts.expect(0, 40);
  }
  expect_little_memory();
}

} // namespace dynofa_test::fuzz_checkpoint
