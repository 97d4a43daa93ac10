// ctest: threads
#include "dynofa/testing/conformance.hpp"

#include <doctest/doctest.h>

#include <array>
#include <stdexcept>
#include <string>

namespace dynofa_test::testing_conformance {

using namespace dynofa;
using conformance::judge;

namespace {

/// Small enough that a test can judge many backends by it.
const conformance::suite& small_suite() {
  static const auto s = conformance::suite::of_every_block(std::array{8});
  return s;
}
template <class Backend>
void expect_finding(const std::string& beginning, Backend backend = {}) {
  const auto report = judge(backend, small_suite());
  CAPTURE(beginning);
  CHECK_FALSE(report.passed());
  bool found = false;
  for (const std::string& finding : report.findings) {
    CAPTURE(finding);
    found |= finding.starts_with(beginning);
  }
  CHECK_MESSAGE(found, (report.findings.empty() ? "no finding" : report.findings.front()));
}

// Backends with one fault each.

struct forgets_residual : backend::reference {
  bound bind(std::shared_ptr<const packed> w, const plan& p, scale_shift norms) const {
    bound level = backend::reference::bind(std::move(w), p, std::move(norms));
    level.plan.blocks[1].residual = false;
    return level;
  }
};
struct drifts : backend::reference {
  int images = 0;
  void run(bound& level, workspace& space, std::span<const float> in, std::span<float> out) {
    backend::reference::run(level, space, in, out);
    out[0] += 1e-7f * float(++images);
  }
};
struct leaves_a_hole : backend::reference {
  void run(bound& level, workspace& space, std::span<const float> in, std::span<float> out) {
    const float kept = out.back();
    backend::reference::run(level, space, in, out);
    out.back() = kept;
  }
};
struct takes_anything : backend::reference {
  bound bind(std::shared_ptr<const packed> w, const plan& p, scale_shift norms) const {
    return {std::move(w), p, std::move(norms)};
  }
};
struct fails_on_batches : backend::reference {
  bound bind(std::shared_ptr<const packed> w, const plan& p, scale_shift norms) const {
    if (p.batch > 1) throw std::length_error("one image only");
    return backend::reference::bind(std::move(w), p, std::move(norms));
  }
};
struct refuses_batches : backend::reference {
  bound bind(std::shared_ptr<const packed> w, const plan& p, scale_shift norms) const {
    if (p.batch > 1) throw error(errc::unsupported, "bind", "one image", "several");
    return backend::reference::bind(std::move(w), p, std::move(norms));
  }
};
struct has_no_clock : backend::reference {
  double time_block(bound&, workspace&, std::size_t, int) const { return 0; }
};
struct packs_everything : backend::reference {
  using backend::reference::pack;
  std::shared_ptr<const packed> pack(const supernet_ptr& net, std::span<const plan>) const {
    return backend::reference::pack(net);
  }
};
/// What the last run left behind goes into the next: levels on one workspace disturb each other.
struct remembers : backend::reference {
  void run(bound& level, workspace& space, std::span<const float> in, std::span<float> out) {
    backend::reference::run(level, space, in, out);
    std::swap(space.out[0], out[0]);
    out[0] = 0.999f * space.out[0] + 0.001f * out[0];
  }
};

} // namespace

TEST_CASE("the reference backend conforms") {
  const auto report = judge(backend::reference{}, small_suite());
  for (const std::string& finding : report.findings) FAIL_CHECK(finding);
  CHECK(report.worst_block == 0);
  CHECK(report.runs_batches);
}

TEST_CASE("each fault has its sentence") {
  expect_finding<forgets_residual>("bind ");
  expect_finding<drifts>("run ");
  expect_finding<leaves_a_hole>("run ");
  expect_finding<remembers>("run ");
  expect_finding<takes_anything>("bind scales and shifts of another network: expected a dynofa::error, got a level");
  expect_finding<fails_on_batches>("bind ");
  expect_finding<has_no_clock>("time_block 0 of ");
  expect_finding<packs_everything>("bytes() of weights packed for one plan: expected less than ");
}

TEST_CASE("a backend may refuse a batch") {
  const auto report = judge(refuses_batches{}, small_suite());
  CHECK(report.passed());
  CHECK_FALSE(report.runs_batches);
}

TEST_CASE("allocations are counted where a counter is given") {
  long fake = 0;
  const auto report = judge(backend::reference{}, small_suite(), {.allocations = [&] { return ++fake; }});
  CHECK(report.findings.size() == 1);
  CHECK(report.findings.front().starts_with("running levels: expected no allocation, got "));
}

} // namespace dynofa_test::testing_conformance
