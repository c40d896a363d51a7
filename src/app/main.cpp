#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "app/collect_all.h"
#include "app/exit_codes.h"
#include "app/run.h"

namespace {

// One heap, which only grows, in large steps, and of huge pages where the kernel has them: what threads read is used by
// others, a run ends before memory given back would be of use to anybody, and thousands of page faults, dear in virtual
// machines, become some ten.
void prepare_heap() {
  constexpr int kStep = 32 << 20;  // of addresses; memory is what is written to
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, kStep);
  mallopt(M_TRIM_THRESHOLD, 8 * kStep);
  mallopt(M_MMAP_THRESHOLD, kStep);
  constexpr std::uintptr_t kHugePage = 2 << 20;
  const auto begin = (reinterpret_cast<std::uintptr_t>(sbrk(0)) + kHugePage - 1) & ~(kHugePage - 1);
  void* volatile grows_it = std::malloc(kHugePage);  // volatile: or compilers leave both calls out
  std::free(grows_it);
  const auto end = reinterpret_cast<std::uintptr_t>(sbrk(0));
  // Without them it is only slower.
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace

int main(int argc, char** argv) {
  prepare_heap();
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
