#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include "support/torch_checkpoint.hpp"

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

TEST_CASE("checkpoints as training scripts write them give the same network") {
  const auto tensors = random_checkpoint(space, 7);
  const auto hash = make_supernet(space, tensors).hash();
  const support::scratch_folder folder;
  const auto path = folder.path() / "x.pth";
  const auto load = [&](const std::string& content, const char* weights = "") {
    support::write_text(path, content);
    return load_supernet(path, space, weights).hash();
  };
  const auto zipped = [](const support::torch_file& file) { return support::zip_of(file.zip_entries()); };
  // once-for-all's own trainer, DataParallel: a numpy score beside the weights
  auto file = support::torch_file_of(tensors, "module.");
  file.beside = {{"best_acc", support::numpy_scalar}, {"optimizer", "}"}};
  CHECK(load(file.legacy()) == hash);
  CHECK(load(zipped(file)) == hash);
  // torchvision's and timm's: model and args; protocol 5; torch.compile under a trainer's member
  file = support::torch_file_of(tensors, "model._orig_mod.module.");
  file.name = "model", file.front = "\x80\x05";
  file.beside = {{"args", support::namespace_5}, {"best_acc", support::numpy_scalar}};
  CHECK(load(zipped(file)) == hash);
  // Python 2
  file = support::torch_file_of(tensors);
  file.python2 = true;
  CHECK(load(file.legacy()) == hash);
  // thop's counters, and a buffer that is expanded from one element
  auto counted = tensors;
  counted["total_ops"] = counted["blocks.3.conv.total_params"] = tensor::of_floats(std::vector<float>(1), {1});
  counted["first_conv.bn.running_var"] = tensor::of_floats(std::vector<float>(8, 1.f), {8});
  file = support::torch_file_of(counted);
  for (auto& view : file.views)
    if (view.name == "first_conv.bn.running_var") {
      file.storages[view.storage].content.resize(4), file.storages[view.storage].numel = 1;
      view.strides = {0};
    }
  CHECK(load(file.legacy()) == hash); // of what is learnt
  CHECK(load_supernet(path, space).norms[0].var == std::vector<float>(8, 1.f));

  // an average of the weights beside them: a network alone cannot say which it is, so it has to be asked for
  const auto other = random_checkpoint(space, 8);
  auto both = support::torch_file_of(tensors), average = support::torch_file_of(other);
  for (auto& view : average.views) view.storage += both.storages.size();
  for (auto& storage : average.storages) storage.key += "_ema";
  both.storages.insert(both.storages.end(), average.storages.begin(), average.storages.end());
  average.storages = both.storages;
  both.beside = {{"state_dict_ema", average.state(false)}};
  CHECK(load(zipped(both), "state_dict_ema") == make_supernet(space, other).hash());
  CHECK(load(zipped(both), "state_dict") == hash);
  CHECK(sentence([&] { load_supernet(path, space); }) ==
        path.string() +
            ": expected one set of weights, or the name of the one to take, got state_dict, state_dict_ema");
  CHECK(read_checkpoint(path).notes.others == std::vector<std::string>{"state_dict_ema"});
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
