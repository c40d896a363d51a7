// CLI11's application, as far as a declaration needs it: whoever adds options includes CLI11 itself, which takes
// seconds to compile.
#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's name
class App;
}
