#include "net/transport.h"

#include <set>

#include <fmt/format.h>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/dial.h"
#include "net/link_impl.h"
#include "net/listener.h"

namespace shoal::net {

namespace asio = boost::asio;

struct Transport::Impl {
  Impl(asio::io_context& io, Identity own_identity, const TransportLimits& limits)
      : identity(std::move(own_identity)), shared(std::make_shared<LinkShared>(io, identity, limits)) {}

  Identity identity;
  std::shared_ptr<LinkShared> shared;
  std::shared_ptr<Dials> dials = std::make_shared<Dials>();
};

Transport::Transport(asio::io_context& io, Identity identity, TransportLimits limits)
    : impl_(std::make_unique<Impl>(io, std::move(identity), limits)) {}

Transport::~Transport() {
  impl_->dials->abandon();
}

const Identity& Transport::identity() const {
  return impl_->identity;
}

Result<std::unique_ptr<Listener>> Transport::listen(const Endpoint& endpoint, IsPaired is_paired, OnLink on_link) {
  return start_listener(impl_->shared, endpoint, std::move(is_paired), std::move(on_link));
}

void Transport::dial(const Endpoint& endpoint, const NodeId& expected, Duration deadline, OnDialled done) {
  impl_->dials->start(impl_->shared, endpoint, expected, deadline, std::move(done));
}

}  // namespace shoal::net
