#include "dynofa/model/supernet.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"
#include <map>
#include <set>
#include <string>

namespace dynofa_test::model_supernet {

using namespace dynofa;

TEST_CASE("the hash sees every learnable value and nothing else") {
  for (const auto make : {support::tiny_supernet, support::tiny_proxyless, support::tiny_resnet}) {
    const supernet_ptr net = make(7);
    const std::uint64_t h = net->hash();
    CHECK(h == make(7)->hash());
    CHECK(h != make(8)->hash());
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

TEST_CASE("ResNet: family files have a name for every array and norm") {
  const supernet_ptr net = support::tiny_resnet();
  std::set<std::string> names;
  visit_weights(*net,
                [&](const std::string& name, const auto&, const shape_type&) { CHECK(names.insert(name).second); });
  for (const char* name : {"supernet.stem.0", "supernet.stem.1.norm.mean", "supernet.stem.2", "supernet.block.0.expand",
                           "supernet.block.0.dense", "supernet.block.4.shortcut", "supernet.block.4.norm3.var",
                           "supernet.block.17.project", "supernet.classifier", "supernet.classifier.bias"})
    CHECK_MESSAGE(names.contains(name), name);
}

} // namespace dynofa_test::model_supernet
