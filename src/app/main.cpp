#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "app/collect_all.h"
#include "app/exit_codes.h"
#include "app/run.h"

int main(int argc, char** argv) {
  // One heap that grows in large steps: what threads read is used by others, and glibc grows the heap that it makes for
  // each thread page by page.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, 1 << 20);
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
