// arm_instructions NETWORK FORMAT: one image of a published sub-network between two marks, for arm_instructions.py.
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/report/program.hpp"

#include "paper_networks.hpp"
#include <algorithm>
#include <iostream>
#include <string_view>

extern "C" [[gnu::noinline]] void count_begin() { asm volatile("" ::: "memory"); }
extern "C" [[gnu::noinline]] void count_end() { asm volatile("" ::: "memory"); }

static int program(int argc, char** argv) {
  using namespace dynofa;
  if (argc != 3) throw error(errc::invalid_argument, "arm_instructions", "a network and a format", text(argc - 1));
  const auto* const found = std::find_if(std::begin(bench::paper_networks), std::end(bench::paper_networks),
                                         [&](const bench::network& n) { return n.name == argv[1]; });
  if (found == std::end(bench::paper_networks))
    throw error(errc::invalid_argument, "network", "one of bench::paper_networks", argv[1]);
  const auto net = std::make_shared<const supernet>(random_supernet(ofa_w1_2::description, 1));
  bn_statistics statistics = stored_statistics(*net, found->arch);
  const plan p = make_plan(net->space, found->arch);
  statistics.ranges.low.assign(range_count(p), -3.f), statistics.ranges.high.assign(range_count(p), 3.f);
  session one(backend::cpu{.weights = argv[2]}, net);
  const auto level = one.load(found->arch, statistics);
  const std::vector<float> image(p.image_values(), 0.5f);
  std::vector<float> logits(p.logit_values());
  one.run(level, image, logits);
  count_begin();
  one.run(level, image, logits);
  count_end();
  std::cout << one.backend().name() << '\n' << double(p.macs()) / 1e6 << '\n';
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
