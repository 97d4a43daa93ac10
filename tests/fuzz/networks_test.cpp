// What describes a network or belongs to one: architectures, spaces, configs, statistics, classifiers, predictors.
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/calibrate/statistics_file.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/model/network_config.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "fuzz/parts.hpp"
#include "support/fuzz.hpp"
#include "support/scratch_folder.hpp"
#include "support/some_ranges.hpp"
#include "support/tiny_space.hpp"
#include <limits>

namespace dynofa_test::fuzz_networks {

using namespace dynofa;
using namespace support;

namespace {

const space_description space = least_space::description, resnet = least_resnet_space::description;

/// What is done with a space before anything is allocated for it.
void use(const space_description& read) {
  REQUIRE(parse_space(nlohmann::json(read).dump()) == read);
  random_stream random(1, "use");
  for (const arch& a : {smallest(read), largest(read), random_arch(read, random)}) {
    validate(read, a);
    REQUIRE(make_plan(read, a).macs() > 0);
    REQUIRE(feature_layout::of_space(read)(a).size() > 0);
  }
}

/// Fuzzes a reader of safetensors files with metadata.
template <class Load>
void alter_parts(const char* what, const std::vector<std::string>& files, std::size_t usual, std::uint64_t seed,
                 Load load) {
  const file_parts parts(files);
  const scratch_folder folder;
  const auto read = [&](const file_bytes& file, std::size_t i) {
    write_text(folder.path() / "f", parts.with(file.text(), i));
    load(folder.path() / "f");
  };
  // of what is wrong with a text of the metadata some sentences name only the text
  fuzz::alter({what, ""}, parts.forms(), usual, fuzz::mutator(seed, fuzz::text_pieces, true), read).expect(2, 20);
}

std::string classifier_file(const space_description& of) {
  return as_safetensors(random_checkpoint(of, 7),
                        {{"dynofa.space", nlohmann::json(of).dump()},
                         {"dynofa.preprocessing", nlohmann::json(data::exact_preprocessing()).dump()},
                         {"dynofa.classes", R"(["cat",{"wnid":"n2","name":"dog"},"caf\u00e9"])"},
                         {"dynofa.origin", "a test"}});
}
std::string extracted_file(const space_description& of) {
  return as_safetensors(extract(random_supernet(of, 7), make_plan(of, smallest(of))), {});
}
/// Layers of `names` (weight and bias) from so many inputs on.
std::string official_file(std::int64_t inputs, const std::vector<std::pair<std::string, std::string>>& names) {
  state_dict tensors;
  for (std::size_t l = 0; l < names.size(); ++l) {
    const std::int64_t outputs = l + 1 == names.size() ? 1 : 3;
    tensors[names[l].first] =
        tensor::of_floats(std::vector<float>(static_cast<std::size_t>(outputs * inputs), 0.5f), {outputs, inputs});
    tensors[names[l].second] =
        tensor::of_floats(std::vector<float>(static_cast<std::size_t>(outputs), 0.5f), {outputs});
    inputs = outputs;
  }
  return as_safetensors(tensors, {});
}

} // namespace

TEST_CASE("architectures") {
  nlohmann::json other = largest(ofa_w1_2::description);
  const std::string ours = other.dump();
  other["image_size"] = {160.0}, other.erase("r"), other["wid"] = nullptr, other["d"][0] = 2;
  other["ks"][2] = other["e"][3] = nullptr;
  fuzz::alter({"architectures", "architecture"}, {ours, other.dump(), nlohmann::json(largest(resnet)).dump()}, 5'000,
              fuzz::mutator(1),
              [](const file_bytes& file, std::size_t) {
                const arch a = parse_arch(file.text());
                REQUIRE(!text(a).empty()); // whatever was read can be printed and compared
                REQUIRE(a == a.canonical());
                REQUIRE(parse_arch(nlohmann::json(a).dump()) == a);
              })
      .expect(1, 20);
}

TEST_CASE("spaces") {
  fuzz::alter({"spaces", "space"},
              {nlohmann::json(space).dump(), nlohmann::json(resnet).dump(),
               nlohmann::json(tiny_proxyless()->space).dump(), nlohmann::json(tiny_slimmable_space::description).dump(),
               nlohmann::json(ofa_w1_2::description).dump(1)},
              2'000, fuzz::mutator(2), [](const file_bytes& file, std::size_t) { use(parse_space(file.text())); })
      .expect(1, 20);
}

TEST_CASE("configs of published networks") {
  const auto all = nlohmann::json::parse(map_file(DYNOFA_SOURCE_DIR "/tests/golden/network_configs.json").text());
  std::vector<std::string> forms;
  for (const auto& one : all) forms.push_back(one.at("net").dump());
  fuzz::alter({"network configs", ""}, forms, 1'000, fuzz::mutator(3), [](const file_bytes& file, std::size_t) {
    const auto read = read_network_config(detail::parse_bounded(file.text(), "f"), 224);
    validate(read.space, read.arch);
    use(read.space);
  }).expect(1, 20);
}

TEST_CASE("rules of preprocessing") {
  fuzz::alter(
      {"preprocessing", ""},
      {nlohmann::json(data::imagenet_preprocessing()).dump(), nlohmann::json(data::exact_preprocessing()).dump()},
      2'000, fuzz::mutator(4),
      [](const file_bytes& file, std::size_t) {
        const auto rule = detail::parse_bounded(file.text(), "f").get<data::preprocessing>();
        rule.validate();
        REQUIRE(nlohmann::json(rule).get<data::preprocessing>() == rule);
      })
      .expect(1, 20);
}

TEST_CASE("names of tensors") {
  std::string names, old;
  for (const auto& of : {space, resnet})
    for (std::size_t i = 0; const auto& [name, t] : random_checkpoint(of, 7)) {
      if (i++ % 16 != 0) continue;
      names += name + '\n';
      old += "module.blocks.1.mobile_inverted_conv." + name + '\n';
    }
  constexpr std::string_view pieces[] = {".",           "conv.",     "blocks.",    "module.",     "model.",
                                         "_orig_mod.",  "\n",        "bn.",        "1",           "0",
                                         "99999999999", "total_ops", "n_averaged", "7to5_matrix", ".weight"};
  fuzz::alter({"names of tensors"}, {names, old}, 2'000, fuzz::mutator(5, pieces),
              [](const file_bytes& file, std::size_t) {
                state_dict tensors;
                for (std::string_view rest = file.text(); !rest.empty();) {
                  const auto end = std::min(rest.find('\n'), rest.size() - 1);
                  tensors[std::string(rest.substr(0, end))];
                  rest.remove_prefix(end + 1);
                }
                const auto canonical = with_canonical_keys(tensors, "f");
                REQUIRE(with_canonical_keys(canonical, "f").size() == canonical.size());
                (void)style_of(canonical, "f");
              })
      .expect(10, 0);
}

TEST_CASE("statistics of batch norm") {
  const scratch_folder folder;
  const supernet net = random_supernet(space, 7);
  const plan p = make_plan(space, smallest(space));
  const auto rule = data::imagenet_preprocessing();
  bn_statistics with_ranges = stored_statistics(net, p);
  save_statistics(folder.path() / "s", {net.hash(), p.arch, rule, 2000, with_ranges});
  with_ranges.ranges = some_ranges(p);
  save_statistics(folder.path() / "ranges", {net.hash(), p.arch, rule, 2000, with_ranges});
  alter_parts("statistics", {read_text(folder.path() / "s"), read_text(folder.path() / "ranges")}, 2'000, 6,
              [&](const auto& f) { check_statistics(p, load_statistics(f, net, p.arch, rule).statistics); });
}

TEST_CASE("super-networks with their classes") {
  alter_parts("classifiers", {classifier_file(space), classifier_file(resnet)}, 400, 7, [](const auto& f) {
    const auto c = load_classifier(f);
    REQUIRE(c.class_names.size() == static_cast<std::size_t>(c.net->space.classes));
    (void)nlohmann::json(c.class_names).dump();
    visit_weights(*c.net, [](const std::string&, const std::vector<float>& values, const shape_type&) {
      REQUIRE(first_not_finite(values) == values.size());
    });
  });
}

TEST_CASE("extracted networks") {
  alter_parts("extracted networks", {extracted_file(space)}, 200, 8, [&](const auto& f) {
    const supernet net = load_extracted(f, space, smallest(space));
    REQUIRE(net.only);
  });
  alter_parts("extracted ResNets", {extracted_file(resnet)}, 200, 9, [&](const auto& f) {
    const supernet net = load_extracted(f, resnet, smallest(resnet));
    REQUIRE(net.only);
  });
}

TEST_CASE("predictors") {
  const scratch_folder folder;
  std::vector<std::string> files;
  for (const auto& of : {space, resnet}) {
    const auto layout = feature_layout::of_space(of);
    save_predictor(folder.path() / "p",
                   {of, layout, {{{std::vector<float>(2 * layout.size(), 0.5f), {0, 1}}, {{1, 2}, {3}}}}});
    files.push_back(read_text(folder.path() / "p"));
  }
  alter_parts("predictors", files, 2'000, 10, [&](const auto& f) {
    const auto predictor = load_predictor(f);
    (void)predictor(largest(predictor.space()));
  });
}

TEST_CASE("official predictors") {
  alter_parts(
      "official predictors",
      {official_file(128,
                     {{"0.weight", "0.bias"}, {"2.weight", "2.bias"}, {"4.weight", "4.bias"}, {"6.weight", "6.bias"}})},
      500, 11,
      [](const auto& f) { (void)load_official_predictor(f, ofa_w1_2::description)(largest(ofa_w1_2::description)); });
  alter_parts("official predictors of ResNet",
              {official_file(82, {{"layers.0.0.weight", "layers.0.0.bias"},
                                  {"layers.1.0.weight", "layers.1.0.bias"},
                                  {"layers.2.0.weight", "layers.2.0.bias"},
                                  {"layers.3.weight", "base_acc"}})},
              500, 12, [](const auto& f) {
                (void)load_official_predictor(f, ofa_resnet50_space::description)(
                    largest(ofa_resnet50_space::description));
              });
}

} // namespace dynofa_test::fuzz_networks
