// The element dynofaclassify, its source in this program, so that the sanitizers see into it: every frame that goes in
// comes out, with its answer, whatever happens to caps, target and machine.
#include "dynofa/adaptive_classifier.hpp"
#include "dynofa/core/random.hpp"

#include <doctest/doctest.h>

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <sched.h>

#include "support/co_runner.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_family.hpp"
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

extern "C" {
GST_PLUGIN_STATIC_DECLARE(dynofa);

// Read by the address sanitizer alone. GLib makes a table when it is loaded, and leaves it to readers without a lock
// when the table grows. A stack that reaches down to the loader, through code without frame pointers, tells it from
// ours.
const char* __asan_default_options() { return "fast_unwind_on_malloc=0:malloc_context_size=12"; }
const char* __lsan_default_suppressions() { return "leak:ld-linux"; }
}

namespace dynofa_test::gstreamer {

using namespace dynofa;

namespace {

constexpr const char* all_formats[] = {"RGB", "BGR", "RGBA", "RGBx", "BGRA", "BGRx", "GRAY8", "NV12", "YUY2"};

/// GStreamer begun, the element known, a family in a file, and a folder for its latencies.
struct setting {
  support::scratch_folder folder;
  std::string family = support::write_tiny_family(folder.path() / "tiny.dynofa");

  setting() {
    setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
    setenv("GST_REGISTRY_FORK", "no", 1);
    setenv("GST_REGISTRY", (folder.path() / "registry.bin").c_str(), 0);
    gst_init(nullptr, nullptr);
    if (!gst_registry_find_plugin(gst_registry_get(), "dynofa")) GST_PLUGIN_STATIC_REGISTER(dynofa);
  }
};

struct answer {
  guint index = 1000, level = 1000;
  double probability = 0, latency_ms = 0;
  std::string name, why;
};

/// What a buffer's metadata say; an index of 1000 where they are missing.
answer answer_of(GstBuffer* buffer) {
  answer a;
  GstCustomMeta* const meta = gst_buffer_get_custom_meta(buffer, "DynofaClassificationMeta");
  if (!meta) return a;
  const GstStructure* const s = gst_custom_meta_get_structure(meta);
  const char *name = nullptr, *why = nullptr;
  if (gst_structure_get(s, "class", G_TYPE_UINT, &a.index, "level", G_TYPE_UINT, &a.level, "probability", G_TYPE_DOUBLE,
                        &a.probability, "latency-ms", G_TYPE_DOUBLE, &a.latency_ms, nullptr) &&
      (name = gst_structure_get_string(s, "name")) && (why = gst_structure_get_string(s, "why")))
    a.name = name, a.why = why;
  return a;
}

bool is_answer(const answer& a) {
  return a.index < 10 && a.level < 3 && a.probability > 0 && a.latency_ms > 0 && a.name.size() >= 3 && !a.why.empty();
}

/// The element between two pads of a test.
class harness {
public:
  explicit harness(const setting& s) {
    GstElement* const net = gst_element_factory_make("dynofaclassify", nullptr);
    REQUIRE(net);
    g_object_set(net, "family", s.family.c_str(), nullptr);
    h_ = gst_harness_new_with_element(net, "sink", "src");
    gst_object_unref(net);
  }
  harness(const harness&) = delete;
  harness& operator=(const harness&) = delete;
  ~harness() { gst_harness_teardown(h_); }

  GstHarness* get() const { return h_; }
  GstVideoInfo caps(const char* format, int width, int height) const {
    const std::string c = text("video/x-raw,format=", format, ",width=", width, ",height=", height, ",framerate=30/1");
    gst_harness_set_src_caps_str(h_, c.c_str());
    GstCaps* const parsed = gst_caps_from_string(c.c_str());
    GstVideoInfo info;
    REQUIRE(gst_video_info_from_caps(&info, parsed));
    gst_caps_unref(parsed);
    return info;
  }
  /// A frame in; what comes out says.
  answer run(GstBuffer* buffer) const {
    REQUIRE(gst_harness_push(h_, buffer) == GST_FLOW_OK);
    GstBuffer* const out = gst_harness_try_pull(h_);
    REQUIRE(out);
    const answer a = answer_of(out);
    gst_buffer_unref(out);
    return a;
  }

private:
  GstHarness* h_ = nullptr;
};

GstBuffer* noise(const GstVideoInfo& info, std::uint64_t seed = 1) {
  GstBuffer* const b = gst_buffer_new_allocate(nullptr, info.size, nullptr);
  GstMapInfo m;
  REQUIRE(gst_buffer_map(b, &m, GST_MAP_WRITE));
  random_stream random(seed, "frame");
  for (gsize i = 0; i < m.size; ++i) m.data[i] = static_cast<guint8>(random.below(256));
  gst_buffer_unmap(b, &m);
  return b;
}

/// A pipeline by its text, run to its end; counts what comes to the fakesink named "out".
struct played {
  int frames = 0, without_answer = 0, switches = 0, told = 0;
  std::string fault;
  GstElement* element = nullptr; // while it plays

  static void on_frame(GstElement*, GstBuffer* b, GstPad*, gpointer self) {
    auto& p = *static_cast<played*>(self);
    ++p.frames;
    p.without_answer += !is_answer(answer_of(b));
    if (p.at_frame) p.at_frame(p);
  }
  void (*at_frame)(played&) = nullptr;

  void play(const std::string& text) {
    GError* wrong = nullptr;
    GstElement* const pipeline = gst_parse_launch(text.c_str(), &wrong);
    if (wrong) fault = wrong->message, g_error_free(wrong);
    REQUIRE(pipeline);
    GstElement* const out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
    element = gst_bin_get_by_name(GST_BIN(pipeline), "net");
    g_signal_connect(out, "handoff", G_CALLBACK(on_frame), this);
    GstBus* const bus = gst_element_get_bus(pipeline);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    for (bool over = false; !over;) {
      GstMessage* const m = gst_bus_timed_pop(bus, 60 * GST_SECOND);
      REQUIRE(m);
      if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR) {
        gst_message_parse_error(m, &wrong, nullptr);
        fault = wrong->message, g_error_free(wrong);
      }
      over = GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR || GST_MESSAGE_TYPE(m) == GST_MESSAGE_EOS;
      switches += gst_message_has_name(m, "dynofa-switch");
      told += gst_message_has_name(m, "dynofa-classification");
      gst_message_unref(m);
    }
    GstStructure* stats = nullptr;
    g_object_get(element, "stats", &stats, nullptr);
    gst_structure_get_uint64(stats, "images", &counted_frames);
    gst_structure_get_uint64(stats, "switches", &counted_switches);
    gst_structure_free(stats);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    for (gpointer p : {gpointer(bus), gpointer(element), gpointer(out), gpointer(pipeline)}) gst_object_unref(p);
    element = nullptr;
  }
  guint64 counted_frames = 0, counted_switches = 0;
};

std::string source(const char* format, int frames, const char* size = "width=64,height=48") {
  return text("videotestsrc num-buffers=", frames, " pattern=ball ! video/x-raw,format=", format, ',', size);
}
std::string classify(const setting& s, const char* more = "") {
  return text(" ! dynofaclassify name=net family=", s.family, ' ', more,
              " ! fakesink name=out signal-handoffs=true sync=false");
}

int many() {
  const char* const told = std::getenv("DYNOFA_FRAMES");
  return told ? std::atoi(told) : 2000;
}

} // namespace

TEST_CASE("frames of each format are classified as the library classifies them, whatever their strides") {
  const setting s;
  dynofa::adaptive_classifier direct(s.family, {}); // any time: the last level
  for (const char* format : all_formats) {
    CAPTURE(format);
    for (const int width : {64, 62}) { // the second has gaps between rows, or none, as GStreamer aligns them
      const harness h(s);
      const GstVideoInfo info = h.caps(format, width, 40);
      GstBuffer* const buffer = noise(info);
      GstMapInfo m;
      REQUIRE(gst_buffer_map(buffer, &m, GST_MAP_READ));
      const auto plane = [&](guint i) {
        const gsize at = GST_VIDEO_INFO_PLANE_OFFSET(&info, i);
        return std::span<const std::uint8_t>(m.data + at, m.size - at);
      };
      const auto stride = [&](guint i) { return static_cast<std::size_t>(GST_VIDEO_INFO_PLANE_STRIDE(&info, i)); };
      const std::string f = format;
      const auto packed = [&]<data::pixel_layout Layout>(data::packed_view<Layout> v) {
        v.pixels = plane(0), v.width = width, v.height = 40, v.stride = stride(0);
        return direct(v);
      };
      const classification expected =
          f == "RGB"             ? packed(data::rgb_view{})
          : f == "BGR"           ? packed(data::bgr_view{})
          : f.starts_with("RGB") ? packed(data::rgba_view{})
          : f.starts_with("BGR") ? packed(data::bgra_view{})
          : f == "GRAY8"         ? packed(data::grey_view{})
          : f == "YUY2"          ? direct(data::yuyv_view{plane(0), width, 40, stride(0)})
                                 : direct(data::nv12_view{plane(0), plane(1), width, 40, stride(0), stride(1)});
      gst_buffer_unmap(buffer, &m);
      const answer a = h.run(buffer);
      CHECK(is_answer(a));
      CHECK(a.index == expected.index);
      CHECK(a.probability == double(expected.probability));
      CHECK(a.name == expected.name);
    }
  }
}

TEST_CASE("the colours that caps name are those of the classification") {
  const setting s;
  const harness h(s);
  std::vector<double> seen;
  for (const char* colours : {"bt601", "bt709", "1:4:0:0"}) { // the last is JPEG's
    gst_harness_set_src_caps_str(
        h.get(), text("video/x-raw,format=NV12,width=64,height=48,framerate=30/1,colorimetry=", colours).c_str());
    GstVideoInfo info;
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_NV12, 64, 48);
    seen.push_back(h.run(noise(info)).probability);
  }
  CHECK(seen[0] != seen[1]);
  CHECK(seen[0] != seen[2]);
}

TEST_CASE("planes in memories of their own, and a buffer that others hold too") {
  const setting s;
  const harness h(s);
  const GstVideoInfo info = h.caps("NV12", 64, 48);
  const answer whole = h.run(noise(info));
  GstBuffer* const one = noise(info);
  // luma with a stride of 100, chroma of 80, each in a memory of its own
  GstMapInfo m;
  REQUIRE(gst_buffer_map(one, &m, GST_MAP_READ));
  GstBuffer* const two = gst_buffer_new();
  gsize offset[4] = {0, 100 * 48};
  gint stride[4] = {100, 80};
  for (guint plane = 0; plane < 2; ++plane) {
    const int rows = plane ? 24 : 48;
    GstMemory* const memory = gst_allocator_alloc(nullptr, static_cast<gsize>(stride[plane]) * gsize(rows), nullptr);
    GstMapInfo to;
    REQUIRE(gst_memory_map(memory, &to, GST_MAP_WRITE));
    for (int y = 0; y < rows; ++y)
      std::copy_n(m.data + GST_VIDEO_INFO_PLANE_OFFSET(&info, plane) + y * GST_VIDEO_INFO_PLANE_STRIDE(&info, plane),
                  64, to.data + y * stride[plane]);
    gst_memory_unmap(memory, &to);
    gst_buffer_append_memory(two, memory);
  }
  gst_buffer_unmap(one, &m);
  gst_buffer_unref(one);
  gst_buffer_add_video_meta_full(two, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_NV12, 64, 48, 2, offset, stride);
  gst_buffer_ref(two); // shared: its metadata cannot be written, its pixels need no copy
  GstMemory* const held = gst_buffer_peek_memory(two, 0);
  REQUIRE(gst_harness_push(h.get(), two) == GST_FLOW_OK);
  GstBuffer* const out = gst_harness_pull(h.get());
  CHECK(out != two);
  CHECK(gst_buffer_peek_memory(out, 0) == held);
  const answer a = answer_of(out);
  CHECK(a.index == whole.index);
  CHECK(a.probability == whole.probability);
  CHECK(answer_of(two).index == 1000); // others' buffer is as it was
  gst_buffer_unref(out);
  gst_buffer_unref(two);
}

TEST_CASE("caps that change in the middle, a flush and the end: as many frames out as in") {
  const setting s;
  const harness h(s);
  int in = 0;
  for (int round = 0; round < 3; ++round)
    for (const char* format : all_formats) {
      const GstVideoInfo info = h.caps(format, 40 + 16 * round, 64 - 8 * round);
      for (int i = 0; i < 3; ++i, ++in) CHECK(is_answer(h.run(noise(info, std::uint64_t(in)))));
    }
  const GstVideoInfo info = h.caps("RGB", 64, 64);
  CHECK(gst_harness_push_event(h.get(), gst_event_new_flush_start()));
  GstBuffer* const flushed = noise(info);
  CHECK(gst_harness_push(h.get(), flushed) == GST_FLOW_FLUSHING);
  CHECK(gst_harness_push_event(h.get(), gst_event_new_flush_stop(TRUE)));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  CHECK(gst_harness_push_event(h.get(), gst_event_new_segment(&segment)));
  for (int i = 0; i < 5; ++i, ++in) CHECK(is_answer(h.run(noise(info))));
  CHECK(gst_harness_push_event(h.get(), gst_event_new_eos()));
  CHECK(gst_harness_push(h.get(), noise(info)) == GST_FLOW_EOS);
  CHECK(gst_harness_buffers_received(h.get()) == guint(in));
}

TEST_CASE("a target changes while it plays, beside a co-runner: no frame is lost to a switch") {
  const int core = sched_getcpu();
  const support::co_runner other(core); // a process of its own, made before there is a thread
  support::pin_to(core);
  const setting s;
  other.start();
  played p;
  p.at_frame = [](played& now) {
    if (now.frames % 20 == 0)
      g_object_set(now.element, "target-latency", now.frames % 40 ? 1e-6 : 0.0, "percentile",
                   now.frames % 40 ? 0.9 : 0.5, nullptr);
    int level = -2;
    g_object_get(now.element, "level", &level, nullptr);
    now.without_answer += level < 0;
  };
  p.play(source("NV12", 400) + classify(s, "target-latency=1e-6"));
  CHECK(p.fault.empty());
  CHECK(p.frames == 400);
  CHECK(p.without_answer == 0);
  CHECK(p.counted_frames == 400);
  CHECK(p.switches >= 15); // each change of the target is one at least
  CHECK(guint64(p.switches) == p.counted_switches);
  CHECK(p.told == 0);
}

TEST_CASE("every format in a pipeline, and pictures of a JPEG sequence") {
  const setting s;
  for (const char* format : all_formats) {
    CAPTURE(format);
    played p;
    p.play(source(format, 5) + classify(s, "post-messages=frames quick=true counts-preparation=true"));
    CHECK(p.fault.empty());
    CHECK(p.frames == 5);
    CHECK(p.without_answer == 0);
    CHECK(p.told == 5);
  }
  const auto has = [](const char* name) {
    GstElementFactory* const f = gst_element_factory_find(name);
    if (f) gst_object_unref(f);
    return f != nullptr;
  };
  if (!has("jpegenc") || !has("jpegdec") || !has("multifilesrc")) return; // gstreamer1.0-plugins-good
  const std::string files = (s.folder.path() / "%03d.jpg").string();
  played written;
  written.play(source("RGB", 6, "width=80,height=60") +
               " ! tee name=t ! queue ! videoconvert ! jpegenc ! multifilesink location=" + files + " t. ! queue" +
               classify(s));
  CHECK(written.frames == 6);
  played p;
  p.play("multifilesrc location=" + files + " caps=image/jpeg,framerate=30/1 ! jpegdec ! videoconvert" + classify(s));
  CHECK(p.fault.empty());
  CHECK(p.frames == 6);
  CHECK(p.without_answer == 0);
}

TEST_CASE("what cannot be opened or read is a sentence on the bus") {
  setting s;
  const auto fault = [&](const std::string& text) {
    played p;
    p.play(text);
    CHECK(p.frames == 0);
    return p.fault;
  };
  const std::string family = s.family;
  s.family = "nowhere";
  CHECK(fault(source("RGB", 3) + classify(s)) == "nowhere: expected a readable file, got No such file or directory");
  support::write_text(s.folder.path() / "none", "this is no family");
  s.family = (s.folder.path() / "none").string();
  CHECK(fault(source("RGB", 3) + classify(s)).find("none: expected") != std::string::npos);
  CHECK(fault(source("RGB", 3) + " ! dynofaclassify name=net ! fakesink name=out signal-handoffs=true") ==
        "dynofaclassify: expected the property family to name a file, got none");
  s.family = family;
  const harness h(s); // a buffer shorter than its caps
  const GstVideoInfo info = h.caps("RGB", 64, 48);
  GstBuffer* const shorter = noise(info);
  gst_buffer_set_size(shorter, 100);
  CHECK(gst_harness_push(h.get(), shorter) == GST_FLOW_ERROR);
  CHECK(gst_harness_try_pull(h.get()) == nullptr);
}

TEST_CASE("many frames through the element") {
  const setting s;
  played p;
  p.at_frame = [](played& now) {
    if (now.frames % 100 == 0) g_object_set(now.element, "target-latency", now.frames % 200 ? 1e-6 : 0.0, nullptr);
  };
  p.play(source("BGRx", many()) + classify(s));
  CHECK(p.fault.empty());
  CHECK(p.frames == many());
  CHECK(p.without_answer == 0);
  CHECK(p.counted_frames == guint64(many()));
  CHECK(guint64(p.switches) == p.counted_switches);
}

} // namespace dynofa_test::gstreamer
