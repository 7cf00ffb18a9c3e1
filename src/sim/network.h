// Links between the end points of a simulated shoal, as TLS over TCP gives them (net/link.h): frames arrive in order
// and none is lost, until an end closes the link. What breaks here is what breaks there:
//
//  - A direction that is cut holds back what is sent, and hands it on when it is mended. A link on which nothing
//  arrived
//    for kSilenceMax (pings would) is closed by the end that hears nothing; the other end learns of it if its direction
//    works, else by its own silence.
//  - An end that is stopped (SIGSTOP) handles nothing: what arrives and what its timers would do waits, in order, until
//  it
//    wakes. It is silent meanwhile.
//  - An end whose process dies closes its links; one that loses its power does so without a word.
//  - A slow end's delays grow; a dozing one sends and receives in batches.
//
// One thread; equal random numbers give equal networks. Opening a link takes time: that is the caller's
// (world_links.cc).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/random.h"
#include "sim/event_queue.h"

namespace shoal::sim {

using LinkId = std::uint64_t;  // 0: none; never used again

class Network {
 public:
  // An end learns that its link is closed: by its peer or by silence, never by itself.
  using OnClosed = std::function<void(LinkId link, std::size_t end)>;

  Network(EventQueue& queue, SplitMix64& random, OnClosed on_closed)
      : queue_(queue), random_(random), on_closed_(std::move(on_closed)) {}
  void set_up(std::size_t ends, Duration delay, Duration jitter);

  LinkId open(std::size_t a, std::size_t b);
  void send(LinkId link, std::size_t from, std::function<void()> deliver);
  // What is on its way from this end still arrives; then the other end learns of it.
  void close(LinkId link, std::size_t end);
  void close_all(std::size_t end);
  void reset(LinkId link);  // by something between its ends
  // Whether a link could be opened now. false after a time, or at once (`refused`).
  bool reachable(std::size_t from, std::size_t to) const;
  bool refused(std::size_t to) const { return ends_[to].off && !ends_[to].silent; }
  Duration delay(std::size_t from, std::size_t to);  // of the next message, drawn
  // Now, or when it wakes; never, if its process dies before.
  void when_awake(std::size_t end, std::function<void()> what);

  void end(std::size_t end, bool silent);  // its process
  void begin(std::size_t end);
  void stop(std::size_t end);
  void wake(std::size_t end);
  void cut(std::size_t from, std::size_t to);
  void mend(std::size_t from, std::size_t to);
  void slow(std::size_t end, std::uint32_t factor) { ends_[end].slow = factor; }
  void doze(std::size_t end, Duration batch) { ends_[end].batch = batch; }  // 0: awake

 private:
  struct Direction {
    Time free;                               // nothing sent earlier arrives later
    std::deque<std::function<void()>> held;  // by a cut
  };
  struct Link {
    std::size_t end[2];
    bool open[2];
    Direction direction[2];  // from end[i]
  };
  struct End {
    bool off = false;
    bool silent = false;  // it went without closing its links
    bool stopped = false;
    std::uint32_t slow = 1;
    Duration batch{};
    std::deque<std::function<void()>> waiting;
  };
  struct Path {
    int cuts = 0;
    std::optional<Time> mute_since;
  };

  Path& path(std::size_t from, std::size_t to) { return paths_[from * ends_.size() + to]; }
  const Path& path(std::size_t from, std::size_t to) const { return paths_[from * ends_.size() + to]; }
  void post(LinkId id, Link& link, int side, std::function<void()> deliver);
  void arrive(LinkId id, int side, std::function<void()> deliver);
  void hand(LinkId id, int side, std::function<void()> deliver);
  void release(std::size_t from, std::size_t to);
  void learn(LinkId id, int side, bool tell_peer);
  void listen(std::size_t from, std::size_t to);
  void erase_if_over(LinkId id);

  EventQueue& queue_;
  SplitMix64& random_;
  OnClosed on_closed_;
  Duration delay_{};
  Duration jitter_{};
  std::vector<End> ends_;
  std::vector<Path> paths_;
  std::map<LinkId, Link> links_;
  LinkId newest_ = 0;
};

}  // namespace shoal::sim
