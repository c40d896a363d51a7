#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>

#include "app/exit_codes.h"
#include "app/read_each.h"
#include "app/run.h"

namespace {

// One heap, which only grows, in large steps: what threads read is used by others, and a run ends before memory given
// back would be of use to anybody. Its beginning, which is returned, is what every run uses.
std::span<char> make_heap() {
  constexpr int kStep = 32 << 20;  // of addresses; memory is what is written to
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, kStep);
  mallopt(M_TRIM_THRESHOLD, 8 * kStep);
  mallopt(M_MMAP_THRESHOLD, kStep);
  constexpr std::ptrdiff_t kPage = 4 << 10;
  constexpr std::ptrdiff_t kUsedByAll = 8 << 20;
  auto* begin = static_cast<char*>(sbrk(0));
  begin += (kPage - static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(begin) % kPage)) % kPage;
  void* volatile grows_it = std::malloc(kUsedByAll);  // volatile: or compilers leave both calls out
  std::free(grows_it);
  const std::ptrdiff_t size = static_cast<char*>(sbrk(0)) - begin;
  if (size < kUsedByAll) return {};
  // In huge pages, where the kernel has some. Where it refuses, it is only slower.
  madvise(begin, static_cast<std::size_t>(size), MADV_HUGEPAGE);
  return {begin, kUsedByAll};
}

// The thousands of page faults of an audit cost more than what it does with the memory, above all in virtual machines.
void fill(std::span<char> heap) { madvise(heap.data(), heap.size(), MADV_POPULATE_WRITE); }

}  // namespace

int main(int argc, char** argv) {
  const std::span<char> heap = make_heap();
  int code = dbaudit::kExitInternal;
  try {
    code = dbaudit::run(argc, argv, [heap] { fill(heap); });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dbaudit: internal error: %s\n", error.what());
  }
  if (dbaudit::left_threads_behind()) {
    std::fflush(nullptr);
    std::_Exit(code);
  }
  return code;
}
