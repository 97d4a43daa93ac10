#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::model_load {

using namespace dynofa;
using support::sentence;

namespace {
const space_description& space = support::tiny_space::description;
const std::filesystem::path golden = DYNOFA_SOURCE_DIR "/tests/golden/tiny";
} // namespace

TEST_CASE("all formats and both key styles give the same network") {
  const auto hash = load_supernet(golden / "supernet.safetensors", space).hash();
  for (const char* file : {"supernet_legacy.pth", "supernet_legacy_official_style.pth", "supernet_zip.pth"})
    CHECK(load_supernet(golden / file, space).hash() == hash);
}

TEST_CASE("a saved super-network carries its space") {
  const support::scratch_folder folder;
  const auto tensors = random_checkpoint(space, 7);
  save_checkpoint(folder.path() / "a.safetensors", tensors, space);
  const supernet net = load_supernet(folder.path() / "a.safetensors");
  CHECK(net.space == space);
  CHECK(net.hash() == make_supernet(space, tensors).hash());

  save_checkpoint(folder.path() / "half.safetensors", tensors, space, dtype::f16);
  const supernet half = load_supernet(folder.path() / "half.safetensors");
  CHECK(half.norms[0].weight == net.norms[0].weight); // kept wide
  CHECK(half.weights.back() == net.weights.back());   // a bias
  CHECK(half.weights[0][5] == half_to_float(float_to_half(net.weights[0][5])));

  auto large = tensors;
  large["classifier.linear.weight"] = tensor::of_floats(std::vector<float>(2560, 1e6f), {10, 256});
  CHECK(sentence([&] { save_checkpoint(folder.path() / "half.safetensors", large, space, dtype::f16); }) ==
        "save_checkpoint tensor classifier.linear.weight: expected weights that fit half precision, got 1e+06");
  CHECK(load_supernet(folder.path() / "half.safetensors").hash() == half.hash()); // the old file is still there
}

TEST_CASE("wrong files are refused with a sentence") {
  CHECK(sentence([] {
          load_supernet(golden / "supernet_zip.pth");
        }).ends_with("expected metadata dynofa.space, or the space as an argument, got torch zip without it"));
  CHECK(sentence([] {
          load_supernet(golden / "subnet_case_01.safetensors", space);
        }).find("expected a super-network, got an extracted sub-network") != std::string::npos);
  CHECK(sentence([] {
          load_supernet(golden / "supernet.safetensors", ofa_w1_2::description);
        }).find("first_conv.conv.weight: expected [24, 3, 3, 3], got [8, 3, 3, 3]") != std::string::npos);
}

TEST_CASE("an extracted sub-network runs as the super-network it came from, and as nothing else") {
  const support::scratch_folder folder;
  const auto net = std::make_shared<const supernet>(random_supernet(space, 7));
  random_stream random(3);
  const arch a = random_arch(space, random);
  const plan p = make_plan(space, a);
  write_safetensors(folder.path() / "sub.safetensors", extract(*net, p), {});
  const auto sub = std::make_shared<const supernet>(load_extracted(folder.path() / "sub.safetensors", space, a));

  const std::vector<float> image(image_values(a.r), 0.25f);
  session whole(backend::reference{}, net), part(backend::reference{}, sub);
  auto level = whole.load(a), same = part.load(a);
  CHECK(whole.run(level, image) == part.run(same, image));
  arch other = a;
  other.d[0] = a.d[0] == 2 ? 3 : 2;
  CHECK(sentence([&] { part.load(other); }).starts_with("session: expected the extracted sub-network r"));
}

} // namespace dynofa_test::model_load
