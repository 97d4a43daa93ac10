#include "golden/golden_check.hpp"

#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/reference_calibration.hpp"

#include "golden/sections_de.hpp"
#ifdef DYNOFA_WITH_CUDA
#include "dynofa/backend/cuda/calibration.hpp"
#endif

#include "support/help.hpp"

namespace {

constexpr const char* help = R"(golden_check DIR [--backend NAME] [--sections ABF]

Runs the golden sections of a folder on a backend and prints a line per section with the largest error over its
tolerance: golden_check.hpp, and D: accuracy predictor, E: latency tables.)";

using namespace dynofa;

/// "cpu", "cpu:avx2", "cpu:avx2:4", "cpu:neon:1:fp16"
backend::cpu cpu_named(const std::string& name) {
  std::string isa = name.size() > 4 ? name.substr(4) : "";
  std::string threads = "1", weights = "fp32";
  if (const auto colon = isa.find(':'); colon != std::string::npos) threads = isa.substr(colon + 1), isa.resize(colon);
  if (const auto colon = threads.find(':'); colon != std::string::npos)
    weights = threads.substr(colon + 1), threads.resize(colon);
  return {
      .isa = isa, .threads = static_cast<int>(report::read_number("threads", threads, 1, 1024)), .weights = weights};
}

void backend_free_sections(const golden::fs::path& dir, const std::string& sections, golden::tally& t) {
  if (sections.find('D') != std::string::npos) golden::section_d(dir, t), golden::section_d_resnet(dir, t);
  if (sections.find('E') != std::string::npos) golden::section_e(dir, t);
}

} // namespace

int main(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  const auto pick = [](const std::string& name, auto run) -> std::optional<int> {
    if (name.empty() || name == "reference") return run(backend::reference{});
    if (name == "cpu" || name.starts_with("cpu:")) return run(cpu_named(name));
#ifdef DYNOFA_WITH_CUDA
    if (name == "cuda:fp32") return run(backend::cuda{.precision = "fp32"});
#endif
    return std::nullopt;
  };
  return golden::check(argc, argv, "reference|cpu|cpu:ISA[:THREADS[:WEIGHTS]]|cuda:fp32", pick, backend_free_sections);
}
