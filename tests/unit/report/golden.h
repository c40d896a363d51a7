// Reports are compared as a whole.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace dbaudit {

// Compares with tests/golden/NAME; with DBAUDIT_UPDATE_GOLDEN set, writes it anew.
inline void check_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(DBAUDIT_GOLDEN) + "/" + name;
  if (std::getenv("DBAUDIT_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  CHECK(text == golden.str());
}

}  // namespace dbaudit
