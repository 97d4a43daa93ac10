// The element dynofaclassify: video goes through as it is, and each buffer comes out with what it shows.
//
//   gst-launch-1.0 -m videotestsrc ! dynofaclassify family=F target-latency=5 post-messages=frames ! fakesink
//
// GObject's part, first to last: what a frame is, the element's state, its properties, one frame, the class, the
// plugin.
#include "dynofa/adaptive_classifier.hpp"
#include "dynofa/core/version.hpp"

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

GST_DEBUG_CATEGORY_STATIC(dynofa_debug);
#define GST_CAT_DEFAULT dynofa_debug

namespace {

using namespace dynofa;

constexpr const char* meta_name = "DynofaClassificationMeta";
constexpr const char* formats = "{ RGB, BGR, RGBA, RGBx, BGRA, BGRx, GRAY8, NV12, YUY2 }";

// --- Frames
// -------------------------------------------------------------------------------------------------------------

data::yuv_colours colours_of(const GstVideoColorimetry& c) {
  const bool full = c.range == GST_VIDEO_COLOR_RANGE_0_255;
  switch (c.matrix) {
  case GST_VIDEO_COLOR_MATRIX_BT709:
  case GST_VIDEO_COLOR_MATRIX_SMPTE240M: // nearer to this than to the other
  case GST_VIDEO_COLOR_MATRIX_BT2020: return full ? data::yuv_colours::bt709_full : data::yuv_colours::bt709;
  default: return full ? data::yuv_colours::bt601_full : data::yuv_colours::bt601;
  }
}

/// The bytes from the start of a plane to the end of the memory that it lies in: strides, padding and separate memories
/// are the upstream element's choice.
std::span<const std::uint8_t> bytes_of(const GstVideoFrame& f, guint plane) {
  const auto* const first = static_cast<const std::uint8_t*>(f.data[plane]);
  for (const GstMapInfo& m : f.map)
    if (m.data && first >= m.data && first < m.data + m.size)
      return {first, static_cast<std::size_t>(m.data + m.size - first)};
  throw error(errc::invalid_argument, "buffer", text("memory for plane ", plane), "none");
}

data::frame frame_of(const GstVideoFrame& f) {
  const int width = GST_VIDEO_FRAME_WIDTH(&f), height = GST_VIDEO_FRAME_HEIGHT(&f);
  const auto stride = [&](guint plane) {
    const gint s = GST_VIDEO_FRAME_PLANE_STRIDE(&f, plane);
    require_argument(s > 0, "buffer", "rows from top to bottom", "a stride of ", s);
    return static_cast<std::size_t>(s);
  };
  const auto colours = colours_of(f.info.colorimetry);
  switch (GST_VIDEO_FRAME_FORMAT(&f)) {
  case GST_VIDEO_FORMAT_RGB: return data::rgb_view{bytes_of(f, 0), width, height, stride(0)};
  case GST_VIDEO_FORMAT_BGR: return data::bgr_view{bytes_of(f, 0), width, height, stride(0)};
  case GST_VIDEO_FORMAT_RGBA:
  case GST_VIDEO_FORMAT_RGBx: return data::rgba_view{bytes_of(f, 0), width, height, stride(0)};
  case GST_VIDEO_FORMAT_BGRA:
  case GST_VIDEO_FORMAT_BGRx: return data::bgra_view{bytes_of(f, 0), width, height, stride(0)};
  case GST_VIDEO_FORMAT_GRAY8: return data::grey_view{bytes_of(f, 0), width, height, stride(0)};
  case GST_VIDEO_FORMAT_YUY2: return data::yuyv_view{bytes_of(f, 0), width, height, stride(0), colours};
  case GST_VIDEO_FORMAT_NV12:
    return data::nv12_view{bytes_of(f, 0), bytes_of(f, 1), width, height, stride(0), stride(1), colours};
  default: throw error(errc::unsupported, "buffer", formats, gst_video_format_to_string(GST_VIDEO_FRAME_FORMAT(&f)));
  }
}

/// A buffer's pixels, mapped to be read. In place means that nothing is written: shared memory is not copied.
class mapped_frame {
public:
  mapped_frame(const GstVideoInfo& info, GstBuffer* buffer) {
    constexpr auto flags = static_cast<GstMapFlags>(int(GST_MAP_READ) | int(GST_VIDEO_FRAME_MAP_FLAG_NO_REF));
    if (!gst_video_frame_map(&frame_, &info, buffer, flags))
      throw error(errc::invalid_argument, "buffer", text(info.width, "×", info.height, " pixels as in its caps"),
                  text(gst_buffer_get_size(buffer), " bytes that cannot be read so"));
  }
  mapped_frame(const mapped_frame&) = delete;
  mapped_frame& operator=(const mapped_frame&) = delete;
  ~mapped_frame() { gst_video_frame_unmap(&frame_); }
  const GstVideoFrame& get() const { return frame_; }

private:
  GstVideoFrame frame_;
};

// --- State
// --------------------------------------------------------------------------------------------------------------

enum class messages { none, switches, frames };

/// Properties are set and read by any thread, frames run on the streaming thread. `start` and `stop` are called while
/// that one does not run, so only properties have to ask for `mutex` before they look at `net`.
struct state {
  std::mutex mutex;
  std::string family;
  runtime::target wanted{};
  bool quick = false, counts_preparation = false;
  std::unique_ptr<adaptive_classifier> net;
  std::atomic<messages> post{messages::switches};
  std::atomic<int> level{-1};
  GstVideoInfo info{}; // the streaming thread's
};

// GObject's macros want these names.
struct DynofaClassify {
  GstBaseTransform base;
  state* own;
};
struct DynofaClassifyClass {
  GstBaseTransformClass base;
};
using element = DynofaClassify;

G_DEFINE_TYPE(DynofaClassify, dynofa_classify, GST_TYPE_BASE_TRANSFORM)

element* self_of(gpointer object) { return static_cast<element*>(object); }

/// What went wrong, as every element of GStreamer tells it: gst-launch prints it and ends.
void post_fault(element* self, bool opening) {
  try {
    throw;
  } catch (const std::exception& fault) {
    if (opening)
      GST_ELEMENT_ERROR(self, RESOURCE, OPEN_READ, ("%s", fault.what()), (nullptr));
    else
      GST_ELEMENT_ERROR(self, STREAM, FAILED, ("%s", fault.what()), (nullptr));
  } catch (...) {
    GST_ELEMENT_ERROR(self, LIBRARY, FAILED, ("a fault without a name"), (nullptr));
  }
}

/// Reads the family. The first time on a machine its levels are measured, for a second or two.
gboolean start(GstBaseTransform* base) {
  element* const self = self_of(base);
  state& s = *self->own;
  try {
    std::unique_lock lock(s.mutex);
    const std::string file = s.family;
    const runtime::target wanted = s.wanted;
    classifier_options options;
    if (s.quick) options.resize = data::resizing::quick;
    if (s.counts_preparation) options.counts = runtime::counted_time::all;
    lock.unlock(); // properties stay within reach meanwhile
    require_argument(!file.empty(), "dynofaclassify", "the property family to name a file", "none");
    auto net = std::make_unique<adaptive_classifier>(file, wanted, std::move(options));
    lock.lock();
    net->set_target(s.wanted);
    s.net = std::move(net);
    s.level = -1;
    GST_INFO_OBJECT(self, "%zu levels on %s", s.net->levels().size(), s.net->device().c_str());
    return TRUE;
  } catch (...) {
    post_fault(self, true);
    return FALSE;
  }
}

gboolean stop(GstBaseTransform* base) {
  state& s = *self_of(base)->own;
  const std::lock_guard lock(s.mutex);
  s.net.reset();
  return TRUE;
}

gboolean set_caps(GstBaseTransform* base, GstCaps* in, GstCaps* /*out*/) {
  return gst_video_info_from_caps(&self_of(base)->own->info, in);
}

// --- Properties
// ---------------------------------------------------------------------------------------------------------

enum property { family = 1, target_latency, percentile, quick, counts_preparation, post_messages, level, stats };

/// The counters as fields: images, late, switches, latency-ms, preparation-ms (means), level-0, level-1, …
GstStructure* stats_of(const runtime::run_counters& counters) {
  GstStructure* const told = gst_structure_new_empty("dynofa-stats");
  const std::string csv = counters.csv();
  const std::size_t line = csv.find('\n');
  std::string_view names(csv.data(), line), figures(csv.data() + line + 1, csv.size() - line - 2);
  const auto next = [](std::string_view& from) {
    const std::size_t end = std::min(from.find(','), from.size());
    std::string part(from.substr(0, end));
    from.remove_prefix(std::min(end + 1, from.size()));
    return part;
  };
  while (!names.empty()) {
    std::string name = next(names);
    const std::string figure = next(figures);
    const bool whole = !name.ends_with("_ms");
    for (char& c : name)
      if (c == '_') c = '-';
    if (whole)
      gst_structure_set(told, name.c_str(), G_TYPE_UINT64, g_ascii_strtoull(figure.c_str(), nullptr, 10), nullptr);
    else
      gst_structure_set(told, name.c_str(), G_TYPE_DOUBLE, g_ascii_strtod(figure.c_str(), nullptr), nullptr);
  }
  return told;
}

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  state& s = *self_of(object)->own;
  try {
    const std::lock_guard lock(s.mutex);
    switch (id) {
    case family: s.family = g_value_get_string(value) ? g_value_get_string(value) : ""; break;
    case quick: s.quick = g_value_get_boolean(value); break;
    case counts_preparation: s.counts_preparation = g_value_get_boolean(value); break;
    case post_messages: s.post = static_cast<messages>(g_value_get_enum(value)); break;
    case target_latency: {
      const double ms = g_value_get_double(value);
      s.wanted.latency_ms = ms > 0 ? ms : runtime::target::none;
      if (s.net) s.net->set_target(s.wanted);
      break;
    }
    case percentile:
      s.wanted.percentile = g_value_get_double(value);
      if (s.net) s.net->set_target(s.wanted);
      break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
  } catch (const std::exception& fault) { // memory: GObject keeps values within their ranges
    GST_WARNING_OBJECT(object, "%s", fault.what());
  }
}

void get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  state& s = *self_of(object)->own;
  try {
    const std::lock_guard lock(s.mutex);
    const double ms = s.wanted.latency_ms;
    switch (id) {
    case family: g_value_set_string(value, s.family.c_str()); break;
    case target_latency: g_value_set_double(value, ms == runtime::target::none ? 0 : ms); break;
    case percentile: g_value_set_double(value, s.wanted.percentile); break;
    case quick: g_value_set_boolean(value, s.quick); break;
    case counts_preparation: g_value_set_boolean(value, s.counts_preparation); break;
    case post_messages: g_value_set_enum(value, static_cast<gint>(s.post.load())); break;
    case level: g_value_set_int(value, s.level); break;
    case stats:
      g_value_take_boxed(value, s.net ? stats_of(s.net->counters()) : gst_structure_new_empty("dynofa-stats"));
      break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
  } catch (const std::exception& fault) {
    GST_WARNING_OBJECT(object, "%s", fault.what());
  }
}

// --- One frame
// ----------------------------------------------------------------------------------------------------------

void describe(GstStructure* to, const classification& c) {
  gst_structure_set(to, "class", G_TYPE_UINT, static_cast<guint>(c.index), "name", G_TYPE_STRING,
                    c.name.empty() ? "" : c.name.data(), "probability", G_TYPE_DOUBLE, double(c.probability), "level",
                    G_TYPE_UINT, static_cast<guint>(c.level), "latency-ms", G_TYPE_DOUBLE, c.latency_ms,
                    "preparation-ms", G_TYPE_DOUBLE, c.preparation_ms, "late", G_TYPE_BOOLEAN, gboolean(c.late), "why",
                    G_TYPE_STRING, runtime::name(c.why).data(), nullptr);
}

void post(element* self, const char* what, const classification& c, GstBuffer* buffer) {
  GstStructure* const told = gst_structure_new(what, "timestamp", G_TYPE_UINT64, GST_BUFFER_PTS(buffer), nullptr);
  describe(told, c);
  gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), told));
}

/// Whatever level it is classified on, and however long that takes, the frame goes on.
GstFlowReturn transform_ip(GstBaseTransform* base, GstBuffer* buffer) {
  element* const self = self_of(base);
  state& s = *self->own;
  try {
    std::optional<classification> found;
    {
      const mapped_frame frame(s.info, buffer);
      found = (*s.net)(frame_of(frame.get()));
    }
    s.level = static_cast<int>(found->level);
    if (GstCustomMeta* const meta = gst_buffer_add_custom_meta(buffer, meta_name))
      describe(gst_custom_meta_get_structure(meta), *found);
    const messages wanted = s.post;
    if (found->switched && wanted != messages::none) post(self, "dynofa-switch", *found, buffer);
    if (wanted == messages::frames) post(self, "dynofa-classification", *found, buffer);
    return GST_FLOW_OK;
  } catch (...) {
    post_fault(self, false);
    return GST_FLOW_ERROR;
  }
}

// --- The class
// ----------------------------------------------------------------------------------------------------------

void finalize(GObject* object) {
  delete self_of(object)->own;
  G_OBJECT_CLASS(dynofa_classify_parent_class)->finalize(object);
}

void dynofa_classify_init(element* self) {
  self->own = new state;
  gst_base_transform_set_in_place(&self->base, TRUE);
  gst_base_transform_set_qos_enabled(&self->base, FALSE); // or frames that are late would be left out
}

GType messages_type() {
  static const GEnumValue values[] = {{int(messages::none), "No messages", "none"},
                                      {int(messages::switches), "dynofa-switch when the level changes", "switches"},
                                      {int(messages::frames), "also dynofa-classification for each frame", "frames"},
                                      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("DynofaClassifyMessages", values);
  return type;
}

void dynofa_classify_class_init(DynofaClassifyClass* c) {
  auto* const object = G_OBJECT_CLASS(c);
  auto* const gst = GST_ELEMENT_CLASS(c);
  auto* const transform = GST_BASE_TRANSFORM_CLASS(c);
  object->set_property = set_property, object->get_property = get_property, object->finalize = finalize;
  transform->start = start, transform->stop = stop, transform->set_caps = set_caps;
  transform->transform_ip = transform_ip;

  constexpr auto with = [](int flags) { return static_cast<GParamFlags>(int(G_PARAM_STATIC_STRINGS) | flags); };
  constexpr int opened = int(G_PARAM_READWRITE) | int(GST_PARAM_MUTABLE_READY);
  constexpr int any_time = int(G_PARAM_READWRITE) | int(GST_PARAM_MUTABLE_PLAYING);
  const auto install = [&](property id, GParamSpec* spec) { g_object_class_install_property(object, id, spec); };
  install(family, g_param_spec_string("family", "Family", "File with the family of networks", nullptr, with(opened)));
  install(target_latency, g_param_spec_double("target-latency", "Target latency",
                                              "Milliseconds a frame may take; 0: any time", 0, 1e9, 0, with(any_time)));
  install(percentile, g_param_spec_double("percentile", "Percentile", "Share of frames that the target is for", 0.5,
                                          0.9999, 0.95, with(any_time)));
  install(quick, g_param_spec_boolean("quick", "Quick", "Resize quickly, for frames much larger than the network's",
                                      FALSE, with(opened)));
  install(counts_preparation,
          g_param_spec_boolean("counts-preparation", "Counts preparation",
                               "The target is for resizing too, not for the network alone", FALSE, with(opened)));
  install(post_messages, g_param_spec_enum("post-messages", "Post messages", "What to tell on the bus", messages_type(),
                                           int(messages::switches), with(any_time)));
  install(level, g_param_spec_int("level", "Level", "That the latest frame ran on; -1 before the first", -1, G_MAXINT,
                                  -1, with(G_PARAM_READABLE)));
  install(stats, g_param_spec_boxed("stats", "Statistics", "Images, late ones, switches, means, images of each level",
                                    GST_TYPE_STRUCTURE, with(G_PARAM_READABLE)));

  gst_element_class_set_static_metadata(gst, "dynofa classifier", "Filter/Analyzer/Video",
                                        "Names what frames show, on the most accurate network that is in time",
                                        "the authors of dynofa");
  const std::string caps = text("video/x-raw, format=", formats, ", width=[1,65535], height=[1,65535]");
  GstCaps* const any = gst_caps_from_string(caps.c_str());
  gst_element_class_add_pad_template(gst, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, any));
  gst_element_class_add_pad_template(gst, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, any));
  gst_caps_unref(any);

  GST_DEBUG_CATEGORY_INIT(dynofa_debug, "dynofaclassify", 0, "dynofa classifier");
  static const gchar* no_tags[] = {nullptr}; // what a frame shows stays true when it is scaled or converted
  gst_meta_register_custom(meta_name, no_tags, nullptr, nullptr, nullptr);
}

gboolean register_elements(GstPlugin* plugin) {
  return gst_element_register(plugin, "dynofaclassify", GST_RANK_NONE, dynofa_classify_get_type());
}

} // namespace

#define PACKAGE "dynofa"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, dynofa, "Classification of video in time", register_elements,
                  DYNOFA_VERSION, "MIT/X11", PACKAGE, "https://arxiv.org/abs/1908.09791")
