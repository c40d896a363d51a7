#include <cstdio>
#include <cstdlib>
#include <exception>

#include "app/collect_all.h"
#include "app/exit_codes.h"
#include "app/run.h"

int main(int argc, char** argv) {
  int code = dbaudit::kExitInternal;
  try {
    code = dbaudit::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dbaudit: internal error: %s\n", error.what());
  }
  if (dbaudit::left_threads_behind()) {
    std::fflush(nullptr);
    std::_Exit(code);
  }
  return code;
}
