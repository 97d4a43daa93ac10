#include <dynofa/backend/cpu.hpp>
#include <dynofa/core/version.hpp>
#include <dynofa/model/plan.hpp>
#include <dynofa/space/json.hpp>
#include <dynofa/space/subnet.hpp>

#include <cmath>
#include <iostream>

float first_logit(const dynofa::backend::cpu& backend); // another unit with the kernels: they must be one thing

int main() {
  using namespace dynofa;
  const plan p = make_plan(ofa_w1_2::description, subnet<ofa_w1_2, depth<2>, expand<3>, kernel<3>, resolution<160>>{});
  std::cout << "dynofa " << DYNOFA_VERSION << ", " << p.macs() << " MACs, " << nlohmann::json(p.arch).dump() << '\n';
  const float one = first_logit({}), two = first_logit({.threads = 2});
  std::cout << "first logit on " << backend::cpu{}.name() << ": " << one << "; with 2 threads " << two << '\n';
  // Not the same bits: threads that share the rows of a map add up its pixels for squeeze-excite in another order.
  if (!(std::abs(one - two) < 1e-4f)) return 1;
  return p.arch == smallest(ofa_w1_2::description) ? 0 : 1;
}
