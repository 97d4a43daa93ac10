#ifndef DYNOFA_H
#define DYNOFA_H
/*
 * dynofa for C, and for whatever calls C: a family of networks, held to a latency target, names what frames show.
 *
 *     dynofa_options options = {.size = sizeof options, .target_ms = 20};
 *     dynofa_classifier* net;
 *     if (dynofa_open("family.dynofa", &options, &net) != DYNOFA_OK) return puts(dynofa_last_error()), 1;
 *     dynofa_frame frame = {.size = sizeof frame, .layout = DYNOFA_RGB, .width = 640, .height = 480,
 *                           .planes = {pixels}, .bytes = {640 * 480 * 3}};
 *     dynofa_answer answer = {.size = sizeof answer};
 *     while (camera_read(pixels) && dynofa_run(net, &frame, &answer) == DYNOFA_OK)
 *       printf("%s, level %d\n", answer.class_name, answer.level);
 *     dynofa_close(net);
 *
 * Faults. A function that can fail returns DYNOFA_OK or a negative code, and leaves one sentence for the calling
 * thread. It then has changed nothing: outputs keep what they held, but for dynofa_open, which stores NULL. Nothing is
 * printed, nothing aborts, no C++ exception comes out.
 *
 * Threads. Of one classifier dynofa_run is for one thread at a time; a second one gets DYNOFA_BUSY. dynofa_set_target,
 * dynofa_last and dynofa_levels may be called from any thread, also while a frame runs. dynofa_close is for when no
 * other thread is inside a function with that classifier, nor will be. Different classifiers have nothing to do with
 * each other. A classifier does not survive fork(): open one in the child.
 *
 * Binary interface. Structures begin with their size, as the caller was compiled. Later versions only add fields at
 * the end, with 0 for what was done before; functions are only added. What breaks a caller changes DYNOFA_C_ABI and the
 * library's name, libdynofa.so.0.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DYNOFA_API __attribute__((visibility("default")))
#else
#define DYNOFA_API
#endif

#define DYNOFA_C_ABI 0

typedef struct dynofa_classifier dynofa_classifier;

/* What functions return. */
enum dynofa_status {
  DYNOFA_OK = 0,
  DYNOFA_INVALID_ARGUMENT = -1, /* a value, a size or a pointer that cannot be */
  DYNOFA_IO = -2,               /* the operating system refused to read a file */
  DYNOFA_BAD_FILE = -3,         /* a file that is no family, or damaged */
  DYNOFA_UNSUPPORTED = -4,      /* a family that this version or this machine cannot run */
  DYNOFA_DEVICE = -5,           /* the network's answer is no number, or the machine reported a fault */
  DYNOFA_NO_MEMORY = -6,
  DYNOFA_BUSY = -7,  /* another thread is running a frame */
  DYNOFA_EARLY = -8, /* no frame has been run yet */
  DYNOFA_FAULT = -9, /* of the library itself */
};

/* How a frame's pixels lie in memory. 0 is none, so that a forgotten layout is a sentence, not a wrong class. */
enum dynofa_layout {
  DYNOFA_RGB = 1,    /* 3 bytes a pixel */
  DYNOFA_BGR = 2,    /* 3 bytes a pixel: OpenCV's order */
  DYNOFA_RGBA = 3,   /* 4 bytes a pixel, the fourth is not read */
  DYNOFA_BGRA = 4,   /* 4 bytes a pixel, the fourth is not read */
  DYNOFA_GREY = 5,   /* 1 byte a pixel */
  DYNOFA_NV12 = 6,   /* planes[0]: Y; planes[1]: U and V in turn for every 2 x 2 pixels */
  DYNOFA_YUYV = 7,   /* Y U Y V for every 2 pixels */
  DYNOFA_FLOATS = 8, /* planes[0..2]: red, green and blue, float, with one stride */
};

/* Which colours Y, U and V mean. Cameras and standard definition: bt601; high definition: bt709. FULL: Y is 0..255. */
enum dynofa_colours { DYNOFA_BT601 = 0, DYNOFA_BT709 = 1, DYNOFA_BT601_FULL = 2, DYNOFA_BT709_FULL = 3 };

/* What the values of DYNOFA_FLOATS lie between; to be named. */
enum dynofa_range { DYNOFA_UNIT = 1 /* 0..1 */, DYNOFA_BYTE = 2 /* 0..255 */ };

/* Pixels that the caller holds; they are only read, and only during dynofa_run. */
typedef struct dynofa_frame {
  size_t size;    /* sizeof(dynofa_frame) */
  int32_t layout; /* enum dynofa_layout */
  int32_t width, height;
  int32_t colours;  /* enum dynofa_colours, of DYNOFA_NV12 and DYNOFA_YUYV */
  int32_t range;    /* enum dynofa_range, of DYNOFA_FLOATS */
  int32_t reserved; /* 0 */
  const void* planes[3];
  size_t bytes[3];   /* that may be read at planes[i]; too few are refused */
  size_t strides[3]; /* bytes from one row to the next; 0: rows without a gap */
} dynofa_frame;

/* What a frame shows, and how that was found. */
typedef struct dynofa_answer {
  size_t size;            /* sizeof(dynofa_answer) */
  const char* class_name; /* "" where the family names none; valid until dynofa_close */
  int32_t class_index;
  float probability;     /* of the class, 0..1 */
  int32_t level;         /* that the frame ran on, 0 the quickest */
  int32_t why;           /* that level; dynofa_why has a word for it */
  double latency_ms;     /* what the target is for */
  double preparation_ms; /* from the frame to the network's input */
  int32_t late;          /* 1: it took longer than the target */
  int32_t switched;      /* 1: the frame before ran on another level */
} dynofa_answer;

/* All zeros but the size: no target, so the most accurate level; frames resized exactly; latencies kept. */
typedef struct dynofa_options {
  size_t size;                /* sizeof(dynofa_options) */
  double target_ms;           /* frames shall take no longer; 0: any time */
  double percentile;          /* that share of them, 0.5..0.9999; 0: 0.95 */
  int32_t counts_preparation; /* 1: the target is for preparing the frame too, 0: for the network alone */
  int32_t quick_resize;       /* 1: for frames much larger than the network's input */
  const char* cache;          /* folder for this machine's latencies; NULL: the user's own; "": measure each time */
  int32_t rounds;             /* of measuring, 1..10000; 0: 30, a second or two */
  int32_t threads;            /* that a frame runs on, 1..256; 0: 1 */
} dynofa_options;

/* The DYNOFA_C_ABI that the library was compiled with; another than the caller's: do not go on. */
DYNOFA_API int dynofa_c_abi(void);

/* "0.1.0". */
DYNOFA_API const char* dynofa_version(void);

/* One sentence about the latest call of this thread that failed, UTF-8: where, what was expected, what was got. "" if
 * none did. Valid until the next that fails. */
DYNOFA_API const char* dynofa_last_error(void);

/* Reads a family, recalls or measures what its levels take on this machine, and stores a classifier. `options` may be
 * NULL: all zeros. */
DYNOFA_API int dynofa_open(const char* family, const dynofa_options* options, dynofa_classifier** classifier);

/* NULL is nothing to close. */
DYNOFA_API void dynofa_close(dynofa_classifier* classifier);

/* What the frame shows. `answer` may be NULL: dynofa_last has it too. Allocates nothing after the first frames of a
 * size. */
DYNOFA_API int dynofa_run(dynofa_classifier* classifier, const dynofa_frame* frame, dynofa_answer* answer);

/* From the next frame on; values as in dynofa_options. */
DYNOFA_API int dynofa_set_target(dynofa_classifier* classifier, double target_ms, double percentile);

/* The answer to the latest frame. */
DYNOFA_API int dynofa_last(dynofa_classifier* classifier, dynofa_answer* answer);

/* How many levels there are to switch between on this machine; negative: a fault. */
DYNOFA_API int dynofa_levels(dynofa_classifier* classifier);

/* A word for `why` of an answer: "start", "hold", "too_slow", "room", "target_changed", "infeasible"; "" for others. */
DYNOFA_API const char* dynofa_why(int32_t why);

#ifdef __cplusplus
}
#endif
#endif
