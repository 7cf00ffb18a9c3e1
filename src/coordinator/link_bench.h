// Has links measured, one after another, so that no measurement disturbs another.
//
// The sending side of a link measures it (net/link_meter.h): for links from the coordinator that is this object, for
// others the node, which is asked to. A link whose node leaves, refuses or does not answer within kLinkMeasureMax is
// told as not measured, with the reason; the next one follows. Runs on the io thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "coordinator/cluster.h"
#include "coordinator/net_bench.h"
#include "net/link_meter.h"

namespace shoal::coordinator {

inline constexpr Duration kLinkMeasureMax = net::kMeasureMax + std::chrono::seconds(2);

class LinkBench {
 public:
  using OnDone = std::function<void(std::vector<MeasuredLink>)>;

  // `link_measure_max`: for tests that cannot wait as long.
  LinkBench(boost::asio::io_context& io, const Clock& clock, Cluster& cluster,
            Duration link_measure_max = kLinkMeasureMax);

  bool running() const { return on_done_ != nullptr; }
  // Only while none is running. `links` as they are to be told, without path and speed.
  // `done` is called once, from the event loop.
  void start(std::vector<MeasuredLink> links, OnDone done);
  void cancel();  // without a call back, as the destructor

  void on_measured(const NodeId& node, const wire::LinkMeasured& measured);
  void on_probed(const NodeId& node, const wire::LinkProbed& probed) { meter_.on_probed(node, probed); }
  void on_lost(const NodeId& node);

 private:
  void measure_next();
  void measure_from_here(const NodeId& to);
  void go_on();  // with the next link, from the event loop
  void settle(LinkPath path, Result<net::LinkSpeed> speed);

  boost::asio::io_context& io_;
  Cluster& cluster_;
  const Duration link_measure_max_;
  net::LinkMeter meter_;
  boost::asio::steady_timer deadline_;
  std::vector<MeasuredLink> links_;
  std::size_t current_ = 0;
  bool measuring_ = false;  // links_[current_]
  std::uint64_t last_measure_ = 0;
  OnDone on_done_;
  std::shared_ptr<bool> run_;  // as long as these links are measured
};

}  // namespace shoal::coordinator
