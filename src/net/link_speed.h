// What a link was measured to be (link_meter.h). Values only; any thread.
#pragma once

#include "base/clock.h"

namespace shoal::net {

struct LinkSpeed {
  Duration rtt{};
  double bytes_per_s = 0;  // more than 0
  bool operator==(const LinkSpeed&) const = default;
};

}  // namespace shoal::net
