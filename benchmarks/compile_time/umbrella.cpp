// What a program pays that includes everything and writes one space.
#include "dynofa/dynofa.hpp"

using namespace dynofa;
using space = search_space<ofa_mobilenet_v3, width<1.2>, depth<2, 3, 4>, expand<3, 4, 6>, kernel<3, 5, 7>,
                           resolution<160, 176, 192, 208, 224>>;

int main() { return largest(space::description).r == 224 ? 0 : 1; }
