// Family files, with a checksum made to fit again so that every reader behind it is reached.
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/file.inl" // its own parts, where the rest is linked
#include "dynofa/family/published.hpp"

#include <doctest/doctest.h>

#include "fuzz/parts.hpp"
#include "support/fuzz.hpp"
#include "support/scratch_folder.hpp"
#include "support/some_ranges.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::fuzz_family {

using namespace dynofa;
using namespace support;

namespace {

family small_family(const space_description& space) {
  const auto net = std::make_shared<const supernet>(random_supernet(space, 7));
  family f(net, data::exact_preprocessing(), {{"n1", "cat"}, {"n2", "dog"}, {"n3", "caf\u00e9"}});
  for (const arch& a : {smallest(net->space), largest(net->space)}) {
    bn_statistics statistics = stored_statistics(*net, a);
    if (f.levels().empty()) statistics.ranges = some_ranges(make_plan(net->space, a));
    f.add({a, statistics, {100, 50, 70}, {{"here", 1, 2, 0.5, 10}}});
  }
  set_provenance(f, {{"origin", "a test"}});
  set_inputs(f, {{"seed", "1"}});
  latency_table table;
  table.device = "here";
  table.resolutions[16]["Logits-input:1x1x16-output:3"].mean = milliseconds(1.25);
  set_table(f, table);
  const auto layout = feature_layout::of_space(net->space);
  set_predictor(f, {net->space, layout, {{{std::vector<float>(2 * layout.size(), 0.5f), {0, 1}}, {{1, 2}, {3}}}}});
  return f;
}

std::string with_fitting_checksum(std::string s) {
  using namespace detail::family_io;
  const auto key = s.find(checksum_key);
  if (key == s.npos || key + checksum_key.size() + checksum_digits > s.size()) return s;
  const auto at = key + checksum_key.size();
  return s.replace(at, checksum_digits, checksum(std::as_bytes(std::span(s)), at, {}));
}

/// What a device and design time do with a family that was read.
void use(const family& f) {
  for (const auto& l : f.levels()) check_statistics(make_plan(f.space(), l.arch), l.statistics);
  visit_weights(*f.net(), [](const std::string&, const std::vector<float>& values, const shape_type&) {
    REQUIRE(first_not_finite(values) == values.size());
  });
  try {
    (void)provenance_of(f), (void)inputs_of(f), (void)table_of(f);
    if (const auto predictor = predictor_of(f)) (void)(*predictor)(largest(f.space()));
  } catch (const error& e) { // sections name no file
    REQUIRE(std::string_view(e.what()).find('\n') == std::string_view::npos);
  }
}

} // namespace

TEST_CASE("family files") {
  const scratch_folder folder;
  save_family(folder.path() / "f", small_family(least_space::description));
  save_family(folder.path() / "resnet", small_family(least_resnet_space::description));
  const file_parts parts({read_text(folder.path() / "f"), read_text(folder.path() / "resnet")});
  const auto read = [&](const file_bytes& file, std::size_t i) {
    use(read_family(in_memory(with_fitting_checksum(parts.with(file.text(), i))), "f"));
  };
  fuzz::alter({"families"}, parts.forms(), 800, fuzz::mutator(1, fuzz::text_pieces, true), read).expect(2, 30);
}

TEST_CASE("published families") {
  const auto space = least_space::description;
  const plan p = make_plan(space, smallest(space));
  const auto wanted = stored_statistics(random_supernet(space, 7), p);
  state_dict tensors;
  std::size_t at = 0;
  for (std::size_t b = 0; b < p.blocks.size(); ++b)
    for (int i = 0; i < p.blocks[b].norm_count(); ++i) {
      const std::string name = "level4/" + norm_name(p, b, i);
      const auto n = static_cast<std::size_t>(p.blocks[b].norm_channels(i));
      tensors[name + ".mean"] = tensor::of_floats(std::span(wanted.mean).subspan(at, n), {std::int64_t(n)});
      tensors[name + ".var"] = tensor::of_floats(std::span(wanted.var).subspan(at, n), {std::int64_t(n)});
      at += n;
    }
  nlohmann::json one = p.arch;
  one["platform"] = "gpu", one["level"] = 4, one["top1"] = 74.202, one["latency_ms"] = 41.5;
  const std::vector<std::string> forms{nlohmann::json{{"subnets", {one}}}.dump(), as_safetensors(tensors, {})};
  const scratch_folder folder;
  const auto f = folder.path() / "f";
  const std::filesystem::path good[] = {folder.path() / "nets.json", folder.path() / "bn.safetensors"};
  for (int i : {0, 1}) write_text(good[i], forms[static_cast<std::size_t>(i)]);
  const auto read = [&](const file_bytes& file, std::size_t i) {
    write_text(f, file.text());
    (void)load_published_levels(i == 0 ? f : good[0], "gpu", i == 1 ? f : good[1], space);
  };
  fuzz::alter({"published families", ""}, forms, 500, fuzz::mutator(2, fuzz::text_pieces, true), read).expect(2, 30);
}

} // namespace dynofa_test::fuzz_family
