#include "dynofa/model/torch_zip.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/torch_writer.hpp"

namespace dynofa_test::model_torch_zip {

using namespace dynofa;
using namespace support;

namespace {

std::string read(std::string_view content) {
  return sentence([&] { read_torch_zip(in_memory(content), "f"); });
}
template <class Change>
std::string fault(Change change, bool deflate = false) {
  auto entries = small_torch_file().zip_entries();
  change(entries);
  return read(zip_of(entries, deflate));
}
/// Replaces `from` wherever it stands; both have one length.
std::string replaced(std::string s, std::string_view from, std::string_view to) {
  REQUIRE(from.size() == to.size());
  std::size_t at = s.find(from);
  REQUIRE(at != s.npos);
  for (; at != s.npos; at = s.find(from, at + 1)) s.replace(at, to.size(), to);
  return s;
}

} // namespace

TEST_CASE("stored and deflated archives give the same tensors as the legacy format") {
  for (bool deflate : {false, true}) {
    const auto tensors = read_torch_zip(in_memory(zip_of(small_torch_file().zip_entries(), deflate)), "f");
    REQUIRE(tensors.size() == 5);
    CHECK(tensors.at("first.weight").to_floats() == std::vector<float>{0, 1, 2, 3, 4, 5});
    CHECK(tensors.at("first.turned").to_floats() == std::vector<float>{6, 9, 7, 10, 8, 11});
    CHECK(tensors.at("first.count").type == dtype::i64);
    CHECK(tensors.at("first.half").to_floats() == std::vector<float>{1, -2});
    CHECK(tensors.at("first.mask").shape == shape_type{3, 1});
  }
  // the writers of before torch 2.1 leave byteorder out
  CHECK(fault([](auto& e) { e.erase(e.begin() + 1); }) == "(no error)");
}

TEST_CASE("a storage is unpacked once, however many tensors share it") {
  auto file = small_torch_file();
  file.views[1] = {"first.rest", 0, 6, {6}, {1}};
  const auto tensors = read_torch_zip(in_memory(zip_of(file.zip_entries())), "f");
  CHECK(tensors.at("first.weight").owner == tensors.at("first.rest").owner);
}

TEST_CASE("faults of the content") {
  CHECK(fault([](auto& e) { e[1].second = "big"; }) == "f: expected little-endian data, got byteorder \"big\"");
  CHECK(fault([](auto& e) { e[0].first = "net/other.pkl"; }) ==
        "f: expected an archive with NAME/data.pkl, got 7 entries without it");
  CHECK(fault([](auto& e) { e.emplace_back("other/data.pkl", "x"); }) == "f: expected one data.pkl, got several");
  CHECK(fault([](auto& e) { e[0].second += "x"; }).find("(trailing bytes)") != std::string::npos);
  CHECK(fault([](auto& e) { e[2].first = "net/data/99"; }) ==
        "f: expected an entry data/\"10\", got an archive without it");
  CHECK(fault([](auto& e) { e[2].second.pop_back(); }) == "f: expected 48 bytes in data/\"10\", got 47");
  CHECK(fault([](auto& e) { e[2].second += "x"; }) == "f: expected at most 48 bytes in entry \"net/data/10\", got 49");
  CHECK(fault([](auto& e) { e[0].second.resize(50); }).find("f, net/data.pkl, pickle byte") == 0);
  CHECK(read(replaced(zip_of(small_torch_file().zip_entries()), "net/data/11", "net/data/10")) ==
        "f: expected a complete zip archive, got 1562 bytes that libzip refuses (File already exists)");

  auto file = small_torch_file();
  file.storages[1].key = "10";
  CHECK(read(zip_of(small_torch_file().zip_entries_with(file.object(false)))) ==
        "f: expected one type and size for storage \"10\", got F32 × 12 and I64 × 1");
  file = small_torch_file();
  file.views[1].name = "first.weight";
  CHECK(read(zip_of(file.zip_entries())) == "f: expected each name once, got \"first.weight\" twice");
  file.storages[0].numel = INT64_MAX;
  CHECK(read(zip_of(file.zip_entries())) ==
        "f: expected a storage that fits 64 bits, got 9223372036854775807 elements");
}

TEST_CASE("faults of the archive") {
  const auto whole = zip_of(small_torch_file().zip_entries());
  CHECK(read(whole) == "(no error)");
  CHECK(read(whole.substr(0, whole.size() - 1))
            .find(text("f: expected a complete zip archive, got ", whole.size() - 1, " bytes ")) == 0);
  CHECK(read(whole.substr(0, 500)) ==
        "f: expected a complete zip archive, got 500 bytes without a directory at the end (truncated)");
  CHECK(read(whole + "x").find("f: expected a complete zip archive, got ") == 0);
  CHECK(read("PK\3\4") == "f: expected a complete zip archive, got 4 bytes without a directory at the end (truncated)");
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK(read(whole.substr(0, n)) != "(no error)");

  const auto flipped = replaced(whole, raw<float>(7), raw<float>(-7)); // altered data under the old CRC
  CHECK(read(flipped) == "f: expected an intact entry \"net/data/10\", got CRC error");
}

TEST_CASE("a small archive cannot ask for much memory") {
  // 100 MB of zeros deflate to 100 kB; torch would have stored them
  torch_file file;
  file.storages = {{"FloatStorage", "0", std::string(100'000'000, '\0'), 25'000'000}};
  file.views = {{"w", 0, 0, {25'000'000}, {1}}};
  const auto bomb = zip_of(file.zip_entries(), true);
  CHECK(bomb.size() < 200'000);
  CHECK(read(bomb) ==
        "f: expected entries in proportion to the archive, got 100000000 more bytes in entry \"net/data/0\"");
  CHECK(read(zip_of(file.zip_entries())) == "(no error)"); // stored, it is a checkpoint like any other
}

} // namespace dynofa_test::model_torch_zip
