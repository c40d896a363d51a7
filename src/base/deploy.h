// How many instances of an application have connections open at the height of a deploy.
#pragma once

#include <algorithm>

namespace dbaudit {

// Blue/green runs every instance twice. Surge and terminating instances belong to a rolling deploy, in which one colour
// is replaced piece by piece; in a blue/green one the new colour is all of the surge, and the old one terminates. Where
// both are declared, a deploy is of one kind or the other, and the larger counts.
inline double deploy_instances(double instances, double surge, double terminating, bool blue_green) {
  const double rolling = instances + surge + terminating;
  return blue_green ? std::max(2 * instances, rolling) : rolling;
}

}  // namespace dbaudit
