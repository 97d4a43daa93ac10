/*
 * What a C program does with libdynofa: opens a family, runs a picture a number of times, and says what it shows.
 *
 *   classify FAMILY [PICTURE.ppm [TARGET_MS [FRAMES]]]     a picture of the kind P6; without one, or "-": one made up
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dynofa.h"

/* Reads a PPM of 8 bits into memory that the caller frees, or makes one up. NULL: it is none. */
static unsigned char* picture(const char* file, int* width, int* height) {
  FILE* in = NULL;
  unsigned char* pixels = NULL;
  size_t count, i;
  *width = 320, *height = 240;
  if (file != NULL) {
    in = fopen(file, "rb");
    if (in == NULL) return NULL;
    if (fscanf(in, "P6 %5d %5d 255", width, height) != 2 || fgetc(in) == EOF || *width < 1 || *height < 1) goto done;
  }
  count = (size_t)*width * (size_t)*height * 3;
  pixels = malloc(count);
  if (pixels != NULL && in == NULL)
    for (i = 0; i < count; ++i) pixels[i] = (unsigned char)(i * i >> 8);
  if (pixels != NULL && in != NULL && fread(pixels, 1, count, in) != count) {
    free(pixels);
    pixels = NULL;
  }
done:
  if (in != NULL) fclose(in);
  return pixels;
}

int main(int argc, char** argv) {
  const char* const file = argc > 2 && strcmp(argv[2], "-") != 0 ? argv[2] : NULL;
  const int frames = argc > 4 ? atoi(argv[4]) : 1;
  dynofa_options options = {.size = sizeof options};
  dynofa_frame frame = {.size = sizeof frame, .layout = DYNOFA_RGB};
  dynofa_answer answer = {.size = sizeof answer};
  dynofa_classifier* net;
  unsigned char* pixels;
  int width, height, i, status = DYNOFA_OK;

  if (argc < 2 || strcmp(argv[1], "--help") == 0)
    return puts("classify FAMILY [PICTURE.ppm|- [TARGET_MS [FRAMES]]]"), argc < 2;
  if (dynofa_c_abi() != DYNOFA_C_ABI)
    return fprintf(stderr, "libdynofa: expected the binary interface %d, got %d\n", DYNOFA_C_ABI, dynofa_c_abi()), 1;
  pixels = picture(file, &width, &height);
  if (pixels == NULL)
    return fprintf(stderr, "%s: expected a PPM picture of 8 bits, got none\n", file ? file : "memory"), 1;

  options.target_ms = argc > 3 ? atof(argv[3]) : 0;
  if (dynofa_open(argv[1], &options, &net) != DYNOFA_OK) {
    fprintf(stderr, "%s\n", dynofa_last_error());
    free(pixels);
    return 1;
  }
  frame.width = width, frame.height = height;
  frame.planes[0] = pixels, frame.bytes[0] = (size_t)width * (size_t)height * 3;
  for (i = 0; i < frames && status == DYNOFA_OK; ++i) {
    status = dynofa_run(net, &frame, &answer);
    if (status == DYNOFA_OK && (answer.switched || i == 0))
      printf("frame %d: level %d of %d, %s\n", i, answer.level, dynofa_levels(net), dynofa_why(answer.why));
  }
  if (status == DYNOFA_OK)
    printf("dynofa %s: %s, %.0f %% (class %d, level %d, %.2f ms)\n", dynofa_version(), answer.class_name,
           100 * answer.probability, answer.class_index, answer.level, answer.latency_ms);
  else
    fprintf(stderr, "%s\n", dynofa_last_error());
  dynofa_close(net);
  free(pixels);
  return status == DYNOFA_OK ? 0 : 1;
}
