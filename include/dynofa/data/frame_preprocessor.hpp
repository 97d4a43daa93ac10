#pragma once
#include "dynofa/data/frame.hpp"
#include "dynofa/data/preprocess.hpp"
#include <chrono>
namespace dynofa::data {
enum class resizing : std::uint8_t { exact, quick };
class frame_preprocessor {
public:
  explicit frame_preprocessor(const preprocessing& rule, resizing = resizing::exact) : rule_{rule} {}
  void apply(const frame& f, int r, std::span<float> out) {
    auto s = std::chrono::steady_clock::now();
    image p(f.height(), f.width());
    for (int y = 0; y < f.height(); ++y) std::copy_n(f.row(y), 3 * f.width(), p.row(y));
    rule_.apply(p, r, out);
    ms_ = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - s).count();
  }
  double last_ms() const noexcept { return ms_; }
private:
  preprocessing rule_; double ms_ = 0;
};
}
