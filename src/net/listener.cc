#include "net/listener.h"

#include <algorithm>
#include <list>

#include <fmt/format.h>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "base/log.h"

namespace shoal::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr Duration kRetryAccept = std::chrono::milliseconds(100);  // out of descriptors: wait for some to be freed

class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(std::shared_ptr<LinkShared> shared, Transport::IsPaired is_paired, Transport::OnLink on_link)
      : shared_(std::move(shared)),
        acceptor_(shared_->io),
        retry_(shared_->io),
        is_paired_(std::move(is_paired)),
        on_link_(std::move(on_link)) {}

  Status bind(const Endpoint& endpoint);
  Endpoint endpoint() const { return endpoint_; }
  void accept();
  void stop();

 private:
  void admit(tcp::socket socket);
  void opened(const LinkImpl* which, const Status& status);

  std::shared_ptr<LinkShared> shared_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  Transport::IsPaired is_paired_;
  Transport::OnLink on_link_;
  Endpoint endpoint_;
  std::list<std::shared_ptr<LinkImpl>> pending_;  // oldest first
  bool stopped_ = false;
};

Status Acceptor::bind(const Endpoint& endpoint) {
  error_code error;
  const auto address = asio::ip::make_address(endpoint.host == "localhost" ? "127.0.0.1" : endpoint.host, error);
  if (error) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("cannot listen on {}: the host must be an address of this machine, such as 0.0.0.0 or 127.0.0.1",
                    endpoint.text())};
  }
  const tcp::endpoint where(address, endpoint.port);
  acceptor_.open(where.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error && address.is_v6()) acceptor_.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor_.bind(where, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error == asio::error::address_in_use) {
    return Error{
        ErrorCode::kAlreadyExists,
        fmt::format("cannot listen on {}: the port is in use; stop what uses it or choose another", endpoint.text())};
  }
  if (error) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("cannot listen on {}: {}", endpoint.text(), error.message())};
  }
  endpoint_ = {endpoint.host, acceptor_.local_endpoint(error).port()};
  return {};
}

void Acceptor::accept() {
  acceptor_.async_accept([weak = weak_from_this()](error_code error, tcp::socket socket) {
    const auto self = weak.lock();
    if (!self || self->stopped_) return;
    if (!error) {
      self->admit(std::move(socket));
      if (!self->stopped_) self->accept();
      return;
    }
    log_warning("listening on {}: {}", self->endpoint_.text(), error.message());
    self->retry_.expires_after(kRetryAccept);
    self->retry_.async_wait([weak](error_code) {
      if (const auto again = weak.lock(); again && !again->stopped_) again->accept();
    });
  });
}

void Acceptor::admit(tcp::socket socket) {
  if (pending_.size() >= shared_->limits.pending_links_max) {
    log_info("{}: dropped, too many links are half-open", pending_.front()->remote_address());
    pending_.pop_front();
  }
  const auto link = std::make_shared<LinkImpl>(shared_, std::move(socket), LinkImpl::Role::kServer);
  pending_.push_back(link);
  link->open(shared_->limits.first_frame_max, is_paired_,
             [weak = weak_from_this(), which = link.get()](const Status& status) {
               if (const auto self = weak.lock()) self->opened(which, status);
             });
}

void Acceptor::opened(const LinkImpl* which, const Status& status) {
  const auto at = std::find_if(pending_.begin(), pending_.end(), [&](const auto& link) { return link.get() == which; });
  if (at == pending_.end()) return;
  const std::shared_ptr<LinkImpl> link = std::move(*at);
  pending_.erase(at);
  if (status.ok()) {
    on_link_(link, link->take_first_frame());
  } else {
    log_info("{}: {}", link->remote_address(), status.error().message);
  }
}

void Acceptor::stop() {
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
  pending_.clear();
}

class ListenerImpl final : public Listener {
 public:
  explicit ListenerImpl(std::shared_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
  ~ListenerImpl() override { acceptor_->stop(); }
  Endpoint endpoint() const override { return acceptor_->endpoint(); }

 private:
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

Result<std::unique_ptr<Listener>> start_listener(std::shared_ptr<LinkShared> shared, const Endpoint& endpoint,
                                                 Transport::IsPaired is_paired, Transport::OnLink on_link) {
  auto acceptor = std::make_shared<Acceptor>(std::move(shared), std::move(is_paired), std::move(on_link));
  SHOAL_RETURN_IF_ERROR(acceptor->bind(endpoint));
  acceptor->accept();
  return std::unique_ptr<Listener>(std::make_unique<ListenerImpl>(std::move(acceptor)));
}

}  // namespace shoal::net
