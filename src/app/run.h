// The program behind main: arguments in, exit code out.
#pragma once

namespace dbaudit {

int run(int argc, const char* const* argv);

}  // namespace dbaudit
