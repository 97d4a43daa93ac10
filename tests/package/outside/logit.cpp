#include <dynofa/backend/cpu.hpp>
#include <dynofa/backend/session.hpp>
#include <dynofa/model/random_supernet.hpp>
#include <dynofa/space/subnet.hpp>

float first_logit(const dynofa::backend::cpu& backend) {
  using namespace dynofa;
  constexpr arch smallest_arch = subnet<ofa_w1_0, depth<2>, expand<3>, kernel<3>, resolution<160>>::value;
  session session(backend, std::make_shared<const supernet>(random_supernet(ofa_w1_0::description, 1)));
  auto level = session.load(smallest_arch);
  return session.run(level, std::vector<float>(160 * 160 * 3, 0.5f)).front();
}
