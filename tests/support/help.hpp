#pragma once
#include <iostream>
#include <string_view>

namespace support {

/// Whether `--help` was asked for; it has been printed then.
inline bool printed_help(int argc, char** argv, std::string_view help) {
  for (int i = 1; i < argc; ++i)
    if (const std::string_view option = argv[i]; option == "--help" || option == "-h") {
      std::cout << help << '\n';
      return true;
    }
  return false;
}

} // namespace support
