// Would int8 be quicker on a GPU? The inverted residuals of the paper's six GPU sub-networks, fp16 through the backend
// beside the int8 prototypes of bench_gpu_int8.cu, which are compared with plain loops first.
//
//   gpu_int8 [--only gpu] [--batches 16,64] [--rounds 9]
//
// A line per block, then a table per batch. The prototypes leave squeeze-excite out, so they are compared with the same
// blocks without it; what it takes fp16, floats in int8 too, is then added to both. The floor is the bytes of the three
// launches at the rate of a copy.
#include "gpu_int8.hpp"

#include "dynofa/backend/cuda.hpp"
#include "dynofa/report/program.hpp"

#include "support.hpp"
#include <cstdio>
#include <sstream>

namespace {

using namespace bench;

/// The paper's super-network without squeeze-excite.
const supernet_ptr& plain_supernet() {
  static const supernet_ptr net = [] {
    space_description space = ofa_w1_2::description;
    for (auto& stage : space.stages) stage.squeeze_excite = false;
    return std::make_shared<const supernet>(random_supernet(space, 1));
  }();
  return net;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// One block of every kernel size, stride, activation and residual, two images.
bool prototypes_agree(const std::vector<named_network>& all) {
  std::vector<block> seen;
  bool agree = true;
  for (const auto& n : all)
    for (const block& b : n.plan_of().blocks) {
      const bool is_new = std::none_of(seen.begin(), seen.end(), [&](const block& s) {
        return s.kernel == b.kernel && s.stride == b.stride && s.act == b.act && s.residual == b.residual;
      });
      if (b.kind != block_kind::inverted_residual || !is_new) continue;
      seen.push_back(b);
      for (const std::string& fault : int8_prototype(b, 2).differences()) {
        agree = false;
        std::printf("in %dx%d mid %d k%d s%d: %s\n", b.in_size, b.in_channels, b.mid_channels, b.kernel, b.stride,
                    fault.c_str());
      }
    }
  std::printf("%zu shapes compared with plain loops, every variant: %s\n", seen.size(),
              agree ? "the same bits" : "NOT the same");
  return agree;
}

/// ms of the inverted residuals of a network.
struct totals {
  std::string network;
  double fp16 = 0, fp16_plain = 0, expand_depthwise = 0, project = 0; ///< the last two: of the plain blocks
  double int8 = 0, parts[3] = {}, dp4a = 0, floats = 0, floor = 0;
  double with_excite() const { return int8 + fp16 - fp16_plain; }
};

totals measure(const named_network& network, int batch, int rounds, double rate) {
  const backend::cuda gpu;
  session whole(gpu, network.net()), plain(gpu, plain_supernet());
  auto level = network.load(whole, batch);
  auto without = named_network{network.name, network.arch, &plain_supernet}.load(plain, batch);
  (void)whole.time_run(level, 20);
  totals t{.network = network.name};
  for (std::size_t i = 0; i < level->plan.blocks.size(); ++i) {
    const block& b = level->plan.blocks[i];
    if (b.kind != block_kind::inverted_residual) continue;
    int8_prototype int8(b, batch);
    std::vector<double> excited, ours;
    const auto times = int8.time(rounds, [&] {
      ours.push_back(plain.time_block(without, i, 20));
      if (b.se_channels > 0) excited.push_back(whole.time_block(level, i, 20));
    });
    const double floor = int8.least_bytes() / rate, fp16 = median(ours);
    std::printf(
        "%s batch %d: %dx%d mid %d out %d k%d s%d se%d %s: fp16 %.2f us, int8 %.2f, ratio %.2f, floor %.2f, fp16 "
        "with squeeze-excite %.2f; %s %.2f, dp4a %.2f, floats %.2f, %s %.2f\n",
        network.name.c_str(), batch, b.in_size, b.in_channels, b.mid_channels, b.out_channels, b.kernel, b.stride,
        b.se_channels, b.act == activation::relu ? "relu" : "h_swish", 1e3 * fp16, 1e3 * times.whole,
        fp16 / times.whole, 1e3 * floor, 1e3 * (excited.empty() ? fp16 : median(excited)), times.names[0].c_str(),
        1e3 * times.parts[0], 1e3 * times.dp4a, 1e3 * times.floats, times.names[2].c_str(), 1e3 * times.parts[2]);
    t.fp16_plain += fp16, t.fp16 += excited.empty() ? fp16 : median(excited);
    t.int8 += times.whole, t.floor += floor, t.dp4a += times.dp4a, t.floats += times.floats;
    for (std::size_t p = 0; p < 3; ++p) t.parts[p] += times.parts[p];
  }
  for (const auto& one : gpu.profile(*without, plain.workspace(), 20))
    if (without->plan.blocks[one.block].kind == block_kind::inverted_residual)
      (one.kernel == "expand_depthwise" ? t.expand_depthwise : t.project) += one.ms;
  return t;
}

void print(const std::vector<totals>& all, int batch) {
  std::printf("\n%d images; ms of all inverted residuals, shares in %%\n\n"
              "| | fp16 | int8 | ratio | without squeeze-excite: fp16 | expand and depthwise, project | int8 | expand, "
              "depthwise, project | ratio | depthwise by dp4a, by floats | floor |\n"
              "|---|---|---|---|---|---|---|---|---|---|---|\n",
              batch);
  for (const totals& t : all) {
    const double launches = (t.expand_depthwise + t.project) / 100, sum = (t.parts[0] + t.parts[1] + t.parts[2]) / 100;
    std::printf(
        "| %s | %.3f | %.3f | %.2f | %.3f | %.0f, %.0f | %.3f | %.0f, %.0f, %.0f | %.2f | %.3f, %.3f | %.3f |\n",
        t.network.c_str(), t.fp16, t.with_excite(), t.fp16 / t.with_excite(), t.fp16_plain,
        t.expand_depthwise / launches, t.project / launches, t.int8, t.parts[0] / sum, t.parts[1] / sum,
        t.parts[2] / sum, t.fp16_plain / t.int8, t.dp4a, t.floats, t.floor);
  }
}

} // namespace

static int program(int argc, char** argv) {
  if (printed_help(argc, argv, "usage: gpu_int8 [--only NAME] [--batches N,N…] [--rounds N]")) return 0;
  std::vector<named_network> all = mobilenets({});
  std::erase_if(all, [only = take_option(argc, argv, "--only", "gpu")](const named_network& n) {
    return !n.name.starts_with(only);
  });
  std::stringstream batches(take_option(argc, argv, "--batches", "16,64"));
  const int rounds =
      static_cast<int>(report::read_number("--rounds", take_option(argc, argv, "--rounds", "9"), 1, 1000));
  if (!prototypes_agree(all)) return 1;
  const double rate = copy_rate();
  std::printf("%s; a copy reads and writes %.0f GB/s\n", backend::cuda{}.name().c_str(), 1e-6 * rate);
  for (std::string batch; std::getline(batches, batch, ',');) {
    const int images = static_cast<int>(report::read_number("--batches", batch, 1, 1024));
    std::vector<totals> measured;
    for (const auto& n : all) measured.push_back(measure(n, images, rounds, rate)), std::fflush(stdout);
    print(measured, images);
  }
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
