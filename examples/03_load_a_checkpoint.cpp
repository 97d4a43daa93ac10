// ctest:
// expect: safetensors.*475 tensors.*a missing file is one sentence
// installed as: dynofa-convert
#include "dynofa/data/preprocess_json.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/report/program.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "own_checkpoint.hpp"
#include <filesystem>
#include <iostream>

// Reads a super-network's checkpoint (torch legacy, torch zip or safetensors; nothing in it is ever executed), says
// what it is, and writes it again as safetensors with its space, preprocessing and class names inside:
//
//   03_load_a_checkpoint ofa_mbv3_d234_e346_k357_w1.2 --space w1.2 --out w1.2.safetensors --fp16
//
// Your own, of once-for-all's trainer or another (docs/guide/your-own-checkpoint.md):
//
//   03_load_a_checkpoint mine.pth --width 1.0 --resolutions 128,160,192 --class-names train/ --out mine.safetensors

static int program(int argc, char** argv) {
  CLI::App app("Loads a once-for-all super-network and converts it to safetensors");
  std::string in = DYNOFA_ASSETS "/tinyimagenet_w1.2.safetensors", out, origin;
  bool half = false;
  checkpoint_options told;
  app.add_option("checkpoint", in, "torch (.pth) or safetensors file");
  told.add_to(app);
  app.add_option("--out", out, "safetensors file to write");
  app.add_flag("--fp16", half, "write the weights in half precision");
  app.add_option("--origin", origin, "a line about where the weights come from, to store");
  CLI11_PARSE(app, argc, argv);

  const own_checkpoint own = told.load(in);
  const dynofa::space_description& space = own.space;
  const dynofa::supernet net = dynofa::make_supernet(space, own.tensors); // every key, shape and value is checked here
  const auto& units = net.layout.units; // all that the network consists of, at full width
  std::cout << "fits: width " << space.width_multiplier << ", " << space.stages.size() << " stages, " << units.size()
            << " units, " << space.classes << " classes, images of " << space.resolutions.min() << " to "
            << space.resolutions.max() << " pixels, hash " << std::hex << net.hash() << std::dec << '\n';
  for (std::size_t i = 1; i < units.size(); i += 4) {
    const auto& b = units[i];
    std::cout << "  " << net.layout.key(b, i - 1) << ": " << b.in_channels << " -> " << b.mid_channels << " -> "
              << b.out_channels << (b.se_channels ? ", squeeze-excite " + std::to_string(b.se_channels) : "") << '\n';
  }

  if (!out.empty()) {
    auto metadata = own.file.metadata;
    metadata["dynofa.preprocessing"] = nlohmann::json(own.preprocessing).dump();
    if (!origin.empty()) metadata["dynofa.origin"] = origin;
    if (!own.classes.empty()) {
      nlohmann::json names = nlohmann::json::array();
      for (const auto& c : own.classes) names.push_back({{"wnid", c.id}, {"name", c.name}});
      metadata["dynofa.classes"] = names.dump();
    } else {
      std::cout << "without class names (--class-names FOLDER_OR_FILE) nothing can measure its accuracy\n";
    }
    dynofa::save_checkpoint(out, own.tensors, space, half ? dynofa::dtype::f16 : dynofa::dtype::f32, metadata);
    std::cout << "wrote " << out << ", " << double(std::filesystem::file_size(out)) / 1e6 << " MB\n";
  }

  try {
    dynofa::load_supernet("no_such_file.pth", space);
  } catch (const dynofa::error& e) {
    std::cout << "a missing file is one sentence: " << e.what() << '\n';
  }
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
