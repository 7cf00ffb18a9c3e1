#include "net/dial.h"

#include <fmt/format.h>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

namespace shoal::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// One dial: resolve, then address by address connect and shake hands, all within one deadline. Every waiting operation
// holds it weakly: it lives in Dials until it is finished.
class Dial : public std::enable_shared_from_this<Dial> {
 public:
  Dial(std::weak_ptr<Dials> owner, std::shared_ptr<LinkShared> shared, Endpoint endpoint, const NodeId& expected,
       Duration deadline, Transport::OnDialled done)
      : owner_(std::move(owner)),
        shared_(std::move(shared)),
        endpoint_(std::move(endpoint)),
        expected_(expected),
        end_(shared_->clock.now() + deadline),
        resolver_(shared_->io),
        socket_(shared_->io),
        deadline_timer_(shared_->io),
        attempt_timer_(shared_->io),
        done_(std::move(done)) {}

  void start();

 private:
  void resolved(const tcp::resolver::results_type& results);
  void try_next();
  void connected(const error_code& error);
  void shaken(const Status& status);
  void finish(Result<std::shared_ptr<Link>> result);
  Duration left() const { return std::max<Duration>(end_ - shared_->clock.now(), Duration(0)); }
  Error about(ErrorCode code, std::string_view what) const {
    return {code, fmt::format("{}: {}", endpoint_.text(), what)};
  }

  // Calls `method` on this dial from a handler, if it is still under way then.
  template <typename F>
  auto guarded(F method) {
    return [weak = weak_from_this(), method](auto&&... arguments) {
      if (const auto self = weak.lock(); self && self->done_) method(*self, arguments...);
    };
  }

  std::weak_ptr<Dials> owner_;
  std::shared_ptr<LinkShared> shared_;
  const Endpoint endpoint_;
  const NodeId expected_;
  const Time end_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  asio::steady_timer deadline_timer_, attempt_timer_;
  std::vector<tcp::endpoint> candidates_;  // the next one last
  std::shared_ptr<LinkImpl> link_;
  Error last_error_;
  int attempt_ = 0;
  Transport::OnDialled done_;
};

void Dial::start() {
  deadline_timer_.expires_after(left());
  deadline_timer_.async_wait(guarded([](Dial& self, const error_code&) {
    self.finish(self.about(ErrorCode::kDeadlineExceeded, "no answer in time"));
  }));
  error_code error;
  const auto address = asio::ip::make_address(endpoint_.host, error);
  if (!error) {
    candidates_.push_back({address, endpoint_.port});
    asio::post(shared_->io, guarded([](Dial& self) { self.try_next(); }));
    return;
  }
  resolver_.async_resolve(
      endpoint_.host, std::to_string(endpoint_.port), tcp::resolver::numeric_service,
      guarded([](Dial& self, const error_code& failed, const tcp::resolver::results_type& results) {
        if (failed) return self.finish(self.about(ErrorCode::kUnavailable, "unknown host: " + failed.message()));
        self.resolved(results);
      }));
}

void Dial::resolved(const tcp::resolver::results_type& results) {
  constexpr std::size_t kCandidatesMax = 8;
  for (const auto& result : results) {
    if (candidates_.size() < kCandidatesMax) candidates_.push_back(result.endpoint());
  }
  std::reverse(candidates_.begin(), candidates_.end());
  last_error_ = about(ErrorCode::kUnavailable, "the host has no address");
  try_next();
}

void Dial::try_next() {
  link_.reset();
  if (candidates_.empty()) return finish(last_error_);
  const Duration share = left() / static_cast<int>(candidates_.size());
  const tcp::endpoint where = candidates_.back();
  candidates_.pop_back();
  socket_ = tcp::socket(shared_->io);
  const int attempt = ++attempt_;
  attempt_timer_.expires_after(share);
  attempt_timer_.async_wait(guarded([attempt](Dial& self, const error_code& error) {
    if (error || attempt != self.attempt_ || self.candidates_.empty())
      return;  // the last one has all the time that is left
    self.last_error_ = self.about(ErrorCode::kDeadlineExceeded, "no answer in time");
    self.try_next();
  }));
  socket_.async_connect(where, guarded([attempt](Dial& self, const error_code& error) {
                          if (attempt == self.attempt_) self.connected(error);
                        }));
}

void Dial::connected(const error_code& error) {
  if (error) {
    last_error_ = about(ErrorCode::kUnavailable, error.message());
    return try_next();
  }
  link_ = std::make_shared<LinkImpl>(shared_, std::move(socket_), LinkImpl::Role::kClient);
  link_->open(left(), nullptr, guarded([attempt = attempt_](Dial& self, const Status& status) {
                if (attempt == self.attempt_) self.shaken(status);
              }));
}

void Dial::shaken(const Status& status) {
  const std::shared_ptr<LinkImpl> link = std::move(link_);  // we are called from inside it
  if (!status.ok()) {
    last_error_ = about(status.error().code, status.error().message);
    return try_next();
  }
  if (link->peer() != expected_) {
    last_error_ =
        about(ErrorCode::kUnauthenticated, fmt::format("another device answers there: its key is {}, expected {}",
                                                       link->peer().short_hex(), expected_.short_hex()));
    link->close();
    return try_next();
  }
  finish(std::shared_ptr<Link>(link));
}

void Dial::finish(Result<std::shared_ptr<Link>> result) {
  const auto keep = shared_from_this();
  const auto done = std::exchange(done_, nullptr);
  if (const auto owner = owner_.lock()) owner->under_way_.erase(keep);
  deadline_timer_.cancel();
  attempt_timer_.cancel();
  resolver_.cancel();
  link_.reset();
  error_code ignored;
  socket_.close(ignored);
  done(std::move(result));
}

Dials::~Dials() = default;

void Dials::start(std::shared_ptr<LinkShared> shared, const Endpoint& endpoint, const NodeId& expected,
                  Duration deadline, Transport::OnDialled done) {
  const auto dial =
      std::make_shared<Dial>(weak_from_this(), std::move(shared), endpoint, expected, deadline, std::move(done));
  under_way_.insert(dial);
  dial->start();
}

void Dials::abandon() {
  under_way_.clear();
}

}  // namespace shoal::net
