// Runs dbaudit's own main function again and again in one process: what a run forgets to give back adds up.
//
//   repeat TIMES SUBCOMMAND ARGUMENT...     prints the peak resident memory after a tenth of the runs and at the end,
//   in KiB
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "app/run.h"

namespace {

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int times = std::atoi(argv[1]);
  std::vector<const char*> arguments{"dbaudit"};
  for (int i = 2; i < argc; ++i) arguments.push_back(argv[i]);
  long early = 0;
  for (int i = 0; i < times; ++i) {
    const int code = dbaudit::run(static_cast<int>(arguments.size()), arguments.data());
    if (code != 0 && code != 1 && code != 3) return code;
    if (i == times / 10) early = peak_kib();
  }
  std::fprintf(stderr, "%ld %ld\n", early, peak_kib());
  return 0;
}
