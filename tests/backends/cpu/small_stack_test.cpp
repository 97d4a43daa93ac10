// What a small machine has less of: a thread's stack is 8 MB on most Linuxes, 128 KB with musl, and what an RTOS gives.
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"

#include <doctest/doctest.h>

#include <pthread.h>

#include "support/isas.hpp"
#include "support/scratch_folder.hpp"
#include "support/some_ranges.hpp"
#include "support/tiny_space.hpp"
#include <exception>

namespace dynofa_test::backends_cpu_small_stack {

using namespace dynofa;

namespace {

#ifdef __OPTIMIZE__
constexpr std::size_t stack = 256 << 10;
#else
constexpr std::size_t stack = 4 << 20; // a register is a place on the stack then, and with a sanitizer one with borders
#endif

/// do_it() on a thread of `stack` bytes that makes threads, the backend's, of no more.
template <class DoIt>
void on_small_stack(DoIt do_it) {
  struct task {
    DoIt& do_it;
    std::exception_ptr fault;
  } t{do_it, nullptr};
  pthread_attr_t small, before;
  REQUIRE(pthread_getattr_default_np(&before) == 0);
  REQUIRE(pthread_attr_init(&small) == 0);
  REQUIRE(pthread_attr_setstacksize(&small, stack) == 0);
  REQUIRE(pthread_setattr_default_np(&small) == 0);
  pthread_t thread;
  const auto body = [](void* p) -> void* {
    auto& own = *static_cast<task*>(p);
    try {
      own.do_it();
    } catch (...) {
      own.fault = std::current_exception();
    }
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &small, body, &t) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  REQUIRE(pthread_setattr_default_np(&before) == 0);
  pthread_attr_destroy(&small), pthread_attr_destroy(&before);
  if (t.fault) std::rethrow_exception(t.fault);
}

/// Two levels of MobileNetV3, 3 × 3 and 7 × 7, fit for int8.
family small_family() {
  const supernet_ptr net = support::tiny_supernet();
  family f(net, data::exact_preprocessing(), std::vector<data::class_name>(10, {"n0", "none"}));
  const arch least = smallest(net->space), most = largest(net->space);
  int correct = 500;
  for (const arch& a : {least, most}) {
    bn_statistics statistics = stored_statistics(*net, a);
    statistics.ranges = support::some_ranges(make_plan(net->space, a));
    f.add({a, statistics, {1000, correct += 100, 900}, {}});
  }
  return f;
}

const auto half = [](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); };

} // namespace

TEST_CASE("a family is read, timed and held to a target on a stack of 256 KB, in every format of weights") {
  const support::scratch_folder scratch;
  save_family(scratch.path() / "f.dynofa", small_family());
  for (const std::string& isa : isas())
    for (const char* format : {"fp32", "fp16", "lossless", "bf16", "int8"}) {
      CAPTURE(isa);
      CAPTURE(format);
      std::size_t images = 0;
      on_small_stack([&] {
        family f = load_family(scratch.path() / "f.dynofa");
        const backend::cpu cpu{.isa = isa, .threads = 2, .weights = format};
        f.keep_front(remeasure_latencies(f, cpu, 1));
        runtime::dynamic_network network(cpu, f);
        const auto levels = network.figures();
        runtime::manager manager(std::move(network), runtime::forecast(levels), {.latency_ms = 1000});
        std::vector<float> logits(manager.network().classes());
        for (int i = 0; i < 3; ++i) (void)manager.run(half, logits);
        images = manager.images();
      });
      CHECK(images == 3);
    }
}

TEST_CASE("calibration needs no more") {
  const family f = small_family();
  std::size_t calibrated = 0;
  on_small_stack([&] {
    const image_source source{
        4, [](std::size_t n, int r, std::span<float> image) { half(r, image), image[0] = float(n); }};
    const std::vector<arch> archs{f.levels().front().arch, f.levels().back().arch};
    calibrated = calibrate(backend::cpu{.threads = 2}, f.net(), archs, source, {.images = 4, .batch = 2}).size();
  });
  CHECK(calibrated == 2);
}

} // namespace dynofa_test::backends_cpu_small_stack
