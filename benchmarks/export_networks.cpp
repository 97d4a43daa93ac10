// The networks of bench_subnets as ONNX files, to measure another run time beside dynofa (peers/onnxruntime.mjs).
//
//   export_networks FOLDER [--subnets FILE.json] [--only NAME]
//
// NAME.onnx each, or of those whose name begins with NAME: the same random super-network, stored statistics, batch norm
// folded.
#include "dynofa/core/output.hpp"
#include "dynofa/family/onnx.hpp"
#include "dynofa/report/program.hpp"

#include "support.hpp"
#include <cstdio>
#include <filesystem>

static int program(int argc, char** argv) {
  using namespace bench;
  const std::string subnets = take_option(argc, argv, "--subnets");
  constexpr const char* usage =
      "usage: export_networks FOLDER [--subnets FILE.json] [--only NAME]: the networks of bench_subnets, or FILE's, "
      "or those whose name begins with NAME, as ONNX";
  const std::string only = take_option(argc, argv, "--only");
  if (printed_help(argc, argv, usage)) return 0;
  if (argc != 2) {
    std::fprintf(stderr, "%s\n", usage);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  make_folder(folder);
  require_writable(folder / "network.onnx");
  for (const named_network& n : networks(subnets)) {
    if (!n.name.starts_with(only)) continue;
    const supernet& net = *n.net();
    const std::filesystem::path file = folder / (n.name + ".onnx");
    export_onnx(file, net, n.arch, stored_statistics(net, n.arch));
    std::printf("%s\n", file.c_str());
  }
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
