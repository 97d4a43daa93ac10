#include "dynofa/backend/cpu.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include "support/isas.hpp"
#include <algorithm>
#include <string>

namespace dynofa_test::backends_cpu_head {

using namespace dynofa;
using namespace dynofa::conformance;

namespace {

/// A backend with its packed weights.
struct packed_backend {
  backend::cpu b;
  supernet_ptr net;
  std::shared_ptr<const backend::cpu::packed> weights = b.pack(net);

  std::vector<float> run(const arch& a, int batch, std::span<const float> images) const {
    const plan p = make_plan(net->space, a, batch);
    const auto level = b.bind(weights, p, norms_of(*net, p));
    auto space = b.make_workspace(std::span(&p, 1));
    std::vector<float> logits(static_cast<std::size_t>(batch * net->space.classes));
    b.run(level, space, images, logits);
    return logits;
  }
};

} // namespace

TEST_CASE("logits of a batch are those of its images alone, whatever their place") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 21));
  const arch a = varied_arch(d, 64, 1);
  const auto classes = static_cast<std::size_t>(d.classes), values = std::size_t(64 * 64 * 3);
  for (const std::string& isa : isas())
    for (const char* weights : {"fp32", "fp16", "bf16"}) {
      const packed_backend one{{.isa = isa, .weights = weights}, net};
      const packed_backend three{{.isa = isa, .threads = 3, .weights = weights}, net};
      for (int batch : {2, unless_emulated(13, 5)}) {
        CAPTURE(isa);
        CAPTURE(weights);
        CAPTURE(batch);
        const auto images = normals(static_cast<std::size_t>(batch) * values, 7);
        const auto together = one.run(a, batch, images);
        std::vector<float> alone;
        for (int n = 0; n < batch; ++n) {
          const auto logits = one.run(a, 1, std::span(images).subspan(static_cast<std::size_t>(n) * values, values));
          alone.insert(alone.end(), logits.begin(), logits.end());
        }
        CHECK(difference(together, alone) < 2e-6); // the order of the head's sums

        std::vector<float> turned(images.begin() + static_cast<std::ptrdiff_t>(values), images.end());
        turned.insert(turned.end(), images.begin(), images.begin() + static_cast<std::ptrdiff_t>(values));
        auto moved = one.run(a, batch, turned);
        std::rotate(moved.begin(), moved.end() - static_cast<std::ptrdiff_t>(classes), moved.end());
        CHECK(moved == together);
        const bool rounds = one.b.weights == "bf16" || (one.b.weights == "fp16" && computes_in_half(isa));
        CHECK(difference(three.run(a, batch, images), together) < (rounds ? 1e-2 : 2e-6));
      }
    }
}

TEST_CASE("a workspace of a smaller batch still serves") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 22));
  const plan small = make_plan(d, varied_arch(d, 64, 0)), large = make_plan(d, varied_arch(d, 64, 0), 3);
  const packed_backend one{{}, net};
  const auto level = one.b.bind(one.weights, large, norms_of(*net, large));
  auto space = one.b.make_workspace(std::span(&small, 1));
  const auto images = normals(std::size_t(3 * 64 * 64 * 3), 8);
  std::vector<float> logits(30);
  one.b.run(level, space, images, logits);
  CHECK(difference(logits, one.run(small.arch, 3, images)) < 2e-6);
}

} // namespace dynofa_test::backends_cpu_head
