#include "dynofa/accuracy/data.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::accuracy_data {

using namespace dynofa;
using support::sentence;

namespace {
const std::string good =
    R"({"ks":[3,3,5,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3],"e":[3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,6],)"
    R"("d":[2,2,2,2,4],"r":64,"top1":0.5,"other":[]})";
std::string with(std::string line, const std::string& from, const std::string& to) {
  return line.replace(line.find(from), from.size(), to);
}
} // namespace

TEST_CASE("JSON lines are read") {
  const auto data = parse_accuracy_data(good + "\n\n  \r\n" + with(good, "0.5", "61.25") + "\r\n" + good);
  REQUIRE(data.size() == 3);
  CHECK(data[0].arch.ks[2] == 5);
  CHECK(data[0].arch.r == 64);
  CHECK(data[0].accuracy == 0.5);
  CHECK(data[1].accuracy == 61.25);
  CHECK(data[2].arch == data[0].arch);
  const support::scratch_folder folder;
  support::write_text(folder.path() / "a.jsonl", good);
  CHECK(load_accuracy_data(folder.path() / "a.jsonl").size() == 1);
}

TEST_CASE("a fault is one sentence with its line") {
  const auto fault = [](const std::string& source) {
    return sentence([&] { parse_accuracy_data(source, "a.jsonl"); });
  };
  CHECK(fault("") == "a.jsonl: expected at least one line, got an empty file");
  CHECK(fault(good + "\n{\n") == "a.jsonl line 2: expected a JSON text, got something else");
  CHECK(fault("\n[]") == "a.jsonl line 2: expected an object, got array");
  CHECK(fault(with(good, R"("top1":0.5)", R"("top":0.5)")) == "a.jsonl line 1: expected a field top1, got none");
  CHECK(fault(with(good, "0.5", "\"a\"")) == "a.jsonl line 1 field top1: expected a number in -1000..1000, got string");
  CHECK(fault(with(good, "0.5", "1e7")).starts_with("a.jsonl line 1 field top1: expected a number"));
  CHECK(fault(with(good, R"("ks":[3,)", R"("ks":[999,)")) ==
        "a.jsonl line 1, architecture field ks[0]: expected a whole number in 0..255, got 999");
  CHECK(fault(with(good, R"("ks":[3,)", R"("ks":[)")) ==
        "a.jsonl line 1: expected as many ks as e, a whole number per d, got 19, 20 and 5");
}

TEST_CASE("what Python programs write of the same measurements reads as the same data") {
  const auto wanted = parse_accuracy_data(good + "\n" + with(with(good, "64", "128"), "0.5", "0.625"));
  const auto same = [&](const std::string& source) {
    const auto data = parse_accuracy_data(source);
    REQUIRE(data.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(data[i].arch == wanted[i].arch);
      CHECK(data[i].arch.ks.size() == 20);
      CHECK(data[i].accuracy == wanted[i].accuracy);
    }
  };
  const auto both = [](const std::string& line) { return line + "\n" + with(with(line, "64", "128"), "0.5", "0.625"); };
  same(both(with(good, R"("r":64)", R"("image_size":64)")));
  same(both(with(good, R"("r":64)", R"("r":[64.0],"wid":null)")));
  same(both(with(with(good, R"("ks":[3,3,5)", R"("ks":[3.0,3.0,null)"), R"("e":[3,3,3)", R"("e":[3.0,3.0,null)")));
  // only the genes of the 12 blocks that run
  same(both(R"({"ks":[3,3,3,3,3,3,3,3,3,3,3,3],"e":[3,3,3,3,3,3,3,3,3,3,3,6],"d":[2,2,2,2,4],"r":64,"top1":0.5})"));

  // once-for-all's acc.dict
  const auto escaped = [](std::string line) {
    line = with(line, R"(,"top1":0.5,"other":[])", "");
    for (std::size_t at = 0; (at = line.find('"', at)) != line.npos; at += 2) line.insert(at, "\\");
    return line;
  };
  const std::string a = escaped(good), b = with(a, "64", "128");
  for (const char* indent : {"", "\n    "}) {
    const auto data =
        parse_accuracy_data(text("{", indent, '"', a, "\": 0.5,", indent, '"', b, "\": 0.625\n}"), "acc.dict");
    REQUIRE(data.size() == 2);
    for (const auto& one : data) CHECK(one.accuracy == (one.arch.r == 64 ? 0.5 : 0.625)); // in the order of their names
  }
  CHECK(sentence([&] { parse_accuracy_data("{\"" + a + "\": \"?\"}", "acc.dict"); }).ends_with("got string"));
  CHECK(sentence([&] { parse_accuracy_data("{\"{}\": 0.5}", "acc.dict"); }) ==
        "acc.dict, entry \"{}\", architecture: expected a field d, got none");
}

TEST_CASE("measurements of ProxylessNAS are read as its space deals blocks to stages") {
  const space_description space = support::tiny_proxyless()->space;
  random_stream random(2, "lines");
  std::string full, five, active; // all genes; without the depth of the sixth stage; only genes of blocks that run
  std::vector<arch> wanted;
  for (int i = 0; i < 20; ++i) {
    const arch a = random_arch(space, random);
    wanted.push_back(a);
    nlohmann::json json = a;
    json["top1"] = 0.5;
    full += json.dump() + "\n";
    json["d"].erase(5);
    five += json.dump() + "\n";
    json["ks"] = json["e"] = nlohmann::json::array();
    for (std::size_t b = 0; b < a.ks.size(); ++b)
      if (a.active(b)) json["ks"].push_back(a.ks[b]), json["e"].push_back(int(a.e[b]));
    active += json.dump() + "\n";
  }
  for (const std::string& source : {full, five, active}) {
    const auto data = parse_accuracy_data(source, "p.jsonl", &space);
    REQUIRE(data.size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      CHECK(data[i].arch == wanted[i]);
      CHECK(data[i].arch.hash() == wanted[i].hash());
      CHECK(is_legal(space, data[i].arch));
    }
    CHECK(space_of_data(space, data).stages == space.stages);
  }
  CHECK(sentence([&] { parse_accuracy_data(full, "p.jsonl"); }) ==
        "p.jsonl, architecture 1: expected as many ks as e, a whole number per d, got 21, 21 and 6");
  CHECK(sentence([&] { parse_accuracy_data(good, "p.jsonl", &space); }) ==
        "p.jsonl, architecture 1: expected 21 ks and e, 6 d, got 20, 20 and 6");
  CHECK(sentence([&] {
          parse_accuracy_data(with(good, R"("d":[2,2,2,2,4])", R"("d":[200,2,2,2,4,1,1,1])"), "p.jsonl", &space);
        }) == "p.jsonl, architecture 1: expected 21 ks and e, 6 d, got 20, 20 and 8");
  CHECK(parse_accuracy_data(good, "p.jsonl", &support::tiny_space::description).size() == 1);
}

TEST_CASE("an accuracy that is NaN, and a gene that is missing, are named") {
  const auto fault = [](const std::string& source) {
    return sentence([&] { parse_accuracy_data(source, "a.jsonl"); });
  };
  CHECK(fault(good + "\n" + with(good, "0.5", "NaN")) ==
        "a.jsonl line 2: expected finite numbers, got NaN as \"top1\"");
  CHECK(fault(with(good, "0.5", "-Infinity")).ends_with("got Infinity as \"top1\""));
  CHECK(fault(with(good, R"("ks":[3,)", R"("ks":[null,)")) ==
        "a.jsonl line 1, architecture field ks[0]: expected a number, since its block runs, got null");
  CHECK(fault(with(good, R"("r":64)", R"("r":64,"image_size":65)")).ends_with("expected the same as r, 64, got 65"));
  CHECK(fault(with(good, R"("d":[2,)", R"("d":[2.5,)"))
            .ends_with("field d[0]: expected a whole number in 0..255, got 2.5"));
}

TEST_CASE("the space of data") {
  auto data = parse_accuracy_data(good + "\n" + with(good, "64", "128"));
  const space_description base = support::tiny_space::description;
  space_description space = space_of_data(base, data);
  CHECK(space.resolutions == decltype(space.resolutions){64, 128});
  CHECK(space.stages == base.stages);
  data[0].arch.e[4] = 2;
  data[0].arch.d[0] = 1;
  space = space_of_data(base, data);
  CHECK(space.stages[1].expands == ratios{2, 3, 4, 6});
  CHECK(space.stages[0].depths == choices{1, 2, 3, 4});
  CHECK(space.stages[2] == base.stages[2]);
  for (const auto& one : data) CHECK(is_legal(space, one.arch));
  data[1].arch.ks[7] = 4;
  CHECK(sentence([&] { space_of_data(base, data); }) ==
        "space of accuracy data: expected kernels of 3, 5 and 7, got 4");
  data[1].arch.ks[7] = 9;
  CHECK(sentence([&] { space_of_data(base, data); }) == "space of accuracy data: expected kernels in 3..7, got 3..9");
  data[1].arch.ks.resize(19);
  CHECK(sentence([&] { space_of_data(base, data); }) ==
        "space of accuracy data: expected 5 stages and 20 blocks, got 5 depths and 19 kernels");
  CHECK(sentence([&] { space_of_data(base, {}); }).starts_with("space of accuracy data: expected 1 to 64 resolutions"));
}

TEST_CASE("a split keeps everything, and repeats by seed") {
  std::vector<measured_arch> data(50, parse_accuracy_data(good)[0]);
  for (std::size_t i = 0; i < data.size(); ++i) data[i].accuracy = double(i);
  const auto values = [](const std::vector<measured_arch>& part) {
    std::vector<double> v;
    for (const auto& one : part) v.push_back(one.accuracy);
    return v;
  };
  const auto [train, test] = split(data, 0.8, 1);
  CHECK(train.size() == 40);
  CHECK(test.size() == 10);
  auto all = values(train), rest = values(test);
  CHECK_FALSE(std::is_sorted(all.begin(), all.end()));
  CHECK(values(split(data, 0.8, 1).first) == all);
  CHECK(values(split(data, 0.8, 2).first) != all);
  all.insert(all.end(), rest.begin(), rest.end());
  std::sort(all.begin(), all.end());
  CHECK(all == values(data));
}

TEST_CASE("ResNet's measurements: {d, e, w}, and their space") {
  const space_description& resnet = support::tiny_resnet_space::description;
  random_stream random(3, "resnet data");
  std::string lines;
  std::vector<arch> archs;
  for (int i = 0; i < 20; ++i) {
    archs.push_back(random_arch(resnet, random));
    nlohmann::json one = archs.back();
    one.erase("ks"), one["top1"] = 0.5;
    lines += one.dump() + "\n";
  }
  auto data = parse_accuracy_data(lines);
  REQUIRE(data.size() == 20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(conform(resnet, data[i].arch) == archs[i]);
  const space_description found = space_of_data(resnet, data);
  CHECK(found.stages == resnet.stages);
  CHECK(found.widths == resnet.widths);
  data[0].arch.w[3] = 3;
  CHECK(
      sentence([&] { space_of_data(resnet, data); }) ==
      text("space of accuracy data: expected 6 widths of 3 on offer, got w ", dynofa::detail::list_of(data[0].arch.w)));
  data[0].arch.w.resize(5);
  CHECK(sentence([&] { space_of_data(resnet, data); }).starts_with("space of accuracy data: expected 6 widths"));
  data[0].arch.w = archs[0].w, data[0].arch.d[2] = 3;
  CHECK(sentence([&] { space_of_data(resnet, data); }) == "space of accuracy data: expected depths in 0..2, got 0..3");
}

} // namespace dynofa_test::accuracy_data
