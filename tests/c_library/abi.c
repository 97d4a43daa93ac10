/* The binary interface as the first version had it: what a compiled caller relies on. A later version adds lines. Then
 * the plainest of callers: it opens nothing, and gets a code and a sentence. */
#include <stdio.h>
#include <string.h>

#include "dynofa.h"

#define AT(structure, field, offset) _Static_assert(offsetof(structure, field) == (offset), #structure "." #field)

#if UINTPTR_MAX == UINT64_MAX
AT(dynofa_frame, size, 0);
AT(dynofa_frame, layout, 8);
AT(dynofa_frame, width, 12);
AT(dynofa_frame, height, 16);
AT(dynofa_frame, colours, 20);
AT(dynofa_frame, range, 24);
AT(dynofa_frame, reserved, 28);
AT(dynofa_frame, planes, 32);
AT(dynofa_frame, bytes, 56);
AT(dynofa_frame, strides, 80);
_Static_assert(sizeof(dynofa_frame) == 104, "dynofa_frame");
AT(dynofa_answer, size, 0);
AT(dynofa_answer, class_name, 8);
AT(dynofa_answer, class_index, 16);
AT(dynofa_answer, probability, 20);
AT(dynofa_answer, level, 24);
AT(dynofa_answer, why, 28);
AT(dynofa_answer, latency_ms, 32);
AT(dynofa_answer, preparation_ms, 40);
AT(dynofa_answer, late, 48);
AT(dynofa_answer, switched, 52);
_Static_assert(sizeof(dynofa_answer) == 56, "dynofa_answer");
AT(dynofa_options, size, 0);
AT(dynofa_options, target_ms, 8);
AT(dynofa_options, percentile, 16);
AT(dynofa_options, counts_preparation, 24);
AT(dynofa_options, quick_resize, 28);
AT(dynofa_options, cache, 32);
AT(dynofa_options, rounds, 40);
AT(dynofa_options, threads, 44);
_Static_assert(sizeof(dynofa_options) == 48, "dynofa_options");
#endif

_Static_assert(DYNOFA_C_ABI == 0, "DYNOFA_C_ABI");
_Static_assert(DYNOFA_OK == 0 && DYNOFA_INVALID_ARGUMENT == -1 && DYNOFA_IO == -2 && DYNOFA_BAD_FILE == -3, "codes");
_Static_assert(DYNOFA_UNSUPPORTED == -4 && DYNOFA_DEVICE == -5 && DYNOFA_NO_MEMORY == -6, "codes");
_Static_assert(DYNOFA_BUSY == -7 && DYNOFA_EARLY == -8 && DYNOFA_FAULT == -9, "codes");
_Static_assert(DYNOFA_RGB == 1 && DYNOFA_BGR == 2 && DYNOFA_RGBA == 3 && DYNOFA_BGRA == 4, "layouts");
_Static_assert(DYNOFA_GREY == 5 && DYNOFA_NV12 == 6 && DYNOFA_YUYV == 7 && DYNOFA_FLOATS == 8, "layouts");
_Static_assert(DYNOFA_BT601 == 0 && DYNOFA_BT709 == 1 && DYNOFA_BT601_FULL == 2 && DYNOFA_BT709_FULL == 3, "colours");
_Static_assert(DYNOFA_UNIT == 1 && DYNOFA_BYTE == 2, "ranges");

int main(void) {
  dynofa_classifier* net = NULL;
  int (*const open)(const char*, const dynofa_options*, dynofa_classifier**) = dynofa_open;
  void (*const close)(dynofa_classifier*) = dynofa_close;
  int (*const run)(dynofa_classifier*, const dynofa_frame*, dynofa_answer*) = dynofa_run;
  int (*const set_target)(dynofa_classifier*, double, double) = dynofa_set_target;
  int (*const last)(dynofa_classifier*, dynofa_answer*) = dynofa_last;
  int (*const levels)(dynofa_classifier*) = dynofa_levels;
  const char* (*const why)(int32_t) = dynofa_why;

  if (dynofa_c_abi() != DYNOFA_C_ABI || strchr(dynofa_version(), '.') == NULL) return 1;
  if (strcmp(dynofa_last_error(), "") != 0) return 2;
  if (open("nowhere", NULL, &net) != DYNOFA_IO || net != NULL) return 3;
  if (strcmp(dynofa_last_error(), "nowhere: expected a readable file, got No such file or directory") != 0) return 4;
  if (run(NULL, NULL, NULL) != DYNOFA_INVALID_ARGUMENT || set_target(NULL, 1, 0) != DYNOFA_INVALID_ARGUMENT) return 5;
  if (last(NULL, NULL) != DYNOFA_INVALID_ARGUMENT || levels(NULL) != DYNOFA_INVALID_ARGUMENT) return 6;
  close(NULL);
  if (strcmp(why(0), "start") != 0 || strcmp(why(99), "") != 0) return 7;
  return puts("the binary interface is that of version 0") < 0;
}
