// Finding a coordinator on the LAN: multicast DNS (RFC 6762) and DNS service discovery (RFC 6763), service _shoal._tcp.
//
// The coordinator announces `NAME._shoal._tcp.local` with SRV, A/AAAA and TXT (v=1, id=<node id, hex>); a node asks for
// it. Interoperable with Avahi and Bonjour; shares port 5353 with them (SO_REUSEADDR, SO_REUSEPORT). What arrives is
// untrusted: a found coordinator is only dialled, and its key must be the pinned one. Speaks over IPv4 on every
// interface that is up, the loopback too; IPv6 addresses travel in the records. Simpler than a full responder: it
// probes its name without the tie-breaking of §8.2, and answers at once. Runs on the io_context's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "net/transport.h"

namespace shoal::net {

struct Announcement {
  std::string instance;  // the coordinator's name
  NodeId id;
  std::vector<Endpoint> endpoints;  // never empty; the loopback's last
};

// Answers queries and announces itself until destroyed (then says goodbye: TTL 0). An instance name that another device
// has gets " (2)" and so on behind it.
class Announcer {
 public:
  virtual ~Announcer() = default;
  // kUnavailable: no multicast here (the caller goes on without; the reason is for the log).
  static Result<std::unique_ptr<Announcer>> start(boost::asio::io_context& io, std::string instance, NodeId id,
                                                  std::uint16_t port);
};

// Asks for coordinators for `window`, then calls back once, from the event loop, with all that answered (possibly
// none), each id once. kUnavailable: no multicast here.
void discover(boost::asio::io_context& io, Duration window,
              std::function<void(Result<std::vector<Announcement>>)> done);

}  // namespace shoal::net
