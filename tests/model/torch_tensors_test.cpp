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

TEST_CASE("expanded views repeat elements") {
  CHECK(view(1, 0, {3}, {0}).to_floats() == std::vector<float>{0, 0, 0});
  CHECK(view(3, 1, {2, 2}, {0, 1}).to_floats() == std::vector<float>{1, 2, 1, 2});
  CHECK(view(4, 0, {3, 2}, {1, 1}).to_floats() == std::vector<float>{0, 1, 1, 2, 2, 3}); // overlapping windows
}

TEST_CASE("views that leave their storage or grow out of proportion are refused") {
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
        }) ==
        "f, tensor \"t\": expected strided tensors in proportion to the file, got 17179869184 more bytes of them");
  CHECK(sentence([] {
          view(12, 0, {3, 2}, {1, 3}, 23);
        }) == "f, tensor \"t\": expected strided tensors in proportion to the file, got 24 more bytes of them");
}

TEST_CASE("the state dict is found at the top or under its name") {
  const auto names = [](const std::string& object) {
    std::string joined;
    const auto document = pickle::read(std::as_bytes(std::span(object)), "f");
    for (const auto& [name, view] : find_weights(document, "f").tensors) joined += text(name, ";");
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
             "epochK\x07s") == "f: expected tensors, got none among 1 entries, of which one is epoch (an int)");
  CHECK(said("}\x8c\x0astate_dictNs") ==
        "f: expected tensors, got none among 1 entries, of which one is state_dict (None)");
  CHECK(said("cofa.networks\nMobileNetV3\n)\x81}b") ==
        "f: expected a dict of tensors, got an object of ofa.networks.MobileNetV3 (save its state_dict() instead)");
}

namespace {

/// The names joined, what was taken, the other sets and what was left out.
std::string found(const torch_file& file, std::string_view weights = "") {
  const auto object = file.object(false);
  const auto document = pickle::read(std::as_bytes(std::span(object)), "f");
  const auto set = find_weights(document, "f", weights);
  std::string all = text(set.notes.weights, '/', set.tensors.size(), '/');
  for (const auto& other : set.notes.others) all += other + ';';
  all += '/';
  for (const auto& left_out : set.notes.left_out) all += left_out + ';';
  return all;
}
std::string dict_of(const std::string& key, const std::string& value) {
  return "}" + pickle_writer{""}.string(key).bytes + value + "s";
}

} // namespace

TEST_CASE("what training scripts keep beside the weights is left out and told") {
  auto file = small_torch_file();
  for (const auto& [front, arguments] : {std::pair("\x80\x02", namespace_2), std::pair("\x80\x05", namespace_5)}) {
    file.front = front;
    file.name = "model";
    file.beside = {{"args", arguments},
                   {"best_acc", numpy_scalar},
                   {"optimizer", dict_of("state", "}K\0}s"s)},
                   {"rng", dict_of("numpy", "N")}};
    CHECK(found(file) == "model/5//epoch (an int);args (an object of argparse.Namespace);best_acc (an object of "
                         "numpy.core.multiarray.scalar);optimizer (a dict);rng (a dict);");
  }
  file = small_torch_file();
  file.python2 = true;
  CHECK(found(file) == "state_dict/5//epoch (an int);");
}

TEST_CASE("of several sets of weights one is taken and told, or the one that is asked for") {
  auto file = small_torch_file();
  auto average = small_torch_file();
  average.views.pop_back();
  file.beside = {{"state_dict_ema", average.state(false)}, {"shadow", dict_of("inner", average.state(false))}};
  CHECK(found(file) == "state_dict/5/state_dict_ema;shadow.inner;/epoch (an int);");
  CHECK(found(file, "state_dict_ema") == "state_dict_ema/4/state_dict;shadow.inner;/epoch (an int);");
  CHECK(found(file, "shadow.inner").starts_with("shadow.inner/4/"));
  CHECK(sentence([&] { found(file, "ema"); }) ==
        "f: expected one of the sets of weights state_dict, state_dict_ema, shadow.inner, got \"ema\"");
  // the average stands first in the file, and is not taken
  std::swap(file.name, file.beside[0].first);
  file.views.pop_back();
  CHECK(found(file).starts_with("state_dict/4/state_dict_ema;"));
  file.name = "model_ema", file.beside = {{"model", small_torch_file().state(false)}};
  CHECK(found(file).starts_with("model/5/model_ema;"));
}

TEST_CASE("an object where a network has a tensor is refused by name, other entries are left out") {
  auto file = small_torch_file();
  file.wrapped = false;
  const auto with = [&](const std::string& key, const std::string& value) {
    auto object = file.object(false);
    object.insert(object.size() - 2, pickle_writer{""}.string(key).bytes + value); // before SETITEMS and STOP
    return sentence([&] {
      const auto set = find_weights(pickle::read(std::as_bytes(std::span(object)), "f"), "f");
      CHECK(set.tensors.size() == 5);
    });
  };
  CHECK(with("first.more", "cnumpy.core.multiarray\n_reconstruct\n)R") ==
        "f, entry \"first.more\": expected a tensor, got an object of numpy.core.multiarray._reconstruct; nothing was "
        "executed");
  CHECK(with("args", namespace_2) == "(no error)");
  CHECK(with("layer._extra_state", numpy_scalar) == "(no error)");
  CHECK(with("version", "K\x01") == "(no error)");
}

TEST_CASE("dicts that hold each other are looked into once") {
  std::string object = "\x80\x02}q" + "\0("s;
  for (int i = 0; i < 2000; ++i) object += pickle_writer{""}.string(std::to_string(i)).bytes + "h\0"s;
  object += "u.";
  CHECK(sentence([&] { find_weights(pickle::read(std::as_bytes(std::span(object)), "f"), "f"); }) ==
        "f: expected tensors, got none among 2000 entries, of which one is 0 (a dict)");
}

} // namespace dynofa_test::model_torch_tensors
