// Accepting links (transport.h). Internal to net.
#pragma once

#include "net/link_impl.h"

namespace shoal::net {

Result<std::unique_ptr<Listener>> start_listener(std::shared_ptr<LinkShared> shared, const Endpoint& endpoint,
                                                 Transport::IsPaired is_paired, Transport::OnLink on_link);

}  // namespace shoal::net
