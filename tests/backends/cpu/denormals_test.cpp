#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/denormals.hpp"
#include "dynofa/backend/cpu/execution.hpp"
#include "dynofa/backend/session.hpp"

#include <doctest/doctest.h>

#include "support/isas.hpp"
#include "support/tiny_space.hpp"
#include <atomic>
#include <cmath>
#include <limits>

namespace dynofa_test::backends_cpu_denormals {

using namespace dynofa;

namespace {

/// A number below the least normal one, halved: with denormals as zero it is 0.
float halved() {
  volatile float least = std::numeric_limits<float>::min();
  return least * 0.5f;
}

#if defined(__x86_64__)
constexpr bool flushes = true;
#else
constexpr bool flushes = false;
#endif

} // namespace

TEST_CASE("the mode lasts as long as its scope") {
  CHECK(halved() > 0);
  {
    const backend::cpu_detail::denormals_as_zero mode;
    CHECK((halved() == 0) == flushes);
  }
  CHECK(halved() > 0);
}

TEST_CASE("a whole run has it on every thread, and the caller's mode is as before") {
  const supernet_ptr net = support::tiny_supernet();
  const arch a = largest(net->space);
  std::vector<float> image(image_values(a.r)), least(image.size(), 1e-41f);
  for (const std::string& isa : isas())
    for (const int threads : {1, 3}) {
      session one(backend::cpu{.isa = isa, .threads = threads}, net);
      const auto level = one.load(a);
      const std::vector<float> logits = one.run(level, image);
      CHECK(halved() > 0);
      const std::vector<float> same = one.run(level, least);
      for (std::size_t i = 0; i < logits.size(); ++i) CHECK(same[i] == doctest::Approx(logits[i]).epsilon(1e-6));
      if (flushes) CHECK(same == logits); // to the bit: the image counts as black
      CHECK(halved() > 0);
    }
}

TEST_CASE("threads that the caller brings have it for the tasks, and keep their own") {
  struct counting {
    std::atomic<int> tasks{0}, changed{0};
    static void run(void* self, int tasks, void (*task)(void*, int), void* context) {
      auto& own = *static_cast<counting*>(self);
      for (int i = 0; i < tasks; ++i) {
        task(context, i);
        own.tasks += 1, own.changed += halved() > 0 ? 0 : 1;
      }
    }
  } brought;
  const backend::cpu cpu{.threads = 2, .threads_of = {&brought, &counting::run}};
  std::atomic<int> with{0};
  cpu.execution->parallel([&](int) { with += halved() == 0; });
  CHECK((with == 2) == flushes);
  CHECK(brought.tasks == 2);
  CHECK(brought.changed == 0);
}

} // namespace dynofa_test::backends_cpu_denormals
