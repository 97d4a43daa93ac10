// ctest: heavy
// Published networks of one choice, run with random weights: their own weights are not here.
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include "support/described_networks.hpp"
#include <algorithm>

namespace dynofa_test::backends_cpu_network_config {

using namespace dynofa;

TEST_CASE("a described network runs, on the CPU kernels as on the reference") {
  int found = 0;
  for (const char* name : {"note8_lat-22ms_top1-70.4_finetune-25", // MobileNetV3 w1.0
                           "note10_lat-8ms_top1-71.4_finetune-25", // … w1.0 with less squeeze-excite
                           "flops-389M_top1-79.1_finetune-75",     // … w1.2
                           "v100_gpu64-5ms_top1-71.6_finetune-25", // ProxylessNAS w1.3 of once-for-all
                           "proxyless_gpu",                        // ProxylessNAS' own, with blocks left out
                           "proxyless_mobile"}) {
    CAPTURE(name);
    const auto& all = support::published_networks();
    const auto one = std::ranges::find(all, name, &support::published_network::name);
    REQUIRE(one != all.end());
    described_network n = one->read(48); // a fifteenth of the work; the last maps are 2×2
    n.space.classes = 40;
    const auto net = std::make_shared<const supernet>(random_supernet(n.space, 5));
    const conformance::truth wanted(net, make_plan(n.space, n.arch));
    session runner(backend::cpu{.threads = 1}, net);
    const auto level = runner.load(n.arch);
    const std::vector<float> got = runner.run(level, {wanted.images().begin(), wanted.images().end()});
    REQUIRE(got.size() == 40);
    CHECK(conformance::difference(got, wanted.logits()) < 1e-4);
    CHECK(conformance::difference(got, std::vector<float>(40, got[0])) > 0.1); // and they are no constant

    // The weights of such a network are published as an extracted sub-network.
    const state_dict own = extract(*net, make_plan(n.space, n.arch));
    session again(backend::cpu{.threads = 1}, std::make_shared<const supernet>(make_extracted(n.space, n.arch, own)));
    CHECK(again.run(again.load(n.arch), {wanted.images().begin(), wanted.images().end()}) == got);
    ++found;
  }
  CHECK(found == 6);
}

} // namespace dynofa_test::backends_cpu_network_config
