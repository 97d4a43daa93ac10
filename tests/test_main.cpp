#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "support/comma_locale.hpp"

int main(int argc, char** argv) {
  support::install_comma_locale();
  return doctest::Context(argc, argv).run();
}
