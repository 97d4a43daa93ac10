#include "dynofa/adaptive_classifier.hpp"
#include "dynofa/report/program.hpp"

#include <gst/check/gstharness.h>
#include <gst/gst.h>

#include "12_c_library/dynofa.h"
#include "support/checks.hpp"
#include "support/help.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_family.hpp"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

extern "C" {
GST_PLUGIN_STATIC_DECLARE(dynofa);
}

namespace {

using namespace dynofa;

constexpr const char* help = R"(overhead_check [FAMILY [BLOCKS]]

What a frame costs above the bare manager, by each way to run one: the classifier in C++, dynofa_run of
examples/12_c_library, the element of examples/13_gstreamer. All run the same frames on the quickest level, in turn, in
BLOCKS (200) of 200 frames. Without a family: the tiny one of the tests.)";

constexpr int width = 64, height = 48, block = 200;

double microseconds_a_frame(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < block; ++i) run();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / block;
}

double part(std::vector<double> v, double share) {
  std::sort(v.begin(), v.end());
  return v[static_cast<std::size_t>(share * double(v.size() - 1))];
}

void run(int argc, char** argv) {
  const support::scratch_folder folder;
  const std::string file = argc > 1 ? argv[1] : support::write_tiny_family(folder.path() / "tiny.dynofa").string();
  const int blocks = argc > 2 ? static_cast<int>(report::read_number("BLOCKS", argv[2], 3, 1e6)) : 200;
  setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  const std::vector<std::uint8_t> pixels(width * height * 3, 90);
  const runtime::target wanted{.latency_ms = 1e-6}; // which nothing meets: the quickest level, that of the least noise
  const data::rgb_view frame{pixels, width, height};

  dynofa::adaptive_classifier cpp(file, wanted); // measures, for the others too

  family f = load_family(file);
  const std::string device =
      recall_or_measure_latencies(f, backend::cpu{.weights = "lossless"}, default_cache_folder());
  f.keep_front(device);
  runtime::dynamic_network network(backend::cpu{.weights = "lossless"}, f);
  const auto figures = network.figures(device);
  data::frame_preprocessor prepare(f.preprocessing());
  std::vector<float> logits(network.classes());
  runtime::manager bare(std::move(network), runtime::forecast(figures), wanted);

  dynofa_classifier* c = nullptr;
  dynofa_options options{};
  options.size = sizeof options, options.target_ms = wanted.latency_ms;
  if (dynofa_open(file.c_str(), &options, &c) != DYNOFA_OK)
    throw error(errc::device, "dynofa_open", "a classifier", dynofa_last_error());
  dynofa_frame c_frame{};
  c_frame.size = sizeof c_frame, c_frame.layout = DYNOFA_RGB, c_frame.width = width, c_frame.height = height;
  c_frame.planes[0] = pixels.data(), c_frame.bytes[0] = pixels.size();
  dynofa_answer c_answer{};
  c_answer.size = sizeof c_answer;

  gst_init(nullptr, nullptr);
  GST_PLUGIN_STATIC_REGISTER(dynofa);
  GstElement* const element = gst_element_factory_make("dynofaclassify", nullptr);
  g_object_set(element, "family", file.c_str(), "target-latency", wanted.latency_ms, nullptr);
  GstHarness* const h = gst_harness_new_with_element(element, "sink", "src");
  gst_harness_set_src_caps_str(h, "video/x-raw,format=RGB,width=64,height=48,framerate=30/1");
  GstBuffer* const buffer = gst_buffer_new_allocate(nullptr, pixels.size(), nullptr);
  gst_buffer_fill(buffer, 0, pixels.data(), pixels.size());

  struct way {
    const char* name;
    std::function<void()> run;
    std::vector<double> took = {}, above = {};
  };
  bool good = true;
  std::vector<way> ways{
      {"manager alone", [&] { bare.run([&](int r, std::span<float> i) { prepare.apply(frame, r, i); }, logits); }},
      {"adaptive_classifier", [&] { cpp(frame); }},
      {"dynofa_run", [&] { good = dynofa_run(c, &c_frame, &c_answer) == DYNOFA_OK && good; }},
      {"dynofaclassify, its buffer and queue", [&] {
         good = gst_harness_push(h, gst_buffer_copy(buffer)) == GST_FLOW_OK && good;
         gst_buffer_unref(gst_harness_pull(h));
       }}};
  for (int i = -2; i < blocks; ++i) { // the first two are for the caches
    for (way& w : ways) {
      const double us = microseconds_a_frame(w.run);
      if (i >= 0) w.took.push_back(us);
    }
  }
  std::printf("%d blocks of %d frames of %dx%d, level %zu of %zu; microseconds a frame\n", blocks, block, width, height,
              bare.last().level, figures.size());
  for (way& w : ways) {
    for (std::size_t i = 0; i < w.took.size(); ++i) w.above.push_back(w.took[i] - ways[0].took[i]);
    std::printf("%-38s median %8.1f, above the manager: median %5.1f (quartiles %5.1f to %5.1f)\n", w.name,
                part(w.took, 0.5), part(w.above, 0.5), part(w.above, 0.25), part(w.above, 0.75));
  }
  gst_buffer_unref(buffer);
  gst_harness_teardown(h);
  gst_object_unref(element);
  dynofa_close(c);
  support::check(good, "each frame had an answer");
  for (std::size_t i = 1; i < ways.size(); ++i)
    support::check(part(ways[i].above, 0.5) <= 50, text(ways[i].name, ": at most 50 us a frame above the manager"));
}

} // namespace

int main(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  return support::count_checks([&] { run(argc, argv); });
}
