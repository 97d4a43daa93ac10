#include "dynofa/model/torch_tensors.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/torch_writer.hpp"
#include <numeric>

namespace dynofa_test::model_torch_tensors {

using namespace dynofa;
using namespace support;

namespace {

/// A storage of the floats 0, 1, 2, …
file_bytes counting(std::size_t numel) {
  std::vector<float> values(numel);
  std::iota(values.begin(), values.end(), 0.0f);
  return in_memory(raw(values));
}
tensor view(std::int64_t numel, std::int64_t offset, shape_type shape, shape_type strides,
            std::uint64_t budget = 1000) {
  return torch_view_reader("f", budget)
      .read("t", {{dtype::f32, "k", numel}, offset, shape, strides}, counting(static_cast<std::size_t>(numel)));
}

} // namespace

TEST_CASE("dense views point into their storage, strided ones are gathered") {
  const auto storage = counting(12);
  torch_view_reader reader("f", 1000);
  const auto dense =
      reader.read("t", {{dtype::f32, "k", 12}, 6, {2, 1, 3}, {3, 99, 1}}, storage); // 99: extent 1, no matter
  CHECK(dense.bytes.data() == storage.bytes.data() + 6 * sizeof(float));
  CHECK(dense.owner == storage.owner);
  CHECK(dense.to_floats() == std::vector<float>{6, 7, 8, 9, 10, 11});

  CHECK(view(12, 0, {3, 2}, {1, 3}).to_floats() == std::vector<float>{0, 3, 1, 4, 2, 5});             // transposed
  CHECK(view(12, 1, {3}, {4}).to_floats() == std::vector<float>{1, 5, 9});                            // every fourth
  CHECK(view(12, 0, {2, 2, 2}, {1, 6, 2}).to_floats() == std::vector<float>{0, 2, 6, 8, 1, 3, 7, 9}); // permuted
  CHECK(view(3, 2, {}, {}).to_floats() == std::vector<float>{2});
  CHECK(view(0, 0, {0, 5}, {5, 1}).bytes.empty());
  CHECK(view(3, 3, {2, 0}, {1, 1}).bytes.empty());
}

TEST_CASE("views that leave or repeat their storage are refused") {
  CHECK(sentence([] {
          view(12, 7, {2, 3}, {3, 1});
        }) == "f, tensor \"t\": expected elements within a storage of 12, got element 12");
  CHECK(sentence([] { view(0, 0, {}, {}); }) ==
        "f, tensor \"t\": expected elements within a storage of 0, got element 0");
  CHECK(sentence([] { view(12, 0, {4}, {INT64_MAX}); }) ==
        "f, tensor \"t\": expected elements within a storage of 12, got one beyond 64 bits");
  CHECK(sentence([] {
          view(12, 0, {INT64_MAX, 9}, {0, 0});
        }) == "f, tensor \"t\": expected a size that fits 64 bits, got [9223372036854775807, 9]");
  CHECK(sentence([] {
          view(12, 0, {1 << 30, 4}, {0, 1});
        }) == "f, tensor \"t\": expected each element once, got [1073741824, 4] from a storage of 12");
  CHECK(sentence([] {
          view(12, 0, {3, 2}, {1, 3}, 23);
        }) == "f, tensor \"t\": expected strided tensors in proportion to the file, got 24 more bytes of them");
}

TEST_CASE("the state dict is found at the top or under its name") {
  const auto names = [](const std::string& object) {
    std::string joined;
    const auto document = pickle::read(std::as_bytes(std::span(object)), "f");
    for (const auto& [name, view] : named_tensors(document, "f")) joined += text(name, ";");
    return joined;
  };
  auto file = small_torch_file();
  CHECK(names(file.object(false)) == "first.weight;first.turned;first.count;first.half;first.mask;");
  file.wrapped = false;
  CHECK(names(file.object(false)) == "first.weight;first.turned;first.count;first.half;first.mask;");

  const auto said = [&](std::string_view operations) {
    return sentence([&] { names(text("\x80\x02", operations, ".")); });
  };
  CHECK(said("]") == "f: expected a dict of tensors, got a list");
  CHECK(said("}") == "f: expected tensors, got none among 0 entries");
  CHECK(said("}\x8c\x05"
             "epochK\x07s") == "f: expected tensors, got none among 1 entries");
  CHECK(said("}\x8c\x0astate_dictNs") == "f: expected a dict as 'state_dict', got None");
  CHECK(said("}\x8c\x0astate_dict}\x8c\x01"
             "aK\x07ss") == "f: expected a name and a tensor for each entry of 'state_dict', got \"a\" with an int");
}

} // namespace dynofa_test::model_torch_tensors
