// expect: (constraints not satisfied|no matching function)
// expect: (abacus. does not satisfy .inference_backend|inference_backend<Backend>.*with Backend = abacus)
#include "dynofa/backend/concept.hpp"

#include <string>

using namespace dynofa;

struct abacus {
#ifndef DYNOFA_BAD
  struct packed {
    std::uint64_t source() const;
    std::size_t bytes() const;
  };
  struct bound {
    dynofa::plan plan;
    std::size_t bytes() const;
  };
  struct workspace {
    std::size_t bytes() const;
  };
  std::shared_ptr<const packed> pack(const supernet_ptr&);
  bound bind(std::shared_ptr<const packed>, const plan&, const scale_shift&);
  workspace make_workspace(std::span<const plan>);
  void run(bound&, workspace&, std::span<const float>, std::span<float>);
  void run_block(bound&, workspace&, std::size_t, std::span<const float>, std::span<float>);
  double time_block(bound&, workspace&, std::size_t, int);
  double time_run(bound&, workspace&, int);
#endif
  std::string name() const;
};

template <inference_backend Backend>
std::string describe(const Backend& backend) {
  return backend.name();
}

std::string use() { return describe(abacus{}); }
