#pragma once
#include "dynofa/backend/cpu.hpp"
#include "dynofa/runtime/adaptive_classifier.hpp"

#include <utility>

namespace dynofa {

/// `basic_adaptive_classifier` on the CPU: one thread, and weights in half precision where those of the file are
/// halves.
class adaptive_classifier : public basic_adaptive_classifier<backend::cpu> {
public:
  adaptive_classifier(const std::filesystem::path& file, const runtime::target& wanted, classifier_options options = {},
                      backend::cpu cpu = {.weights = "lossless"})
      : basic_adaptive_classifier(file, wanted, std::move(options), std::move(cpu)) {}
  adaptive_classifier(family f, const runtime::target& wanted, classifier_options options = {},
                      backend::cpu cpu = {.weights = "lossless"})
      : basic_adaptive_classifier(std::move(f), wanted, std::move(options), std::move(cpu)) {}
};

} // namespace dynofa
