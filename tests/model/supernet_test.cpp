#include "dynofa/model/supernet.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"
#include <map>
#include <string>

namespace dynofa_test::model_supernet {

using namespace dynofa;

TEST_CASE("the hash sees every learnable value and nothing else") {
  const supernet_ptr net = support::tiny_supernet();
  const std::uint64_t h = net->hash();
  CHECK(h == support::tiny_supernet()->hash());
  CHECK(h != support::tiny_supernet(8)->hash());
  auto changed = [&](auto change) {
    supernet copy = *net;
    change(copy);
    return copy.hash() != h;
  };
  for (std::size_t i = 0; i < net->weights.size(); ++i) {
    INFO(net->layout.key(net->layout.weights[i]));
    CHECK(changed([&](supernet& n) { n.weights[i].back() += 1; }));
    if (net->weights[i].size() > 1) CHECK(changed([&](supernet& n) { std::swap(n.weights[i][0], n.weights[i][1]); }));
  }
  for (std::size_t i = 0; i < net->norms.size(); ++i) {
    INFO(net->layout.key(net->layout.norms[i]));
    CHECK(changed([&](supernet& n) { n.norms[i].weight[0] += 1; }));
    CHECK(changed([&](supernet& n) { n.norms[i].bias.back() += 1; }));
    CHECK_FALSE(changed([&](supernet& n) { n.norms[i].mean[0] += 1; })); // running statistics belong to a level
    CHECK_FALSE(changed([&](supernet& n) { n.norms[i].var[0] += 1; }));
  }
}

TEST_CASE("every array and norm is visited once, by the name that family files have for it") {
  const supernet_ptr net = support::tiny_supernet();
  std::map<std::string, const std::vector<float>*> visited;
  visit_weights(*net, [&](const std::string& name, const std::vector<float>& values, const shape_type& shape) {
    CHECK(visited.emplace(name, &values).second);
    std::int64_t size = 1;
    for (auto extent : shape) size *= extent;
    CHECK(values.size() == static_cast<std::size_t>(size));
  });
  CHECK(visited.size() == net->weights.size() + 4 * net->norms.size());
  for (const char* name : {"supernet.stem", "supernet.stem.norm.var", "supernet.block.0.depthwise3",
                           "supernet.block.7.se_expand.bias", "supernet.block.20.norm2.mean", "supernet.classifier"})
    CHECK_MESSAGE(visited.contains(name), name);
}

} // namespace dynofa_test::model_supernet
