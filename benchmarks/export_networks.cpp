// The networks of bench_subnets as ONNX files, to measure another run time beside dynofa (peers/onnxruntime.mjs).
//
//   export_networks FOLDER [--subnets FILE.json]
//
// NAME.onnx each: the same random w = 1.2 super-network, stored statistics, batch norm folded.
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
      "usage: export_networks FOLDER [--subnets FILE.json]: the paper's networks, or FILE's, as ONNX";
  if (printed_help(argc, argv, usage)) return 0;
  if (argc != 2) {
    std::fprintf(stderr, "%s\n", usage);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  make_folder(folder);
  require_writable(folder / "network.onnx");
  const supernet& net = *paper_supernet();
  for (const named_network& n : networks(subnets)) {
    const std::filesystem::path file = folder / (n.name + ".onnx");
    export_onnx(file, net, n.arch, stored_statistics(net, n.arch));
    std::printf("%s\n", file.c_str());
  }
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
