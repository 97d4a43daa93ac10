#include <dynofa/core/version.hpp>

#include <cstdio>

int main() { std::puts(DYNOFA_VERSION); }
