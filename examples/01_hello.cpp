// ctest:
// expect: class 819 of 1000 from r160 d 2 2 2 2 2
#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/subnet.hpp"

#include <iostream>

int main(int argc, char**) {
  using namespace dynofa;
  if (argc > 1) // --help
    return std::cout << "01_hello: the class of a grey image by a sub-network of random weights; no options\n", 0;
  using choice = subnet<ofa_w1_2, depth<2>, kernel<3>, expand<3>, resolution<160>>; // checked by the compiler
  auto net = std::make_shared<const supernet>(random_supernet(ofa_w1_2::description, 42));
  session session(backend::reference{}, net);
  auto level = session.load(choice::value);
  const std::vector<float> image(160 * 160 * 3, 0.5f);
  std::cout << "class " << argmax(session.run(level, image)) << " of 1000 from " << choice::value << '\n';
  return std::cout.flush() ? 0 : 1;
}
