// example_pictures SUPERNET DIR: DIR/calib and DIR/images, each with a few drawn pictures of three of the
// super-network's classes, and DIR/retrained.safetensors, the same super-network with another bias.
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/data/decode.hpp"
#include "dynofa/data/draw.hpp"
#include "dynofa/model/checkpoint.hpp"
#include "dynofa/model/safetensors.hpp"
#include "dynofa/report/program.hpp"

using namespace dynofa;

int run(int argc, char** argv) {
  require_argument(argc == 3, "example_pictures", "SUPERNET DIR", argc - 1, " arguments");
  const image_classifier classifier = load_classifier(argv[1]);
  std::uint64_t seed = 1;
  for (const char* set : {"calib", "images"})
    for (std::size_t c = 0; c < 3; ++c) {
      const auto folder = std::filesystem::path(argv[2]) / set / classifier.class_ids[c];
      make_folder(folder);
      for (int i = 0; i < 4; ++i) data::write_png(folder / text(i, ".png"), data::draw_landscape(64, 64, seed++));
    }
  checkpoint file = read_checkpoint(argv[1]);
  tensor& bias = file.tensors.at("classifier.linear.bias");
  std::vector<float> values = bias.to_floats();
  values[0] += 1;
  bias = tensor::of_floats(values, bias.shape);
  write_safetensors(std::filesystem::path(argv[2]) / "retrained.safetensors", file.tensors, file.metadata);
  return 0;
}

int main(int argc, char** argv) { return report::run_program(run, argc, argv); }
