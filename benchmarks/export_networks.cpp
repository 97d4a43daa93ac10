// The networks of bench_subnets as ONNX files, to measure another run time beside dynofa (peers/onnxruntime.mjs).
//
//   export_networks FOLDER [--subnets FILE.json] [--only NAME] [--format fp32|int8]
//
// NAME.onnx each, or of those whose name begins with NAME: the same random super-network, stored statistics, batch norm
// folded. int8: with the ranges of one random image, and without the networks that have dense k×k convolutions.
#include "dynofa/core/output.hpp"
#include "dynofa/family/onnx.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/testing/networks.hpp"

#include "support.hpp"
#include <algorithm>
#include <cstdio>
#include <filesystem>

static int program(int argc, char** argv) {
  using namespace bench;
  const std::string subnets = take_option(argc, argv, "--subnets");
  constexpr const char* usage =
      "usage: export_networks FOLDER [--subnets FILE.json] [--only NAME] [--format fp32|int8]: the networks of "
      "bench_subnets, or FILE's, or those whose name begins with NAME, as ONNX";
  const std::string only = take_option(argc, argv, "--only"), format = take_option(argc, argv, "--format", "fp32");
  if (printed_help(argc, argv, usage)) return 0;
  if (argc != 2 || (format != "fp32" && format != "int8")) {
    std::fprintf(stderr, "%s\n", usage);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  make_folder(folder);
  require_writable(folder / "network.onnx");
  const bool in_bytes = format == "int8";
  for (const named_network& n : networks(subnets)) {
    if (!n.name.starts_with(only)) continue;
    const supernet& net = *n.net();
    const std::filesystem::path file = folder / (n.name + ".onnx");
    bn_statistics statistics = stored_statistics(net, n.arch);
    if (in_bytes) {
      const plan p = make_plan(net.space, n.arch);
      if (std::ranges::any_of(p.blocks, &block::has_dense)) continue;
      statistics.ranges =
          conformance::ranges_of(net, p, fold(net, p, statistics), random_values(image_values(n.arch.r), n.arch.r));
    }
    export_onnx(file, net, n.arch, statistics, 0, in_bytes ? onnx_format::int8 : onnx_format::fp32);
    std::printf("%s\n", file.c_str());
  }
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
