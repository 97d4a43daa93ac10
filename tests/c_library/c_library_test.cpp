// ctest: threads
// The C interface, with its sources in this program, so that the sanitizers see into it. What a caller does wrong is a
// code and a sentence.
#include <doctest/doctest.h>

#include "12_c_library/dynofa.h"
#include "support/scratch_folder.hpp"
#include "support/tiny_family.hpp"
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace dynofa_test::c_library {

namespace {

constexpr double any_time = 1e6;

/// A family in a file, a classifier of it, and a frame that fits.
struct opened {
  support::scratch_folder folder;
  std::string file = support::write_tiny_family(folder.path() / "tiny.dynofa"), cache = folder.path();
  dynofa_options options = make_options();
  dynofa_classifier* net = nullptr;
  std::vector<std::uint8_t> pixels = std::vector<std::uint8_t>(48 * 40 * 4, 90);
  dynofa_frame frame = make_frame();

  opened() { REQUIRE(dynofa_open(file.c_str(), &options, &net) == DYNOFA_OK); }
  opened(const opened&) = delete;
  opened& operator=(const opened&) = delete;
  ~opened() { dynofa_close(net); }

  /// What `run` says to a frame that is wrong.
  std::string refused(const dynofa_frame& f) const {
    dynofa_answer answer = empty();
    answer.class_index = 77;
    CHECK(dynofa_run(net, &f, &answer) == DYNOFA_INVALID_ARGUMENT);
    CHECK(answer.class_index == 77);
    return dynofa_last_error();
  }
  static dynofa_answer empty() {
    dynofa_answer a{};
    a.size = sizeof a;
    return a;
  }

private:
  dynofa_options make_options() const {
    dynofa_options o{};
    o.size = sizeof o, o.target_ms = any_time, o.cache = cache.c_str(), o.rounds = 1;
    return o;
  }
  dynofa_frame make_frame() const {
    dynofa_frame f{};
    f.size = sizeof f, f.layout = DYNOFA_RGB, f.width = 48, f.height = 40;
    f.planes[0] = pixels.data(), f.bytes[0] = pixels.size();
    return f;
  }
};

bool said(const std::string& sentence, const char* part) { return sentence.find(part) != sentence.npos; }

int frames() {
  const char* const told = std::getenv("DYNOFA_FRAMES");
  return told ? std::atoi(told) : 2000;
}

} // namespace

TEST_CASE("a frame of each layout has an answer, and the answer is kept") {
  opened s;
  const std::vector<float> floats(48 * 40, 0.5f);
  CHECK(dynofa_levels(s.net) >= 1);
  dynofa_answer last = opened::empty();
  CHECK(dynofa_last(s.net, &last) == DYNOFA_EARLY);
  CHECK(said(dynofa_last_error(), "got none yet"));
  for (int layout = DYNOFA_RGB; layout <= DYNOFA_FLOATS; ++layout) {
    dynofa_frame f = s.frame;
    f.layout = layout;
    if (layout == DYNOFA_NV12) f.planes[1] = s.pixels.data(), f.bytes[1] = 48 * 20;
    if (layout == DYNOFA_FLOATS) {
      f.range = DYNOFA_UNIT;
      for (int i = 0; i < 3; ++i) f.planes[i] = floats.data(), f.bytes[i] = floats.size() * sizeof(float);
    }
    dynofa_answer answer = opened::empty();
    CAPTURE(layout);
    REQUIRE(dynofa_run(s.net, &f, &answer) == DYNOFA_OK);
    CHECK(answer.size == sizeof answer);
    CHECK(answer.class_index >= 0);
    CHECK(answer.class_index < 10);
    CHECK(std::string(answer.class_name).size() >= 3);
    CHECK(answer.probability > 0);
    CHECK(answer.latency_ms > 0);
    CHECK(answer.late == 0);
    CHECK(std::string(dynofa_why(answer.why)).size() > 3);
    REQUIRE(dynofa_last(s.net, &last) == DYNOFA_OK);
    CHECK(last.latency_ms == answer.latency_ms);
    CHECK(last.class_name == answer.class_name);
  }
  CHECK(dynofa_run(s.net, &s.frame, nullptr) == DYNOFA_OK); // `last` has it
}

TEST_CASE("a frame that does not fit its memory is refused, and the answer left as it was") {
  opened s;
  const auto with = [&](auto change) {
    dynofa_frame f = s.frame;
    change(f);
    return s.refused(f);
  };
  CHECK(said(with([](auto& f) { f.size = 0; }), "its size in the field `size`"));
  CHECK(said(with([](auto& f) { f.size = std::numeric_limits<std::size_t>::max(); }), "its size"));
  CHECK(said(with([](auto& f) { f.reserved = 1; }), "`reserved`"));
  CHECK(said(with([](auto& f) { f.layout = 0; }), "enum dynofa_layout"));
  CHECK(said(with([](auto& f) { f.layout = 9; }), "enum dynofa_layout"));
  CHECK(said(with([](auto& f) { f.layout = -2147483647; }), "enum dynofa_layout"));
  CHECK(said(with([](auto& f) { f.planes[0] = nullptr; }), "planes[0]: expected a pointer, got NULL"));
  CHECK(said(with([](auto& f) { f.bytes[0] = 48 * 40 * 3 - 1; }), "memory for 40 rows"));
  CHECK(said(with([](auto& f) { f.bytes[0] = std::numeric_limits<std::size_t>::max(); }), "memory can have"));
  CHECK(said(with([](auto& f) { f.width = 0; }), "sides of 1 to 65535"));
  CHECK(said(with([](auto& f) { f.height = -5; }), "sides of 1 to 65535"));
  CHECK(said(with([](auto& f) { f.width = 65'536; }), "sides of 1 to 65535"));
  CHECK(said(with([](auto& f) { f.strides[0] = 100; }), "a stride of at least 144"));
  CHECK(said(with([](auto& f) { f.strides[0] = std::numeric_limits<std::size_t>::max() / 2; }), "memory for 40 rows"));
  CHECK(said(with([](auto& f) { f.layout = DYNOFA_NV12; }), "planes[1]: expected a pointer"));
  CHECK(said(with([&](auto& f) { f.layout = DYNOFA_NV12, f.planes[1] = f.planes[0], f.bytes[1] = 48 * 20 - 1; }),
             "memory for 20 rows"));
  CHECK(said(with([](auto& f) { f.layout = DYNOFA_YUYV, f.colours = 4; }), "enum dynofa_colours"));
  const auto floats = [&](auto change) {
    return with([&](auto& f) {
      f.layout = DYNOFA_FLOATS, f.range = DYNOFA_BYTE;
      for (int i = 0; i < 3; ++i) f.planes[i] = s.pixels.data(), f.bytes[i] = s.pixels.size();
      change(f);
    });
  };
  CHECK(said(floats([](auto& f) { f.range = 0; }), "DYNOFA_UNIT or DYNOFA_BYTE"));
  CHECK(said(floats([](auto& f) { f.strides[2] = 192; }), "the same for each plane"));
  CHECK(said(floats([](auto& f) { f.strides[0] = f.strides[1] = f.strides[2] = 194; }), "whole floats"));
  CHECK(said(floats([](auto& f) { f.planes[1] = static_cast<const char*>(f.planes[1]) + 1; }), "a float may have"));

  CHECK(dynofa_run(s.net, nullptr, nullptr) == DYNOFA_INVALID_ARGUMENT);
  dynofa_answer small = opened::empty();
  small.size = 8;
  CHECK(dynofa_run(s.net, &s.frame, &small) == DYNOFA_INVALID_ARGUMENT);
  CHECK(dynofa_last(s.net, nullptr) == DYNOFA_INVALID_ARGUMENT);
  CHECK(dynofa_run(s.net, &s.frame, nullptr) == DYNOFA_OK); // nothing of this has harmed it
}

TEST_CASE("structures of a later version are taken where they ask for nothing new") {
  opened s;
  struct later {
    dynofa_frame frame;
    std::uint64_t more;
  } frame{s.frame, 0};
  frame.frame.size = sizeof frame;
  struct {
    dynofa_answer answer;
    std::uint64_t more;
  } answer{opened::empty(), 5};
  answer.answer.size = sizeof answer;
  CHECK(dynofa_run(s.net, &frame.frame, &answer.answer) == DYNOFA_OK);
  CHECK(answer.more == 0);
  CHECK(answer.answer.size == sizeof answer);
  frame.more = 1;
  CHECK(said(s.refused(frame.frame), "0 in fields of later versions"));
}

TEST_CASE("what cannot be opened is a code and a sentence") {
  const support::scratch_folder folder;
  const std::string file = support::write_tiny_family(folder.path() / "tiny.dynofa");
  const auto refuses = [&](const char* name, auto change) {
    dynofa_options o{};
    o.size = sizeof o, o.cache = "", o.rounds = 1;
    change(o);
    auto* net = reinterpret_cast<dynofa_classifier*>(&o);
    const int code = dynofa_open(name, &o, &net);
    CHECK(net == nullptr);
    CHECK(code < 0);
    return code;
  };
  const auto nothing = [](auto&) {};
  CHECK(refuses("nowhere", nothing) == DYNOFA_IO);
  CHECK(std::string(dynofa_last_error()) == "nowhere: expected a readable file, got No such file or directory");
  CHECK(refuses(nullptr, nothing) == DYNOFA_INVALID_ARGUMENT);
  support::write_text(folder.path() / "none", "this is no family");
  CHECK(refuses((folder.path() / "none").c_str(), nothing) == DYNOFA_BAD_FILE);
  const auto option = [&](auto change) {
    CHECK(refuses(file.c_str(), change) == DYNOFA_INVALID_ARGUMENT);
    return std::string(dynofa_last_error());
  };
  CHECK(said(option([](auto& o) { o.size = 4; }), "options: expected its size"));
  CHECK(said(option([](auto& o) { o.target_ms = -1; }), "more than 0 ms"));
  CHECK(said(option([](auto& o) { o.target_ms = std::nan(""); }), "more than 0 ms"));
  CHECK(said(option([](auto& o) { o.percentile = 2; }), "0.5 to 0.9999"));
  CHECK(said(option([](auto& o) { o.counts_preparation = 2; }), "counts_preparation"));
  CHECK(said(option([](auto& o) { o.quick_resize = -1; }), "quick_resize"));
  CHECK(said(option([](auto& o) { o.rounds = -1; }), "rounds"));
  CHECK(said(option([](auto& o) { o.threads = 257; }), "threads"));
  CHECK(dynofa_open(file.c_str(), nullptr, nullptr) == DYNOFA_INVALID_ARGUMENT);
  const std::string long_name(5000, 'x');
  CHECK(refuses(long_name.c_str(), nothing) < 0); // its sentence is cut
  CHECK(std::string(dynofa_last_error()).size() < 1024);
  dynofa_close(nullptr);
}

TEST_CASE("each thread has its own sentence, targets come from any, frames from one at a time") {
  opened s;
  CHECK(dynofa_set_target(s.net, -1, 0) == DYNOFA_INVALID_ARGUMENT);
  CHECK(said(dynofa_last_error(), "more than 0 ms"));
  std::atomic<int> ran{0}, busy{0}, other{0};
  std::atomic<bool> over{false};
  std::thread setter([&] {
    CHECK(std::string(dynofa_last_error()).empty());
    dynofa_answer answer = opened::empty();
    for (int i = 0; !over; ++i) {
      dynofa_set_target(s.net, i % 2 ? 1e-6 : 0, i % 3 ? 0.9 : 0);
      const int code = dynofa_last(s.net, &answer);
      if (code != DYNOFA_OK && code != DYNOFA_EARLY) ++other;
      if (dynofa_levels(s.net) < 1) ++other;
    }
  });
  std::vector<std::thread> runners;
  for (int t = 0; t < 2; ++t)
    runners.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const int code = dynofa_run(s.net, &s.frame, nullptr);
        ++(code == DYNOFA_OK ? ran : code == DYNOFA_BUSY ? busy : other);
        if (code == DYNOFA_BUSY && !said(dynofa_last_error(), "one thread that runs frames")) ++other;
      }
    });
  for (auto& r : runners) r.join();
  over = true;
  setter.join();
  CHECK(ran + busy == 200);
  CHECK(ran > 0);
  CHECK(other == 0);
}

// The label `long` has the same of 100 000.
TEST_CASE("many frames under a target that changes") {
  opened s;
  dynofa_answer answer = opened::empty();
  int bad = 0, lowest = 0, levels = dynofa_levels(s.net);
  const int count = frames();
  for (int i = 0; i < count; ++i) {
    if (i % 100 == 0) bad += dynofa_set_target(s.net, i % 200 ? any_time : 1e-6, 0) != DYNOFA_OK;
    bad += dynofa_run(s.net, &s.frame, &answer) != DYNOFA_OK || answer.class_index > 9 || answer.level >= levels;
    lowest += answer.level == 0;
  }
  CHECK(bad == 0);
  CHECK(lowest >= count / 2 - 100);
}

} // namespace dynofa_test::c_library
