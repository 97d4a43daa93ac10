#pragma once
#include "dynofa/model/tensor.hpp"

#include "support/torch_writer.hpp"
#include <string>

namespace support {

/// A state dict as torch would save it: a storage for each tensor, names behind `prefix`.
inline torch_file torch_file_of(const dynofa::state_dict& tensors, const std::string& prefix = "") {
  torch_file file;
  for (const auto& [key, t] : tensors) {
    torch_view view{prefix + key, file.storages.size(), 0, {t.shape.begin(), t.shape.end()}, {}};
    std::int64_t stride = 1;
    for (std::size_t i = view.shape.size(); i-- > 0; stride *= view.shape[i])
      view.strides.insert(view.strides.begin(), stride);
    file.storages.push_back({t.type == dynofa::dtype::i64 ? "LongStorage" : "FloatStorage",
                             std::to_string(file.storages.size()),
                             {reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size()},
                             t.size()});
    file.views.push_back(std::move(view));
  }
  return file;
}

} // namespace support
