#pragma once
#include "dynofa/backend/reference_calibration.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/calibrate/calibrator.hpp"

#include "golden/golden.hpp"
#include <algorithm>
#include <cmath>

// Section C: batch-norm calibration. Statistics of every layer within 1e-4 of the layer's largest, logits after it
// within 2e-4 of their standard deviation.

namespace golden {

template <class Backend>
void check_calibration(const fs::path& dir, const supernet_ptr& net, const Backend& backend, tally& t) {
  t.begin("C calibration " + dir.filename().string());
  const auto index = read_json(dir / "bncalib.json");
  const auto stored = read_safetensors(dir / "bncalib.safetensors").tensors;
  const std::uint64_t seed = index.at("seed");
  const auto packed = backend.pack(net);
  for (const auto& c : index.at("cases")) {
    const std::string key = text("case_", c.at("case").get<int>());
    const arch a = read_arch(c);
    const auto r = static_cast<std::size_t>(a.r), values = 3 * r * r;
    const auto sizes = c.at("batch_sizes").get<std::vector<int>>();
    calibrator<Backend> calibrator(backend, net, packed, a, *std::max_element(sizes.begin(), sizes.end()));
    for (std::size_t b = 0; b < sizes.size(); ++b) {
      const auto count = static_cast<std::size_t>(sizes[b]);
      const auto nchw = input_nchw(seed, c.at("batch_streams")[b], count * values);
      if (c.contains("first")) {
        const auto first = c.at("first")[b].template get<std::vector<float>>();
        t.expect(key + " input", std::equal(first.begin(), first.end(), nchw.begin()));
      }
      const auto images = nchw_to_nhwc(nchw, count, 3, r * r);
      for (std::size_t n = 0; n < count; ++n) calibrator.load(n, std::span(images).subspan(n * values, values));
      calibrator.add(sizes[b]);
    }
    const bn_statistics s = calibrator.statistics();
    const plan& p = calibrator.plan();
    for (std::size_t b = 0; b < p.blocks.size(); ++b)
      for (int i = 0; i < p.blocks[b].norm_count(); ++i) {
        const auto norm = p.norms[static_cast<std::size_t>(p.first_norm(b) + i)];
        const auto offset = static_cast<std::size_t>(norm.offset), count = static_cast<std::size_t>(norm.channels);
        const std::string layer = norm_name(p, b, i);
        for (const bool mean : {true, false}) {
          const auto found = stored.find(key + '/' + layer + (mean ? ".mean" : ".var"));
          if (found == stored.end()) {
            t.expect(key + ' ' + layer + " is stored", false);
            continue;
          }
          const auto wanted = found->second.to_floats();
          double largest = 0;
          for (const float v : wanted) largest = std::max(largest, double(std::abs(v)));
          t.check(key + ' ' + layer + (mean ? " mean" : " variance"),
                  worst(std::span(mean ? s.mean : s.var).subspan(offset, count), wanted, 1e-4 * largest));
        }
      }
    const int batch = c.at("eval_shape")[0];
    const auto images = nchw_to_nhwc(input_nchw(seed, c.at("eval_stream"), static_cast<std::size_t>(batch) * values),
                                     static_cast<std::size_t>(batch), 3, r * r);
    session session(backend, net, packed);
    const auto level = session.load(a, s, batch);
    t.check(key + " logits", worst(session.run(level, images), stored.at(key + "/logits").to_floats(),
                                   2e-4 * c.at("logits_std").template get<double>()));
  }
  t.end();
}

} // namespace golden
