#pragma once
#include <clocale>
#include <locale>
#include <string>

namespace support {

/// Makes numbers look like 1.024,5 wherever the global locale has a say: in streams and, where the system has such a
/// locale, in C's functions. What goes into a file or comes out of one must not care, so all tests run like this.
inline void install_comma_locale() {
  struct commas : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  std::locale::global(std::locale(std::locale::classic(), new commas));
  for (const char* name : {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "pt_BR.UTF-8"})
    if (std::setlocale(LC_NUMERIC, name) != nullptr) break;
}

} // namespace support
