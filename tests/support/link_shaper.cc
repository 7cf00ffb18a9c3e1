#include "support/link_shaper.h"

#include <algorithm>
#include <deque>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

namespace shoal::tests {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {
constexpr std::size_t kChunkBytes = 16 << 10;
}

// Two sockets and a queue each way. Handlers hold it strongly; it ends when either way fails or both have ended.
class LinkShaper::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(LinkShaper& shaper, tcp::socket from)
      : shaper_(&shaper), ways_{Way(shaper.io_, std::move(from)), Way(shaper.io_, tcp::socket(shaper.io_))} {}

  // Where nothing moves forth no connection is made either.
  void start() {
    if (shaper_->stalled_[kForth]) return;
    started_ = true;
    ways_[1].source.async_connect(shaper_->to_, [self = shared_from_this()](error_code error) {
      if (self->shaper_ == nullptr) return;
      if (error) return self->end();
      for (Way& way : self->ways_) way.source.set_option(tcp::no_delay(true), error);
      for (int way = 0; way < kWays; ++way) self->read(way);
    });
  }
  void end() {
    if (shaper_ == nullptr) return;
    LinkShaper* const shaper = std::exchange(shaper_, nullptr);
    for (Way& way : ways_) {
      error_code ignored;
      way.source.close(ignored);
      way.timer.cancel();
    }
    shaper->connections_.erase(shared_from_this());
  }
  void resume() {
    if (!started_) return start();
    if (ways_[0].gone || ways_[1].gone) return end();
    for (int way = 0; way < kWays; ++way) deliver(way);
  }

 private:
  struct Chunk {
    Clock::time_point due;
    std::vector<char> bytes;  // empty: the sender has ended
  };
  struct Way {
    Way(asio::io_context& io, tcp::socket socket) : source(std::move(socket)), timer(io) {}
    tcp::socket source;  // bytes of this way come from it and go to the other way's source
    asio::steady_timer timer;
    std::deque<Chunk> queue;
    std::size_t queued_bytes = 0;
    bool reading = false, writing = false, read_all = false, ended = false;
    bool gone = false;  // the source has failed, and its other end cannot know yet
  };

  // The socket of one side has failed. The other side hears of it unless nothing moves that way.
  void fail(int side) {
    if (!shaper_->stalled_[side] || ways_[1 - side].gone) return end();
    ways_[side].gone = true;
    error_code ignored;
    ways_[side].source.close(ignored);
    drop(1 - side);
  }
  // What goes to a side that is gone.
  void drop(int index) {
    ways_[index].queue.clear();
    ways_[index].queued_bytes = 0;
    read(index);
  }

  void read(int index) {
    Way& way = ways_[index];
    if (shaper_ == nullptr || way.reading || way.read_all || way.gone || way.queued_bytes >= kQueueBytesMax) return;
    way.reading = true;
    auto buffer = std::make_shared<std::vector<char>>(kChunkBytes);
    way.source.async_read_some(asio::buffer(*buffer),
                               [self = shared_from_this(), index, buffer](error_code error, std::size_t size) {
                                 if (self->shaper_ == nullptr) return;
                                 Way& own = self->ways_[index];
                                 own.reading = false;
                                 if (own.gone) return;
                                 if (error && error != asio::error::eof) return self->fail(index);
                                 own.read_all = static_cast<bool>(error);
                                 if (self->ways_[1 - index].gone) return self->drop(index);
                                 buffer->resize(size);
                                 own.queued_bytes += size;
                                 Clock::time_point due = self->shaper_->arrival(index, size);
                                 if (!own.queue.empty()) due = std::max(due, own.queue.back().due);
                                 own.queue.push_back({due, std::move(*buffer)});
                                 self->deliver(index);
                                 self->read(index);
                               });
  }

  void deliver(int index) {
    Way& way = ways_[index];
    if (shaper_ == nullptr || shaper_->stalled_[index] || way.writing || way.queue.empty()) return;
    if (way.queue.front().due > Clock::now()) {
      way.timer.expires_at(way.queue.front().due);
      way.timer.async_wait([self = shared_from_this(), index](error_code error) {
        if (!error) self->deliver(index);
      });
      return;
    }
    tcp::socket& target = ways_[1 - index].source;
    auto bytes = std::make_shared<std::vector<char>>(std::move(way.queue.front().bytes));
    way.queue.pop_front();
    if (bytes->empty()) {
      error_code ignored;
      target.shutdown(tcp::socket::shutdown_send, ignored);
      way.ended = true;
      if (ways_[1 - index].ended) end();
      return;
    }
    way.writing = true;
    asio::async_write(target, asio::buffer(*bytes),
                      [self = shared_from_this(), index, bytes](error_code error, std::size_t) {
                        if (self->shaper_ == nullptr) return;
                        self->ways_[index].writing = false;
                        if (self->ways_[1 - index].gone) return;  // what was queued has been dropped
                        if (error) return self->fail(1 - index);
                        self->ways_[index].queued_bytes -= bytes->size();
                        self->read(index);
                        self->deliver(index);
                      });
  }

  LinkShaper* shaper_;  // null once ended
  bool started_ = false;
  Way ways_[kWays];
};

LinkShaper::LinkShaper(asio::io_context& io, const tcp::endpoint& listen, tcp::endpoint to, LinkShape shape,
                       std::uint64_t seed)
    : io_(io), acceptor_(io, listen), to_(std::move(to)), shape_(shape), random_(seed) {}

void LinkShaper::start() {
  accept();
}

void LinkShaper::accept() {
  acceptor_.async_accept([weak = weak_from_this()](error_code error, tcp::socket socket) {
    const auto self = weak.lock();
    if (!self || error) return;
    if (!self->cut_) {
      const auto connection = std::make_shared<Connection>(*self, std::move(socket));
      self->connections_.insert(connection);
      connection->start();
    }
    self->accept();
  });
}

LinkShaper::Clock::time_point LinkShaper::arrival(int way, std::size_t bytes) {
  Clock::time_point& free = wire_free_[way];
  free = std::max(free, Clock::now());
  if (shape_.rate_bit_s > 0) {
    free += std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(bytes) * 8 / shape_.rate_bit_s));
  }
  const auto jitter = std::chrono::duration_cast<std::chrono::microseconds>(shape_.jitter * random_.unit());
  return free + shape_.delay + jitter;
}

void LinkShaper::cut() {
  cut_ = true;
  while (!connections_.empty()) std::shared_ptr(*connections_.begin())->end();
}

void LinkShaper::resume() {
  stalled_[kForth] = stalled_[kBack] = cut_ = false;
  for (const auto& connection : std::set(connections_)) connection->resume();
}

void LinkShaper::end() {
  error_code ignored;
  acceptor_.close(ignored);
  cut();
}

}  // namespace shoal::tests
