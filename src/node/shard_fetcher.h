// Fetches the missing pieces of one shard: from peers that may have them first, then from the coordinator.
//
// One source at a time, kRequestsInFlight chunk requests ahead on its fetch link. A source that lacks a piece, sends a
// corrupt one or falls silent is passed over for that piece; after the last source the missing pieces get kRounds more
// rounds. Every byte is verified by the ShardWriter; what was verified survives a restart. Runs on the io thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "model/shard_store.h"
#include "net/transport.h"

namespace shoal::node {

inline constexpr std::size_t kRequestsInFlight = 4;
inline constexpr int kRounds = 3;

struct FetchSource {
  NodeId node;
  std::string name;  // for the log
  std::vector<net::Endpoint> endpoints;
};

class ShardFetcher : public std::enable_shared_from_this<ShardFetcher> {
 public:
  struct Handlers {
    std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)> on_progress;
    std::function<void(Result<std::filesystem::path>)> on_done;  // once, unless cancelled
  };

  ShardFetcher(boost::asio::io_context& io, net::Transport& transport, std::unique_ptr<model::ShardWriter> writer,
               std::vector<FetchSource> sources, Handlers handlers);

  void start();
  void cancel();  // no handler is called afterwards

 private:
  struct Request {
    std::size_t piece = 0;
    std::uint64_t offset = 0;
  };

  void next_source();
  void dial(std::size_t endpoint);
  void on_link(std::shared_ptr<net::Link> link);
  void fill_window();
  bool next_request(Request& request);
  void on_frame(wire::Frame frame);
  void leave_source(const std::string& why);
  void finish(Result<std::filesystem::path> result);
  void arm_deadline();
  void tell_source();  // in the log: how much came from the source that is left

  boost::asio::io_context& io_;
  net::Transport& transport_;
  std::unique_ptr<model::ShardWriter> writer_;
  std::vector<FetchSource> sources_;
  Handlers handlers_;
  boost::asio::steady_timer timer_;

  bool finished_ = false;
  int round_ = 0;
  std::size_t source_ = 0;  // the one in use, index into sources_
  std::shared_ptr<net::Link> link_;
  std::vector<std::size_t> wanted_;  // pieces to ask this source for, in order
  std::size_t wanted_next_ = 0;
  std::uint64_t offset_next_ = 0;  // within wanted_[wanted_next_]
  std::set<std::size_t> absent_;   // pieces this source could not give
  std::deque<Request> in_flight_;
  std::uint64_t source_bytes_ = 0;
  std::string last_trouble_;
};

}  // namespace shoal::node
