// The border between C and the library: every pointer, size and number that comes in is looked at, and no exception
// goes out.
#include "dynofa.h"

#include "dynofa/adaptive_classifier.hpp"
#include "dynofa/core/version.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

using namespace dynofa;

struct dynofa_classifier {
  adaptive_classifier net;
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  std::mutex mutex = {}; // guards what follows
  std::optional<classification> last = {};
};

namespace {

constexpr std::size_t longest_sentence = 1024;
thread_local char sentence[longest_sentence]; // no std::string: it is written when memory has run out, too

int fail(int code, std::string_view why) noexcept {
  std::size_t n = std::min(why.size(), longest_sentence - 1);
  while (n < why.size() && n > 0 && (static_cast<unsigned char>(why[n]) & 0xC0) == 0x80) --n; // no half of a character
  std::memcpy(sentence, why.data(), n);
  sentence[n] = 0;
  return code;
}

int code_of(errc code) noexcept {
  switch (code) {
  case errc::invalid_argument: return DYNOFA_INVALID_ARGUMENT;
  case errc::io: return DYNOFA_IO;
  case errc::unsupported:
  case errc::infeasible: return DYNOFA_UNSUPPORTED;
  case errc::device: return DYNOFA_DEVICE;
  case errc::cancelled: return DYNOFA_FAULT;
  default: return DYNOFA_BAD_FILE; // what else there is says that parts of a family do not belong together
  }
}

/// Runs `body`, and makes a code and a sentence of what it throws.
template <class Body>
int guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const error& e) {
    return fail(code_of(e.code()), e.what());
  } catch (const std::bad_alloc&) {
    return fail(DYNOFA_NO_MEMORY, "memory: expected enough for this, got none");
  } catch (const std::exception& e) {
    return fail(DYNOFA_FAULT, e.what());
  } catch (...) {
    return fail(DYNOFA_FAULT, "the library: expected no fault of its own, got one without a name");
  }
}

/// The size that a structure from the caller says it has.
std::size_t size_of(const void* given, std::size_t first_size, std::string_view what) {
  require_argument(given != nullptr, what, "a pointer", "NULL");
  constexpr std::size_t most = 4096; // one that was never set is likely to be more, and is not read to its end
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < first_size || size > most)
    throw error(errc::invalid_argument, what, text("its size in the field `size`, ", first_size, " or more"),
                text(size));
  return size;
}

/// A structure as this version knows it, from a caller whose version knew fewer fields or more. Those that are not
/// known here have to be 0, which asks for what this version does.
template <class Struct>
Struct read(const Struct* given, std::size_t first_size, std::string_view what) {
  const std::size_t size = size_of(given, first_size, what);
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = sizeof(Struct); i < size; ++i)
    if (bytes[i] != 0) throw error(errc::invalid_argument, what, "0 in fields of later versions", text("byte ", i));
  Struct known{};
  std::memcpy(&known, given, std::min(size, sizeof known));
  return known;
}

// What the first version had: a later one adds fields behind, and leaves these numbers.
constexpr std::size_t first_options = offsetof(dynofa_options, threads) + sizeof(std::int32_t);
constexpr std::size_t first_frame = offsetof(dynofa_frame, strides) + 3 * sizeof(std::size_t);
constexpr std::size_t first_answer = offsetof(dynofa_answer, switched) + sizeof(std::int32_t);

bool is_flag(int v) { return v == 0 || v == 1; }

runtime::target target_of(double ms, double percentile) {
  runtime::target wanted;
  if (ms != 0) wanted.latency_ms = ms;
  if (percentile != 0) wanted.percentile = percentile;
  runtime::validate(wanted);
  return wanted;
}

data::frame frame_of(const dynofa_frame& f) {
  require_argument(f.reserved == 0, "frame", "0 in the field `reserved`", f.reserved);
  require_argument(f.layout >= DYNOFA_RGB && f.layout <= DYNOFA_FLOATS, "frame layout",
                   "one of enum dynofa_layout, 1 to 8", f.layout);
  const std::size_t planes = f.layout == DYNOFA_FLOATS ? 3 : f.layout == DYNOFA_NV12 ? 2 : 1;
  for (std::size_t i = 0; i < planes; ++i) { // no text is made where all is well: it would allocate
    if (!f.planes[i]) throw error(errc::invalid_argument, text("frame planes[", i, ']'), "a pointer", "NULL");
    if (f.bytes[i] > SIZE_MAX / 2)
      throw error(errc::invalid_argument, text("frame bytes[", i, ']'), "a size that memory can have",
                  text(f.bytes[i]));
  }
  const auto bytes = [&](std::size_t i) {
    return std::span(static_cast<const std::uint8_t*>(f.planes[i]), f.bytes[i]);
  };
  const auto colours = [&] {
    require_argument(f.colours >= DYNOFA_BT601 && f.colours <= DYNOFA_BT709_FULL, "frame colours",
                     "one of enum dynofa_colours, 0 to 3", f.colours);
    constexpr data::yuv_colours known[] = {data::yuv_colours::bt601, data::yuv_colours::bt709,
                                           data::yuv_colours::bt601_full, data::yuv_colours::bt709_full};
    return known[f.colours];
  };
  switch (f.layout) {
  case DYNOFA_RGB: return data::rgb_view{bytes(0), f.width, f.height, f.strides[0]};
  case DYNOFA_BGR: return data::bgr_view{bytes(0), f.width, f.height, f.strides[0]};
  case DYNOFA_RGBA: return data::rgba_view{bytes(0), f.width, f.height, f.strides[0]};
  case DYNOFA_BGRA: return data::bgra_view{bytes(0), f.width, f.height, f.strides[0]};
  case DYNOFA_GREY: return data::grey_view{bytes(0), f.width, f.height, f.strides[0]};
  case DYNOFA_YUYV: return data::yuyv_view{bytes(0), f.width, f.height, f.strides[0], colours()};
  case DYNOFA_NV12:
    return data::nv12_view{bytes(0), bytes(1), f.width, f.height, f.strides[0], f.strides[1], colours()};
  default: break;
  }
  require_argument(f.range == DYNOFA_UNIT || f.range == DYNOFA_BYTE, "frame range", "DYNOFA_UNIT or DYNOFA_BYTE",
                   f.range);
  require_argument(f.strides[0] == f.strides[1] && f.strides[0] == f.strides[2], "frame strides",
                   "the same for each plane of floats", f.strides[0], ", ", f.strides[1], ", ", f.strides[2]);
  require_argument(f.strides[0] % sizeof(float) == 0, "frame strides", "whole floats", f.strides[0], " bytes");
  const auto floats = [&](std::size_t i) {
    if (reinterpret_cast<std::uintptr_t>(f.planes[i]) % alignof(float) != 0)
      throw error(errc::invalid_argument, text("frame planes[", i, ']'), "an address that a float may have",
                  "one between two");
    return std::span(static_cast<const float*>(f.planes[i]), f.bytes[i] / sizeof(float));
  };
  const auto range = f.range == DYNOFA_UNIT ? data::value_range::unit : data::value_range::byte;
  return data::rgb_float_view{range, floats(0), floats(1), floats(2), f.width, f.height, f.strides[0] / sizeof(float)};
}

int write(dynofa_answer* to, std::size_t size, const classification& c) {
  dynofa_answer told{};
  told.size = size;
  told.class_name = c.name.empty() ? "" : c.name.data(); // of a std::string, which ends with 0
  told.class_index = static_cast<std::int32_t>(c.index);
  told.probability = c.probability;
  told.level = static_cast<std::int32_t>(c.level);
  told.why = static_cast<std::int32_t>(c.why);
  told.latency_ms = c.latency_ms, told.preparation_ms = c.preparation_ms;
  told.late = c.late, told.switched = c.switched;
  std::memset(static_cast<void*>(to), 0, size); // what a later version's caller knows besides
  std::memcpy(static_cast<void*>(to), &told, std::min(size, sizeof told));
  return DYNOFA_OK;
}

void require_classifier(const dynofa_classifier* given) {
  require_argument(given != nullptr, "classifier", "a pointer", "NULL");
}

struct release {
  std::atomic_flag& flag;
  ~release() { flag.clear(std::memory_order_release); }
};

} // namespace

int dynofa_c_abi(void) { return DYNOFA_C_ABI; }

const char* dynofa_version(void) { return DYNOFA_VERSION; }

const char* dynofa_last_error(void) { return sentence; }

int dynofa_open(const char* family, const dynofa_options* options, dynofa_classifier** classifier) {
  if (classifier) *classifier = nullptr;
  return guarded([&] {
    require_argument(classifier != nullptr, "classifier", "a pointer to where it goes", "NULL");
    require_argument(family != nullptr, "family", "a file's name", "NULL");
    const dynofa_options o = options ? read(options, first_options, "options") : dynofa_options{};
    require_argument(is_flag(o.counts_preparation), "counts_preparation", "0 or 1", o.counts_preparation);
    require_argument(is_flag(o.quick_resize), "quick_resize", "0 or 1", o.quick_resize);
    require_argument(o.rounds >= 0 && o.rounds <= 10'000, "rounds", "0 to 10000", o.rounds);
    require_argument(o.threads >= 0 && o.threads <= 256, "threads", "0 to 256", o.threads);
    classifier_options c;
    if (o.counts_preparation) c.counts = runtime::counted_time::all;
    if (o.quick_resize) c.resize = data::resizing::quick;
    if (o.cache) c.cache = o.cache;
    if (o.rounds) c.rounds = o.rounds;
    *classifier =
        new dynofa_classifier{.net = {family, target_of(o.target_ms, o.percentile), std::move(c),
                                      backend::cpu{.threads = std::max(1, int(o.threads)), .weights = "lossless"}}};
    return DYNOFA_OK;
  });
}

void dynofa_close(dynofa_classifier* classifier) { delete classifier; }

int dynofa_run(dynofa_classifier* classifier, const dynofa_frame* frame, dynofa_answer* answer) {
  if (classifier && classifier->busy.test_and_set(std::memory_order_acquire))
    return fail(DYNOFA_BUSY, "classifier: expected one thread that runs frames, got a second one at the same time");
  return guarded([&] {
    require_classifier(classifier);
    const release when_done{classifier->busy};
    const data::frame pixels = frame_of(read(frame, first_frame, "frame"));
    const std::size_t size = answer ? size_of(answer, first_answer, "answer") : 0;
    const classification c = classifier->net(pixels);
    {
      const std::lock_guard lock(classifier->mutex);
      classifier->last = c;
    }
    return answer ? write(answer, size, c) : DYNOFA_OK;
  });
}

int dynofa_set_target(dynofa_classifier* classifier, double target_ms, double percentile) {
  return guarded([&] {
    require_classifier(classifier);
    classifier->net.set_target(target_of(target_ms, percentile));
    return DYNOFA_OK;
  });
}

int dynofa_last(dynofa_classifier* classifier, dynofa_answer* answer) {
  return guarded([&] {
    require_classifier(classifier);
    const std::size_t size = size_of(answer, first_answer, "answer");
    const std::lock_guard lock(classifier->mutex);
    if (classifier->last) return write(answer, size, *classifier->last);
    return fail(DYNOFA_EARLY, "classifier: expected a frame that was run, got none yet");
  });
}

int dynofa_levels(dynofa_classifier* classifier) {
  return guarded([&] {
    require_classifier(classifier);
    return static_cast<int>(classifier->net.levels().size());
  });
}

const char* dynofa_why(std::int32_t why) {
  if (why < 0 || why > static_cast<std::int32_t>(runtime::reason::infeasible)) return "";
  return runtime::name(static_cast<runtime::reason>(why)).data(); // of a literal, which ends with 0
}
