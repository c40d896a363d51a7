#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "app/exit_codes.h"
#include "app/read_each.h"
#include "app/run.h"

namespace {

// One heap, which only grows, in large steps: what threads read is used by others, and a run ends before memory given
// back would be of use to anybody.
void make_heap() {
  constexpr int kStep = 32 << 20;  // of addresses; memory is what is written to
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, kStep);
  mallopt(M_TRIM_THRESHOLD, 8 * kStep);
  mallopt(M_MMAP_THRESHOLD, kStep);
  constexpr std::ptrdiff_t kPage = 4 << 10;
  constexpr std::size_t kMore = 1 << 20;  // than is left of the heap that objects made before main() have begun
  auto* begin = static_cast<char*>(sbrk(0));
  begin += (kPage - static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(begin) % kPage)) % kPage;
  void* volatile grows_it = std::malloc(kMore);  // volatile: or compilers leave both calls out
  std::free(grows_it);
  const std::ptrdiff_t size = static_cast<char*>(sbrk(0)) - begin;
  // In huge pages, where the kernel has some: the thousands of page faults of an audit cost more than what it does with
  // the memory, above all in virtual machines. Where it refuses, it is only slower.
  if (size > 0) madvise(begin, static_cast<std::size_t>(size), MADV_HUGEPAGE);
}

}  // namespace

int main(int argc, char** argv) {
  make_heap();
  int code = dbaudit::kExitInternal;
  try {
    code = dbaudit::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dbaudit: internal error: %s\n", error.what());
  }
#ifdef NDEBUG
  constexpr bool kTidiesUp = false;
#else
  constexpr bool kTidiesUp = true;  // what looks for leaks begins when main returns
#endif
  if (kTidiesUp && !dbaudit::left_threads_behind()) return code;
  // The libraries would take a millisecond to free what goes with the process anyway.
  std::fflush(nullptr);
  std::_Exit(code);
}
