#pragma once
#include <benchmark/benchmark.h>

namespace bench {

/// The program of a benchmark without options of its own: Google Benchmark's, and all rows that they name.
inline int run_rows(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

} // namespace bench
