// ctest: allocations
#include "dynofa/adaptive_classifier.hpp"
#include "dynofa/backend/cpu.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"

#include <doctest/doctest.h>

#include "runtime/made_up.hpp"
#include "support/allocations.hpp"
#include "support/scratch_folder.hpp"

namespace dynofa_test::runtime_allocation {

#if SUPPORT_COUNTS_ALLOCATIONS
TEST_CASE("switching, running and managing images allocates nothing") {
  using namespace dynofa;
  const auto half = [](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); };
  const long before_all = support::allocations.load();
  family f = made_up::front(4);
  const std::string device = remeasure_latencies(f, backend::cpu{}, 1);
  CHECK(support::allocations.load() > before_all);        // the hooks count
  for (std::size_t i = 0; i < f.levels().size(); ++i) {   // a front, whatever this machine says of networks this small
    const double ms = 100.0 * static_cast<double>(1 + i); // far above what a loaded machine takes
    f.set_latency(i, {device, ms, ms, ms, 1});
  }
  runtime::dynamic_network net(backend::cpu{.threads = 2}, f);
  std::vector<float> logits(net.classes());
  long before = support::allocations.load();
  for (std::size_t i = 0; i < 12; ++i) { // the very first runs too
    net.switch_to(i * 3 % 4);
    net.run(half, logits);
  }
  CHECK(support::allocations.load() == before);

  int switches = 0;
  const runtime::forecast policy(net.figures(device));
  runtime::manager m(std::move(net), policy, {.latency_ms = 250},
                     {.log_images = 8,
                      .sensors_every = 2,
                      .on_switch = [&](const runtime::image_record&) { ++switches; },
                      .on_log_full = [](runtime::run_log& log) { log.clear(); }},
                     runtime::sensors{});
  before = support::allocations.load();
  for (int i = 0; i < 40; ++i) {
    if (i == 10) m.set_target({.min_top1 = 1});
    if (i == 20) m.set_target({.latency_ms = 1e-9});
    if (i == 30) m.set_target({.latency_ms = 1000});
    m.run(half, logits);
  }
  CHECK(support::allocations.load() == before);
  CHECK(switches > 0);
  CHECK(m.images() == 40);
}

TEST_CASE("after the first frame of a size a classifier allocates nothing, whatever the level") {
  using namespace dynofa;
  const support::scratch_folder folder;
  family f = made_up::front(4);
  backend::cpu cpu;
  const std::string device = device_name(cpu);
  for (std::size_t i = 0; i < f.levels().size(); ++i) f.set_latency(i, {device, 100.0 * double(1 + i), 1000, 100, 1});
  remember_latencies(f, device, latency_cache_file(folder.path(), f));
  adaptive_classifier net(f, {.latency_ms = 250}, {.resize = data::resizing::quick, .cache = folder.path()}, cpu);
  const std::vector<std::uint8_t> luma(640 * 480, 90), chroma(640 * 240, 128);
  const data::nv12_view frame{luma, chroma, 640, 480};
  net(frame);
  const long before = support::allocations.load();
  for (int i = 0; i < 30; ++i) {
    if (i == 10) net.set_target({.latency_ms = 1e-9});
    if (i == 20) net.set_target({.latency_ms = 1e6});
    net(frame);
  }
  CHECK(support::allocations.load() == before);
  CHECK(net.counters().switches() >= 2);
  net(data::nv12_view{luma, chroma, 320, 480});
  CHECK(support::allocations.load() > before);
}
#endif

} // namespace dynofa_test::runtime_allocation
