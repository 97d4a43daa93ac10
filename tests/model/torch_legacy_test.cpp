#include "dynofa/model/torch_legacy.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/torch_writer.hpp"

namespace dynofa_test::model_torch_legacy {

using namespace dynofa;
using namespace support;

namespace {
template <class Change>
std::string fault(Change change) {
  auto file = small_torch_file();
  change(file);
  return sentence([&] { read_torch_legacy(in_memory(file.legacy()), "f"); });
}
} // namespace

TEST_CASE("types, offsets, strides and shared storages") {
  auto file = small_torch_file();
  file.location = "cuda:0";
  file.storages.push_back(storage_of<double>("DoubleStorage", "14", {-1.5}));
  file.storages.push_back(storage_of<std::uint16_t>("BFloat16Storage", "15", {0x3F80}));
  file.views.push_back({"double", 4, 0, {1, 1}, {1, 1}});
  file.views.push_back({"bfloat", 5, 0, {1}, {1}});
  for (bool wrapped : {true, false}) {
    file.wrapped = wrapped;
    const auto content = in_memory(file.legacy());
    const auto tensors = read_torch_legacy(content, "f");
    REQUIRE(tensors.size() == 7);
    CHECK(tensors.at("first.weight").to_floats() == std::vector<float>{0, 1, 2, 3, 4, 5});
    CHECK(tensors.at("first.weight").owner == content.owner); // a view of the file, no copy
    CHECK(tensors.at("first.turned").to_floats() == std::vector<float>{6, 9, 7, 10, 8, 11});
    CHECK(tensors.at("first.count").type == dtype::i64);
    CHECK(tensors.at("first.count").shape == shape_type{});
    CHECK(std::to_integer<int>(tensors.at("first.count").bytes[0]) == 0xFB);
    CHECK(tensors.at("first.half").to_floats() == std::vector<float>{1, -2});
    CHECK(tensors.at("first.mask").type == dtype::boolean);
    CHECK(tensors.at("double").to_floats() == std::vector<float>{-1.5f});
    CHECK(tensors.at("bfloat").to_floats() == std::vector<float>{1});
  }
}

TEST_CASE("a file of the wrong length is told by both lengths") {
  const auto whole = small_torch_file().legacy();
  const auto size = whole.size();
  const auto read = [](std::string content) { return sentence([&] { read_torch_legacy(in_memory(content), "f"); }); };
  CHECK(read(whole.substr(0, size - 1)) == text("f: expected ", size, " bytes, got ", size - 1, " bytes (truncated)"));
  CHECK(read(whole + "x") == text("f: expected ", size, " bytes, got ", size + 1, " bytes (trailing bytes)"));
  CHECK(read(whole.substr(0, 100)).find("up to the end of the file (truncated)") != std::string::npos);
  for (std::size_t n = 0; n < size; ++n) CHECK(read(whole.substr(0, n)) != "(no error)");
}

TEST_CASE("each part of the file is checked") {
  CHECK(fault([](auto&) {}) == "(no error)");
  CHECK(fault([](auto& f) { f.magic[5] ^= 1; }) == "f: expected torch's magic number, got another one");
  CHECK(fault([](auto& f) { f.magic = "\x80\x02N."; }) == "f: expected torch's magic number, got another one");
  CHECK(fault([](auto& f) { f.protocol = 1002; }) == "f: expected torch's protocol 1001, got 1002");
  CHECK(fault([](auto& f) { f.little_endian = false; }) == "f: expected little-endian data, got big-endian data");
  CHECK(fault([](auto& f) { f.storages[1].key = "10"; }) ==
        "f: expected one type and size for storage \"10\", got F32 × 12 and I64 × 1");
  CHECK(fault([](auto& f) {
          f.storages.push_back({"FloatStorage", "99", "", 0});
        }) == "f: expected keys of storages that tensors use, got \"99\"");
  CHECK(fault([](auto& f) { f.storages.push_back(f.storages[0]); }) == "f: expected each storage key once, got \"10\"");
  CHECK(fault([](auto& f) { f.storages[0].numel = INT64_MAX; }) ==
        "f: expected storages that fit 63 bits, got 9223372036854775807 elements");
  CHECK(fault([](auto& f) { f.views[1].name = "first.weight"; }) ==
        "f: expected each name once, got \"first.weight\" twice");
  CHECK(fault([](auto& f) { f.views[0].offset = 7; }) ==
        "f, tensor \"first.weight\": expected elements within a storage of 12, got element 12");
  CHECK(fault([](auto& f) { f.storages[0].type = "ComplexFloatStorage"; }) ==
        "f: expected keys of storages that tensors use, got \"10\", perhaps of a type unknown here");

  auto file = small_torch_file();
  const auto object = file.object(true);
  file.storages[2].numel = 1; // beside its data only; the pickle says 2
  CHECK(sentence([&] { read_torch_legacy(in_memory(file.legacy_with(object)), "f"); }) ==
        "f: expected 2 elements in storage \"12\", got 1");
  file.storages.pop_back();
  CHECK(sentence([&] { read_torch_legacy(in_memory(file.legacy_with(object)), "f"); }) ==
        "f: expected storage \"13\" in the list of keys, got a list without it");
  const auto facts = small_torch_file().magic + pickle_writer().integer(1001).stop();
  CHECK(sentence([&] { read_torch_legacy(in_memory(facts + pickle_writer().op("}").stop()), "f"); }) ==
        "f: expected the fact little_endian, got none");
  CHECK(sentence([&] {
          read_torch_legacy(in_memory(small_torch_file().legacy_front() + object + pickle_writer().op(")").stop()),
                            "f");
        }) == "f: expected a list of storage keys, got a tuple");
}

} // namespace dynofa_test::model_torch_legacy
