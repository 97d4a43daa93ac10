#include "dynofa/backend/reference.hpp"
#include "dynofa/family/latency_cache.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_family.hpp"

namespace dynofa_test::family_latency_cache {

using namespace dynofa;

namespace {

family measured(const std::string& device) {
  family f = support::tiny_family();
  for (std::size_t i = 0; i < f.levels().size(); ++i)
    f.set_latency(i, {device, 1.5 + double(i), 2.5 + double(i), 0.25, 40});
  return f;
}

} // namespace

TEST_CASE("latencies are kept by levels and by device, to the bit") {
  const support::scratch_folder folder;
  const family f = measured("board A");
  const auto file = latency_cache_file(folder.path() / "made" / "when needed", f);
  remember_latencies(f, "board A", file);
  remember_latencies(measured("board B"), "board B", file);

  family anew = support::tiny_family();
  CHECK_FALSE(recall_latencies(anew, "board C", file));
  CHECK(recall_latencies(anew, "board A", file));
  CHECK(recall_latencies(anew, "board B", file));
  for (std::size_t i = 0; i < f.levels().size(); ++i)
    CHECK(*anew.latency_on(i, "board A") == *f.latency_on(i, "board A"));

  family fewer = support::tiny_family();
  fewer.remove(0);
  CHECK(latency_cache_file(folder.path(), fewer) != latency_cache_file(folder.path(), f));
  CHECK_FALSE(recall_latencies(fewer, "board A", file));
  CHECK(support::sentence([&] {
          remember_latencies(fewer, "board A", file);
        }).find("expected a latency on \"board A\"") != std::string::npos);
}

TEST_CASE("a cache that is none of ours is none, and begins anew") {
  const support::scratch_folder folder;
  const family f = measured("board");
  const auto file = folder.path() / "latencies.json";
  remember_latencies(f, "board", file);
  const std::string whole(map_file(file).text());
  for (std::size_t cut = 0; cut < whole.size(); cut += 7) {
    support::write_text(file, whole.substr(0, cut));
    family anew = support::tiny_family();
    CHECK_FALSE(recall_latencies(anew, "board", file));
    CHECK(anew.levels().front().latency.empty());
  }
  for (const char* content : {R"({"format":"dynofa latencies","version":2,"devices":{}})", "[]", "{}", "null",
                              R"({"format":"dynofa latencies","version":1,"devices":[1]})",
                              R"({"format":"dynofa latencies","version":1,"devices":{"board":[{"median_ms":-1}]}})"}) {
    support::write_text(file, content);
    family anew = support::tiny_family();
    CHECK_FALSE(recall_latencies(anew, "board", file));
    remember_latencies(f, "board", file);
    CHECK(recall_latencies(anew, "board", file));
  }
}

TEST_CASE("what was measured once is not measured again, and a folder that cannot be written is no error") {
  const support::scratch_folder folder;
  family f = support::tiny_family();
  while (f.levels().size() > 1) f.remove(1);
  const std::string device = recall_or_measure_latencies(f, backend::reference{}, folder.path(), 1);
  const measured_latency first = *f.latency_on(0, device);
  family again = support::tiny_family();
  while (again.levels().size() > 1) again.remove(1);
  CHECK(recall_or_measure_latencies(again, backend::reference{}, folder.path(), 1) == device);
  CHECK(*again.latency_on(0, device) == first);

  support::write_text(folder.path() / "a file", "");
  CHECK_NOTHROW(recall_or_measure_latencies(again, backend::reference{}, folder.path() / "a file", 1));
  CHECK_NOTHROW(recall_or_measure_latencies(again, backend::reference{}, "", 1));
}

TEST_CASE("latencies can hold what preparing an image takes") {
  family f = support::tiny_family();
  while (f.levels().size() > 1) f.remove(1);
  int calls = 0;
  const auto slow = [&](int r, std::span<float> image) {
    CHECK(image.size() == image_values(r));
    ++calls;
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  const auto with = measure_latencies(backend::reference{}, f, 1, slow);
  CHECK(calls == 10);
  CHECK(with[0].min_ms >= 2);
}

} // namespace dynofa_test::family_latency_cache
