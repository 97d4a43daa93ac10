// ctest: --quick
// expect: 2.5e\+12 networks.*five levels share one set of weights.*strides 8, 16 and 32.*latencies only
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/space/subnet.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <iomanip>
#include <iostream>

// ResNet-50D as once-for-all trains it: not only depth and expand ratio are elastic, the width of the stem and of every
// stage is too. Weights are random here, so there are latencies and no accuracies: with those of the published
// `ofa_resnet50` (docs/guide/which-networks.md) the rest is as for MobileNetV3.
//
//   15_a_resnet_family            five levels, then a level whose maps feed a detection head

using namespace dynofa;

// A level at compile time. Widths are multipliers, one for all or one for the inside of the stem, the stem and each
// stage.
template <decimal Width, int Depth, decimal Ratio, int Pixels>
using level = subnet<ofa_resnet50_space, width<Width>, depth<Depth>, expand<Ratio>, resolution<Pixels>>;

static int program(int argc, char** argv) {
  CLI::App app("runs a family of ResNet-50D sub-networks with random weights");
  bool quick = false;
  app.add_flag("--quick", quick, "smaller images, fewer runs");
  CLI11_PARSE(app, argc, argv);

  const space_description& space = ofa_resnet50_space::description;
  std::vector<arch> archs = {level<0.65, 0, 0.2, 128>{}, level<0.65, 1, 0.25, 160>{}, level<0.8, 1, 0.25, 176>{},
                             level<0.8, 2, 0.35, 192>{}, level<1.0, 2, 0.35, 224>{}};
  if (quick)
    for (arch& a : archs) a.r = 128;

  const auto net = std::make_shared<const supernet>(random_supernet(space));
  session on_cpu(backend::cpu{}, net);
  std::cout << std::setprecision(2) << ofa_resnet50_space::cardinality
            << " networks; five levels share one set of weights, " << on_cpu.packed()->bytes() / 1000000 << " MB on "
            << on_cpu.backend().name() << '\n';
  std::cout << std::fixed << std::setprecision(1);
  for (const arch& a : archs) {
    const auto bound = on_cpu.load(a);
    const plan& p = bound->plan;
    std::cout << std::setw(7) << on_cpu.time_run(bound, quick ? 1 : 5) << " ms " << std::setw(7) << p.macs() / 1e6
              << " M MACs " << std::setw(6) << bound->bytes() / 1e3 << " KB of its own   " << a << '\n';
  }

  // For detection and segmentation: the maps at three strides besides the logits, where the kernels left them.
  const plan plain = make_plan(space, archs[1]);
  const plan heads = with_maps_at(plain, std::array{8, 16, 32});
  const auto bound = on_cpu.bind(heads, fold(*net, heads, stored_statistics(*net, heads)));
  const std::vector<float> image(heads.image_values(), 0.5f), logits = on_cpu.run(bound, image);
  std::cout << "maps at strides 8, 16 and 32:";
  for (std::size_t i = 0; i < heads.named_maps(); ++i) {
    const feature_map map = on_cpu.map(bound, i);
    std::cout << (i ? ", " : " ") << map.size << 'x' << map.size << 'x' << map.channels;
  }
  std::cout << "\nlatencies only: the weights are random\n";
  return 0;
}

int main(int argc, char** argv) { return report::run_program(program, argc, argv); }
