// The exit codes of the public contract.
#pragma once

namespace dbaudit {

inline constexpr int kExitFine = 0;
inline constexpr int kExitFindings = 1;
inline constexpr int kExitBadInput = 2;
inline constexpr int kExitIncomplete = 3;
inline constexpr int kExitInternal = 70;

}  // namespace dbaudit
