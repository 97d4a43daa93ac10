#include "dynofa/space/json.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::space_json {

using namespace dynofa;
using nlohmann::json;

namespace {

std::string arch_fault(const json& j) {
  return support::sentence([&] { read_arch(j); });
}
std::string space_fault(const json& j) {
  return support::sentence([&] { read_space(j); });
}

} // namespace

TEST_CASE("an architecture is written as once-for-all writes it, and comes back gene by gene") {
  random_stream random(1, "json");
  for (int i = 0; i < 200; ++i) {
    const arch a = random_arch(ofa_w1_2::description, random);
    const json j = a;
    REQUIRE(j.size() == 4);
    REQUIRE(j.at("ks").size() == 20);
    REQUIRE(j.at("r") == a.r);
    const arch b = parse_arch(j.dump());
    REQUIRE(b.ks == a.ks); // inactive genes too
    REQUIRE(b.e == a.e);
    REQUIRE(b.d == a.d);
    REQUIRE(b.r == a.r);
    REQUIRE(j.get<arch>() == a);
  }
  CHECK(json(arch{}).dump() == R"({"d":[],"e":[],"ks":[],"r":0})");
}

TEST_CASE("r may be a list of one, wid null, and other fields are ignored") {
  const arch a = parse_arch(R"({"wid": null, "ks": [3, 5], "e": [4, 6], "d": [2], "r": [160], "top1": 74.2})");
  CHECK(a.r == 160);
  CHECK(a.ks == decltype(a.ks){3, 5});
  CHECK(a.e == decltype(a.e){4, 6});
  CHECK(a.d == decltype(a.d){2});
}

TEST_CASE("whatever is wrong with an architecture is one sentence that names the field") {
  const json good = largest(ofa_w1_2::description);
  CHECK(arch_fault(good) == "(no error)");
  const auto with = [&](const char* key, json value) {
    json j = good;
    j[key] = std::move(value);
    return arch_fault(j);
  };
  for (const char* key : {"ks", "e", "d", "r"}) {
    json j = good;
    j.erase(key);
    CHECK(arch_fault(j) == text("architecture: expected a field ", key, ", got none"));
  }
  CHECK(arch_fault(json::array()) == "architecture: expected an object, got array");
  CHECK(arch_fault(nullptr) == "architecture: expected an object, got null");
  CHECK(with("ks", "3") == "architecture field ks: expected a list, got string");
  CHECK(with("ks", 3) == "architecture field ks: expected a list, got 3");
  CHECK(with("ks", json(std::vector<int>(49, 3))) == "architecture field ks: expected a list of at most 48, got 49");
  CHECK(with("e", json(std::vector<int>(100000, 3))) ==
        "architecture field e: expected a list of at most 48, got 100000");
  CHECK(with("d", json(std::vector<int>(9, 2))) == "architecture field d: expected a list of at most 8, got 9");
  CHECK(with("ks", {3, -1}) == "architecture field ks[1]: expected a whole number in 0..255, got -1");
  CHECK(with("ks", {256}) == "architecture field ks[0]: expected a whole number in 0..255, got 256");
  CHECK(with("e", {3.5}) == "(no error)"); // a space may offer it
  CHECK(with("e", {3.5001}) ==
        "architecture field e[0]: expected a number in 0..255 of at most three decimal places, got 3.5001");
  CHECK(with("ks", {3.5}) == "architecture field ks[0]: expected a whole number in 0..255, got 3.5");
  CHECK(with("e", {nullptr}) == "architecture field e[0]: expected a number, got null");
  CHECK(with("d", json::array({json::array({2})})) ==
        "architecture field d[0]: expected a whole number in 0..255, got array");
  CHECK(with("r", UINT64_MAX) == "architecture field r: expected a whole number in 0..65535, got 18446744073709551615");
  CHECK(with("r", INT64_MIN) == "architecture field r: expected a whole number in 0..65535, got -9223372036854775808");
  CHECK(with("r", 1e300) == "architecture field r: expected a whole number in 0..65535, got 1e+300");
  CHECK(with("r", true) == "architecture field r: expected a whole number in 0..65535, got boolean");
  CHECK(with("r", json::array()) == "architecture field r: expected a number or a list of one, got an empty list");
  CHECK(with("r", {160, 176}) == "architecture field r: expected a list of at most 1, got 2");
  CHECK(with("r", {"160"}) == "architecture field r[0]: expected a whole number in 0..65535, got string");
  CHECK(with("wid", 1.2) == "architecture field wid: expected null, since a super-network fixes its widths, got 1.2");
}

TEST_CASE("a text that is not JSON, too deep or too long is refused") {
  const auto fault = [](std::string_view source) { return support::sentence([&] { parse_arch(source); }); };
  CHECK(fault("") == "architecture: expected a JSON text, got an empty file");
  CHECK(fault("{\"ks\": [3,") == "architecture: expected a JSON text, got something else");
  CHECK(fault("{\"r\": 1e999}") == "architecture: expected a JSON text, got something else");
  CHECK(fault("{\"r\": \"\xff\"}") == "architecture: expected a JSON text, got something else");
  CHECK(fault(std::string_view("\0{}", 3)) == "architecture: expected a JSON text, got something else");
  CHECK(fault("{} {}") == "architecture: expected a JSON text, got something else");
  CHECK(fault(std::string(100000, '[')) == "architecture: expected at most 8 nested levels, got more");
  CHECK(fault(std::string(2 << 20, ' ')) == "architecture: expected at most 1048576 bytes, got 2097152 bytes");
}

TEST_CASE("a space comes back from JSON field by field") {
  using own = search_space<network<stem_width<8>, stage_widths<16, 24>, strides<1, 2>,
                                   activations<activation::identity, activation::h_swish>, squeeze_excite<true, false>,
                                   final_width<64>, mix_width<128>, classes<3>>,
                           depth_per_stage<offer<1>, offer<3, 2>>, kernel<3, 7>, expand<1, 8>, resolution<33>>;
  for (const space_description& space : {ofa_w1_0::description, ofa_w1_2::description, own::description}) {
    const json j = space;
    CHECK(parse_space(j.dump(1)) == space);
    CHECK(j.get<space_description>() == space);
  }
  const json j = ofa_w1_2::description;
  CHECK(j.at("stages")[1].dump() == R"({"activation":"relu","depths":[2,3,4],"expands":[3,4,6],"kernels":[3,5,7],)"
                                    R"("squeeze_excite":true,"stride":2,"width":48})");
}

TEST_CASE("whatever is wrong with a space is one sentence that names the field") {
  const json good = ofa_w1_2::description;
  const auto with = [&](const char* pointer, json value) {
    json j = good;
    j[json::json_pointer(pointer)] = std::move(value);
    return space_fault(j);
  };
  for (const auto& [key, value] : good.items()) {
    json j = good;
    j.erase(key);
    CHECK(space_fault(j) == text("space: expected a field ", key, ", got none"));
  }
  for (const auto& [key, value] : good.at("stages")[0].items()) {
    json j = good;
    j["stages"][2].erase(key);
    CHECK(space_fault(j) == text("space field stages[2]: expected a field ", key, ", got none"));
  }
  CHECK(space_fault(3) == "space: expected an object, got 3");
  CHECK(with("/stages", json::array()) == "space field stages: expected at least one stage, got an empty list");
  CHECK(with("/stages", json(9, good.at("stages")[0])) == "space field stages: expected a list of at most 8, got 9");
  CHECK(with("/stages/0", 1) == "space field stages[0]: expected an object, got 1");
  CHECK(with("/stages/0/depths", {10}) ==
        "space field stages[0] field depths[0]: expected a whole number in 1..8, got 10");
  CHECK(with("/stages/0/depths", {0, 1}) ==
        "space field stages[0] field depths[0]: expected a whole number in 1..8, got 0");
  CHECK(with("/stages/4/depths", json::array()) ==
        "space field stages[4] field depths: expected at least one number, got an empty list");
  CHECK(with("/stages/4/kernels", {3, 4}) ==
        "space field stages[4] field kernels: expected kernels of 3, 5 or 7, got 4");
  CHECK(with("/stages/4/kernels", {5, 3}) ==
        "space field stages[4] field kernels: expected ascending numbers, got 5 before 3");
  CHECK(with("/stages/4/expands", {3, 3}) ==
        "space field stages[4] field expands: expected ascending numbers, got 3 before 3");
  CHECK(with("/stages/1/stride", 3) == "space field stages[1] field stride: expected a whole number in 1..2, got 3");
  CHECK(with("/stages/1/activation", "tanh") ==
        "space field stages[1] field activation: expected identity, relu, h_swish or relu6, got something else");
  CHECK(with("/stages/1/squeeze_excite", 1) ==
        "space field stages[1] field squeeze_excite: expected true or false, got 1");
  CHECK(with("/stages/1/width", 30) == "space field stages[1] field width: expected a multiple of 8, got 30");
  CHECK(with("/stem_width", -8) == "space field stem_width: expected a whole number in 8..16384, got -8");
  CHECK(with("/final_width", 1u << 31) ==
        "space field final_width: expected a whole number in 8..16384, got 2147483648");
  CHECK(with("/mix_width", "a") == "space field mix_width: expected a whole number in 8..16384, got string");
  CHECK(with("/classes", 0) == "space field classes: expected a whole number in 1..1048576, got 0");
  CHECK(with("/width_multiplier", 0) == "space field width_multiplier: expected a number above 0, at most 1000, got 0");
  CHECK(with("/bn_epsilon", "x") == "space field bn_epsilon: expected a number above 0, at most 1, got string");
  CHECK(with("/resolutions", {0}) == "space field resolutions[0]: expected a whole number in 1..4096, got 0");
  CHECK(with("/resolutions", json::object()) == "space field resolutions: expected a list, got object");
  json deep = good;
  for (auto& stage : deep["stages"]) stage["depths"] = {8};
  deep["stages"].push_back(deep["stages"][0]);
  CHECK(space_fault(deep) == "(no error)"); // 6 · 8 = 48
  deep["stages"].push_back(deep["stages"][0]);
  CHECK(space_fault(deep) == "space field stages: expected at most 48 blocks in all stages, got 56");
}

TEST_CASE("a refused text leaves the value as it was") {
  arch a = largest(ofa_w1_2::description);
  CHECK_THROWS_AS(json::object().get_to(a), error);
  CHECK(a == largest(ofa_w1_2::description));
}

TEST_CASE("ResNet: {d, e, w} as once-for-all writes it, and back") {
  constexpr const space_description& space = ofa_resnet50_space::description;
  random_stream random(3, "resnet json");
  for (int i = 0; i < 100; ++i) {
    const arch a = random_arch(space, random);
    json j = a;
    REQUIRE(j.size() == 5);
    REQUIRE(j.at("w").size() == 6);
    REQUIRE(conform(space, parse_arch(j.dump())) == a);
    j.erase("ks"); // once-for-all's ResNet has no choice there
    REQUIRE(conform(space, parse_arch(j.dump())) == a);
    REQUIRE(conform(space, parse_arch(j.dump())).hash() == a.hash());
  }
  const arch a = parse_arch(R"({"d": [1, 0, 1, 2, 0], "e": [0.35, 0.2, 0.25, 0.35, 0.2, 0.25, 0.35, 0.2, 0.25, 0.35,
      0.2, 0.25, 0.35, 0.2, 0.25, 0.35, 0.2, 0.25], "w": [0, 1, 2, 0.0, 1, 2], "image_size": [160]})");
  CHECK(a.ks.empty());
  CHECK(a.w == decltype(a.w){0, 1, 2, 0, 1, 2});
  CHECK(is_legal(space, a));
  CHECK(conform(space, a).d[0] == 0);
  const auto with = [&](const char* key, json value) {
    json j = largest(space);
    j[key] = std::move(value);
    return arch_fault(j);
  };
  CHECK(with("w", json(std::vector<int>(10, 0))) == "architecture field w: expected a list of at most 9, got 10");
  CHECK(with("w", {0, -1}) == "architecture field w[1]: expected a whole number in 0..255, got -1");
  CHECK(with("w", {0.5}) == "architecture field w[0]: expected a whole number in 0..255, got 0.5");
  CHECK(with("w", 2) == "architecture field w: expected a list, got 2");
  CHECK(with("w", {nullptr}) == "architecture field w[0]: expected a whole number in 0..255, got null");
  json without = largest(ofa_w1_2::description);
  without.erase("ks");
  CHECK(arch_fault(without) == "architecture: expected a field ks, got none"); // only ResNet may lack it
}

TEST_CASE("spaces with widths, bottlenecks and a deep stem come back field by field") {
  for (const space_description& space : {ofa_resnet50_space::description, support::tiny_resnet_space::description,
                                         support::tiny_slimmable_space::description, ofa_proxyless_w1_3::description}) {
    const json j = space;
    CHECK(parse_space(j.dump()) == space);
  }
  const json j = ofa_resnet50_space::description;
  CHECK(j.at("widths").dump() == "[0.65,0.8,1]");
  CHECK_FALSE(j.contains("one_width"));
  CHECK(j.at("stages")[0].at("kind") == "deep_stem");
  CHECK(j.at("stages")[3].at("kind") == "bottleneck");
  CHECK(j.at("stages")[3].at("fixed_blocks") == 4);
  CHECK(json(support::tiny_slimmable_space::description).at("one_width") == true);
}

TEST_CASE("whatever is wrong with widths, kinds and fixed blocks is one sentence that names the field") {
  const auto in = [](const space_description& space) {
    return [good = json(space)](const char* pointer, json value) {
      json j = good;
      const json::json_pointer at(pointer);
      if (value.is_discarded())
        j.at(at.parent_pointer()).erase(at.back());
      else
        j[at] = std::move(value);
      return space_fault(j);
    };
  };
  const auto with = in(ofa_resnet50_space::description), mobile = in(ofa_w1_2::description);
  const json gone(json::value_t::discarded);
  CHECK(with("/widths", {0.65, 0.8}) == "space field widths: expected 1 as the largest, got 0.8");
  CHECK(with("/widths", {0.5, 2}).starts_with("space field widths[1]: expected a number in 0.01..1"));
  CHECK(with("/widths", {0, 1}).starts_with("space field widths[0]: expected a number in 0.01..1"));
  CHECK(with("/widths", {1, 0.5}).starts_with("space field widths: expected ascending numbers"));
  CHECK(with("/widths", json::array()) == "space field widths: expected at least one number, got an empty list");
  CHECK(with("/widths", std::vector<double>(9, 1)).starts_with("space field widths: expected a list of at most 8"));
  CHECK(with("/widths", 1) == "space field widths: expected a list, got 1");
  CHECK(with("/one_width", 1) == "space field one_width: expected true or false, got 1");
  CHECK(mobile("/one_width", true) == "space field one_width: expected false without widths, got true");
  CHECK(with("/stages/1/kind", "deep_stem") ==
        "space field stages[1] field kind: expected a deep stem as the first stage only, got stage 2");
  CHECK(with("/stages/1/kind", "stem") ==
        "space field stages[1] field kind: expected inverted_residual, bottleneck or deep_stem, got something else");
  CHECK(with("/stages/1/kind", 3).starts_with("space field stages[1] field kind: expected"));
  CHECK(with("/stages/1/squeeze_excite", true) ==
        "space field stages[1] field squeeze_excite: expected false, which goes with inverted residuals, got true");
  CHECK(with("/stages/1/blocks", gone) == "space field stages[1]: expected a field blocks, got none");
  CHECK(with("/stages/1/blocks", 3) == "space field stages[1] field blocks: expected a whole number in 4..48, got 3");
  CHECK(with("/stages/1/fixed_blocks", 49) ==
        "space field stages[1] field fixed_blocks: expected a whole number in 0..48, got 49");
  CHECK(with("/stages/1/fixed_blocks", 0) ==
        "space field stages[1] field depths[0]: expected a whole number in 1..8, got 0"); // no block would be left
  CHECK(with("/stages/0/depths", {0, 1, 2}) ==
        "space field stages[0] field depths: expected one depth or two, got more");
  CHECK(with("/stages/0/fixed_blocks", 1) ==
        "space field stages[0] field fixed_blocks: expected none, since a deep stem has no blocks, got 1");
  CHECK(with("/stages/0/blocks", 1) ==
        "space field stages[0] field blocks: expected none, since a deep stem has no blocks, got 1");
  CHECK(with("/stages/1/expands", {0.001}).find("expands[0]: expected a number in 0.01..8") != std::string::npos);
  CHECK(with("/mix_width", 0) == "(no error)");
  CHECK(with("/final_width", 960) ==
        "space field mix_width: expected channels behind the last convolution before pooling, got 0");
  json stem_only = ofa_resnet50_space::description;
  stem_only["stages"] = json::array({stem_only["stages"][0]});
  CHECK(space_fault(stem_only) == "space field stages: expected at least one stage of blocks, got a deep stem alone");
}

} // namespace dynofa_test::space_json
