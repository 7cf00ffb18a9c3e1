// Measures a way to a peer: its round trip and its rate, with frames that the peer answers at once (wire::LinkProbe).
//
// First kRttProbes empty probes, one after another, for kRttMax at most: the median is the round trip. Then probes of
// wire::kProbeBytesMax for kRateFor: one at first, and two for each that is answered, up to kProbesInFlightMax, so that
// what is on its way never takes longer to arrive than the measurement has taken so far, however slow the way is. The
// rate is what was answered, by the time that it took without one (the quickest) round trip: a way that others use
// meanwhile is as fast as what they leave. Nothing is sent once kRateBytesMax are, and nothing while more than
// kQueuedBytesMax wait in the link's own queue (net/link.h closes a link whose queue overflows).
//
// One measurement at a time. It ends within kMeasureMax: with what is known by then, or kDeadlineExceeded. Runs on the
// io thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "net/link_speed.h"
#include "wire/messages.h"

namespace shoal::net {

inline constexpr std::size_t kRttProbes = 11;
inline constexpr Duration kRttMax = std::chrono::milliseconds(1500);
inline constexpr Duration kRateFor = std::chrono::milliseconds(500);
inline constexpr Duration kMeasureMax = std::chrono::seconds(6);
inline constexpr std::size_t kProbesInFlightMax = 64;
inline constexpr std::size_t kRateBytesMax = 64u << 20;
inline constexpr std::size_t kQueuedBytesMax = 32u << 20;

class LinkMeter {
 public:
  struct Way {
    NodeId peer;
    std::function<void(const wire::LinkProbe&, std::shared_ptr<const Bytes> raw)> send;
    std::function<std::size_t()> queued_bytes;
  };
  using OnDone = std::function<void(Result<LinkSpeed>)>;

  // `measure_max`: for tests that cannot wait as long.
  LinkMeter(boost::asio::io_context& io, const Clock& clock, Duration measure_max = kMeasureMax);

  bool running() const { return on_done_ != nullptr; }
  // Only while none is running. `done` is called once, from the event loop.
  void start(Way way, OnDone done);
  // Answers of anybody but the peer that is measured, and late ones of an earlier measurement, change nothing.
  void on_probed(const NodeId& peer, const wire::LinkProbed& probed);
  void cancel();  // without a call back, as the destructor

 private:
  struct InFlight {
    std::uint64_t probe = 0;
    Time sent;
    std::size_t bytes = 0;
  };

  void send_probe(const std::shared_ptr<const Bytes>& raw);
  void on_round_trip(Duration took);
  void send_more();
  void finish(Result<LinkSpeed> speed);
  Result<LinkSpeed> known_speed() const;

  const Clock& clock_;
  const Duration measure_max_;
  boost::asio::steady_timer deadline_;
  Way way_;
  OnDone on_done_;
  std::shared_ptr<bool> run_;     // as long as this measurement runs
  std::uint64_t last_probe_ = 0;  // goes on from measurement to measurement
  Time began_;
  std::vector<Duration> round_trips_;
  std::deque<InFlight> in_flight_;
  std::shared_ptr<const Bytes> block_;  // while the rate is measured
  Time rate_began_;
  Time last_answer_;
  std::size_t window_ = 0;
  std::size_t bytes_sent_ = 0;
  std::size_t bytes_answered_ = 0;
};

}  // namespace shoal::net
