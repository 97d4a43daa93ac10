#include "dynofa/model/safetensors.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/torch_writer.hpp"

namespace dynofa_test::model_safetensors {

using namespace dynofa;
using namespace support;

namespace {

std::string file_of(std::string_view header, std::string_view data) {
  return text(raw<std::uint64_t>(header.size()), header, data);
}
safetensors_file parse(std::string_view content) { return read_safetensors(in_memory(content), "f"); }
std::string fault(std::string_view header, std::string_view data = "") {
  return sentence([&] { parse(file_of(header, data)); });
}

} // namespace

TEST_CASE("what is written is read back, every type and scalar and empty shapes included") {
  state_dict tensors;
  const std::vector<double> values{1, 2, 3, 4, 5, 6};
  const std::string bytes = raw(values);
  for (int i = 0; i <= static_cast<int>(dtype::boolean); ++i) {
    const auto type = static_cast<dtype>(i);
    tensors[text("t.", name_of(type))] = tensor::of<char>(std::span(bytes).first(6 * size_of(type)), {2, 3}, type);
  }
  tensors["scalar"] = tensor::of<char>(std::span(bytes).first(8), {}, dtype::i64);
  tensors["empty"] = tensor::of<char>({}, {0, 4}, dtype::f32);
  tensors["\"quoted\" \\ and ü"] = tensor::of<char>(std::span(bytes).first(4), {1}, dtype::f32);
  const std::map<std::string, std::string> metadata{{"net", "tiny"}, {"", "empty key"}, {"lines", "a\nb"}};

  const scratch_folder folder;
  const auto path = folder.path() / "a.safetensors";
  write_safetensors(path, tensors, metadata);
  const auto read = read_safetensors(path);
  CHECK(read.metadata == metadata);
  REQUIRE(read.tensors.size() == tensors.size());
  const auto content = read_text(path);
  for (const auto& named : tensors) {
    const auto& name = named.first; // clang 14 cannot capture structured bindings, as CAPTURE does
    const auto& expected = named.second;
    CAPTURE(name);
    const auto& got = read.tensors.at(name);
    CHECK(got.type == expected.type);
    CHECK(got.shape == expected.shape);
    CHECK(std::ranges::equal(got.bytes, expected.bytes));
    CHECK(reinterpret_cast<std::uintptr_t>(got.bytes.data()) % size_of(got.type) == 0); // aligned in the mapping
  }
  std::uint64_t header = 0;
  std::memcpy(&header, content.data(), 8);
  CHECK(header % 8 == 0);
  CHECK(content[8] == '{');

  write_safetensors(path, read.tensors, read.metadata); // over the file that is mapped right now
  CHECK(read_text(path) == content);
  write_safetensors(path, {});
  CHECK(read_text(path) == file_of("{}      ", ""));
  CHECK(read_safetensors(path).tensors.empty());
}

TEST_CASE("a failed write leaves the old file") {
  const scratch_folder folder;
  const auto path = folder.path() / "a.safetensors";
  write_text(path, "old");
  const auto said = [&](const state_dict& tensors, const std::map<std::string, std::string>& metadata = {}) {
    return sentence([&] { write_safetensors(path, tensors, metadata); });
  };
  tensor short_one = tensor::of<float>(std::vector<float>{1, 2}, {3}, dtype::f32);
  CHECK(said({{"a", short_one}}) == path.string() + ", tensor \"a\": expected the bytes of F32 [3], got 8 bytes");
  CHECK(said({{"__metadata__", {dtype::f32, {0}, {}, nullptr}}}) ==
        path.string() + ": expected a tensor name, got the reserved __metadata__");
  CHECK(said({}, {{"k", "\xff"}}) == path.string() + ": expected names and metadata in UTF-8, got \"?\"");
  CHECK(said({{"\xff", {dtype::f32, {0}, {}, nullptr}}}) ==
        path.string() + ": expected names and metadata in UTF-8, got \"?\"");
  CHECK(read_text(path) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("a well-formed header in any order of fields and tensors") {
  const auto read = parse(file_of(
      R"({"b":{"data_offsets":[4,8],"shape":[2],"dtype":"F16"},"z":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}  )",
      raw<float>(1.5f) + raw<std::uint16_t>(0x3C00) + raw<std::uint16_t>(0xC000)));
  CHECK(read.tensors.at("a").to_floats() == std::vector<float>{1.5f});
  CHECK(read.tensors.at("b").to_floats() == std::vector<float>{1, -2});
  CHECK(read.tensors.at("z").bytes.empty());
  CHECK(read.metadata.at("k") == "v");
}

TEST_CASE("lengths") {
  CHECK(sentence([] { parse("1234567"); }) == "f: expected a header length of 8 bytes, got 7 bytes");
  CHECK(sentence([] { parse(raw<std::uint64_t>(100) + "{}"); }) ==
        "f: expected at least 108 bytes, got 10 bytes (truncated)");
  CHECK(sentence([] { parse(raw<std::uint64_t>(~0ull) + "{}"); }) ==
        "f: expected a header of at most 16777216 bytes, got 18446744073709551615");
  constexpr auto one = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  CHECK(fault(one, "1234") == "(no error)");
  CHECK(fault(one, "123") == "f: expected 66 bytes, got 65 bytes (truncated)");
  CHECK(fault(one, "12345") == "f: expected 66 bytes, got 67 bytes (trailing bytes)");
  CHECK(fault("") == "f: expected a safetensors file, got zeros (of a download that was not finished?)");
}

TEST_CASE("offsets and shapes") {
  const auto a = [](std::string_view fields) { return text(R"({"a":{)", fields, "}}"); };
  CHECK(fault(a(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), "12345678") ==
        "f, tensor \"a\": expected data from offset 0, got offset 4");
  CHECK(fault(a(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), "1234") ==
        "f, tensor \"a\": expected 8 bytes for F32 [2], got offsets 0 to 4");
  CHECK(fault(a(R"("dtype":"F32","shape":[0],"data_offsets":[0,18446744073709551615])"), "") ==
        "f, tensor \"a\": expected 0 bytes for F32 [0], got offsets 0 to 18446744073709551615");
  CHECK(fault(a(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])")) ==
        "f, tensor \"a\": expected a size that fits 64 bits, got [4294967296, 4294967296]");
  CHECK(fault(a(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1])"), "1") ==
        "f, tensor \"a\": expected at most 8 dimensions, got more");
  CHECK(
      fault(
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
          "1234") == "f, tensor \"b\": expected data from offset 4, got offset 0"); // an overlap
  CHECK(
      fault(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
          "123") == "f, tensor \"b\": expected data from offset 1, got offset 2"); // a gap
}

TEST_CASE("the header has one form") {
  constexpr auto form = "expected a header of dtype, shape and data_offsets per tensor, got ";
  CHECK(fault(R"({"a":3})") == text("f, tensor \"a\": ", form, "3"));
  CHECK(fault(R"({"a":[]})") == text("f, tensor \"a\": ", form, "an array"));
  CHECK(fault(R"({"a":null})") == text("f, tensor \"a\": ", form, "null"));
  CHECK(fault(R"({"a":{"dtype":true}})") == text("f, tensor \"a\": ", form, "a boolean"));
  CHECK(fault(R"({"a":{"shape":[-1]}})") == text("f, tensor \"a\": ", form, "-1"));
  CHECK(fault(R"({"a":{"shape":[1.5]}})") == text("f, tensor \"a\": ", form, "\"1.5\""));
  CHECK(fault(R"({"a":{"shape":[9223372036854775808]}})") == text("f, tensor \"a\": ", form, "9223372036854775808"));
  CHECK(fault(R"({"a":{"shape":[[1]]}})") == text("f, tensor \"a\": ", form, "an array"));
  CHECK(fault(R"({"a":{"shape":[1],"shape":[1]}})") == text("f, tensor \"a\": ", form, "an array"));
  CHECK(fault(R"({"a":{"dtype":"F32","dtype":"F32"}})") == text("f, tensor \"a\": ", form, "\"F32\""));
  CHECK(fault(R"({"a":{"colour":"red"}})") == text("f, tensor \"a\": ", form, "\"red\""));
  CHECK(fault(R"({"a":{"data_offsets":[1,2,3]}})") == text("f, tensor \"a\": ", form, "3"));
  CHECK(fault(R"({"a":{"data_offsets":[1]}})") == "f, tensor \"a\": expected two data_offsets, got 1");
  CHECK(fault(R"({"a":{"dtype":"F32","shape":[1]}})") ==
        "f, tensor \"a\": expected dtype, shape and data_offsets, got an entry without one of them");
  CHECK(fault(R"({"a":{"dtype":"F8_E5M2"}})") ==
        "f, tensor \"a\": expected one of F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL, got \"F8_E5M2\"");
  constexpr auto one = R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}})";
  CHECK(fault(one) == "f, tensor \"a\": expected each name once, got a name twice");
  CHECK(fault(R"({"__metadata__":{},"__metadata__":{}})") ==
        "f, tensor \"__metadata__\": expected each name once, got a name twice");
  CHECK(fault(R"({"__metadata__":{"k":3}})") == "f, tensor \"__metadata__\": expected metadata as texts, got 3");
  CHECK(fault(R"({"__metadata__":{"k":{}}})") ==
        "f, tensor \"__metadata__\": expected metadata as texts, got an object");
  CHECK(fault(R"({"__metadata__":{"k":"1","k":"2"}})") ==
        "f, tensor \"__metadata__\": expected each metadata key once, got a key twice");
  CHECK(fault(R"({"a":)") == "f: expected a JSON header, got a syntax error at its byte 6");
  CHECK(fault(R"({} x)") == "f: expected a JSON header, got a syntax error at its byte 4");
  CHECK(fault("{\"\xff\":3}") == "f: expected a JSON header, got a syntax error at its byte 3");
  CHECK(fault(R"({"a":{"a":)" + std::string(4'000'000, '[')) ==
        text("f, tensor \"a\": ", form, "an array")); // no deep stack
  CHECK(fault("{\"a\":{\"dtype\":" + std::string(4'000'000, '{')) == text("f, tensor \"a\": ", form, "an object"));
}

} // namespace dynofa_test::model_safetensors
