// Dialling (transport.h). Internal to net.
#pragma once

#include <set>

#include "net/link_impl.h"

namespace shoal::net {

class Dial;

// The dials under way of one transport; they end with it.
class Dials : public std::enable_shared_from_this<Dials> {
 public:
  ~Dials();
  void start(std::shared_ptr<LinkShared> shared, const Endpoint& endpoint, const NodeId& expected, Duration deadline,
             Transport::OnDialled done);
  // Forgets all of them; nobody is called back.
  void abandon();

 private:
  friend class Dial;
  std::set<std::shared_ptr<Dial>> under_way_;
};

}  // namespace shoal::net
