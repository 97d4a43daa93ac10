// hold FAMILY: times the levels of a family on this machine and holds a latency target for a hundred images.
#include <dynofa/backend/cpu.hpp>
#include <dynofa/family/file.hpp>
#include <dynofa/runtime/forecast.hpp>
#include <dynofa/runtime/manager.hpp>

#include <algorithm>
#include <iostream>

int main(int, char** arguments) try {
  using namespace dynofa;
  family f = load_family(arguments[1]);
  const backend::cpu device;
  f.keep_front(remeasure_latencies(f, device, 5));
  runtime::dynamic_network network(device, f);
  const auto levels = network.figures();
  const runtime::target wanted{.latency_ms = 2 * levels.back().latency_ms};
  runtime::manager manager(std::move(network), runtime::forecast(levels), wanted);
  std::vector<float> logits(manager.network().classes());
  std::size_t late = 0;
  for (int i = 0; i < 100; ++i)
    late +=
        manager.run([](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); }, logits).late();
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  std::cout << manager.images() << " images on " << device.name() << ", " << late << " late, the last on level "
            << manager.last().level << " of " << levels.size() << ": class " << best << '\n';
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
