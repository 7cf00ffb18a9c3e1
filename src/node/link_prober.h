// Measures this node's links when the coordinator asks for it (wire::MeasureLink), and tells what came out: its control
// link, or the data link from a stage to its successor, direct or through the coordinator. One at a time; an order that
// comes meanwhile is refused with that reason. Runs on the io thread.
#pragma once

#include <functional>

#include "base/clock.h"
#include "net/link_meter.h"
#include "node/stage_table.h"

namespace shoal::node {

class LinkProber {
 public:
  // `control`: the control link, or null while there is none.
  LinkProber(boost::asio::io_context& io, StageTable& stages, std::function<net::Link*()> control);

  void measure(const wire::MeasureLink& order);
  // A probe of ours was answered, by this peer.
  void on_probed(const NodeId& peer, const wire::LinkProbed& probed) { meter_.on_probed(peer, probed); }
  // The control link is gone: nobody waits for what is being measured.
  void cancel() { meter_.cancel(); }

 private:
  struct Measured {
    net::LinkMeter::Way way;
    bool direct = true;
  };
  Measured control_link() const;
  Result<Measured> data_link(const wire::MeasureLink& order) const;
  void tell(const wire::LinkMeasured& measured) const;

  SystemClock clock_;
  StageTable& stages_;
  std::function<net::Link*()> control_;
  net::LinkMeter meter_;
};

}  // namespace shoal::node
