// ctest:
// expect: 2\.17587e\+19 networks.*ProxylessNAS 1\.95828e\+20.*ks\[7\]: expected .* \(stage 2\), got 4.*child of the
#include "dynofa/model/plan.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/space/subnet.hpp"

#include <iomanip>
#include <iostream>

// A search space is a type made of policies. A sub-network is chosen at compile time with the same words, or at run
// time as a value, an `arch`. A plan says what it costs.

using namespace dynofa;

// A space of one's own: 200 classes, small images, and only small kernels in the first two stages.
using my_space =
    search_space<ofa_mobilenet_v3, width<1.2>, classes<200>, depth<2, 3, 4>, expand<3, 4, 6>, resolution<64, 96, 128>,
                 kernel_per_stage<offer<3>, offer<3, 5>, offer<3, 5, 7>, offer<3, 5, 7>, offer<3, 5, 7>>>;

void print_cost(const char* name, const space_description& space, const arch& a) {
  const plan p = make_plan(space, a);
  std::cout << std::left << std::setw(26) << name << std::right << std::fixed << std::setprecision(1) << std::setw(7)
            << p.macs() / 1e6 << " M MACs " << std::setw(5) << p.parameters() / 1e6 << " M parameters " << std::setw(5)
            << p.norm_values() * 8 / 1024.0 << " KiB batch norm  " << a << '\n';
}

static int program(int argc, char**) {
  if (argc > 1) // --help
    return std::cout << "02_choose_a_subnetwork: sub-networks of three spaces and what they cost; no options\n", 0;
  const space_description& space = ofa_w1_2::description;
  std::cout << "once-for-all w1.2 holds " << ofa_w1_2::cardinality << " networks, my space " << my_space::cardinality
            << ", ProxylessNAS " << ofa_proxyless_w1_3::cardinality << "\n\n";

  // At compile time: one value for all stages, or one for each; what is left out is the largest on offer.
  // `kernel<4>` would not compile, and the message would say what is offered.
  using small = subnet<ofa_w1_2, depth<2>, kernel<3>, expand<3>, resolution<160>>;
  using tapered = subnet<ofa_w1_2, depth<4, 4, 3, 3, 2>, kernel<3, 3, 5, 5, 7>, expand<4>, resolution<192>>;
  print_cost("smallest", space, small{});
  print_cost("tapered", space, tapered{});
  print_cost("largest", space, largest(space));
  print_cost("largest of my space", my_space::description, largest(my_space::description));

  // Another super-network is other policies (docs/guide/which-networks.md). Here the last of six stages has one block.
  using proxyless = subnet<ofa_proxyless_w1_3, depth<2, 3, 4, 3, 2, 1>, kernel<3, 5, 7, 5, 5, 7>, expand<4>>;
  print_cost("of ProxylessNAS", ofa_proxyless_w1_3::description, proxyless{});

  // At run time: from JSON in once-for-all's own form. What is illegal is refused with a sentence.
  nlohmann::json wrong = tapered::value;
  wrong["ks"][7] = 4;
  try {
    validate(space, read_arch(wrong));
  } catch (const error& e) {
    std::cout << "\nrefused: " << e.what() << '\n';
  }

  // As a search moves: seeded, the same on every machine.
  random_stream random(2021);
  const arch mother = random_arch(space, random), father = random_arch(space, random);
  print_cost("\nmother", space, mother);
  print_cost("father", space, father);
  print_cost("child of the two", space, crossover(mother, father, random));
  print_cost("mutated", space, mutate(space, mother, 0.1, random));
  return 0;
}

int main(int argc, char** argv) { return report::run_program(program, argc, argv); }
