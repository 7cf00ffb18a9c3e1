// The coordinator's event log: what happened to which node and what the shoal did about it (event.h), kept over
// restarts.
//
// An event that is told gets the next number, a line in the log ("NODE: sentence"), a place in a ring in memory from
// which it is read, and soon after a row in the store (table `event`, the newest kEventsKeptMax).
//
// Writing: unwritten events are written together, write_delay after the first of them, in one commit. So a storm syncs
// the disk four times a second at the most and a quiet shoal never; kill -9 and a power loss lose what was told within
// the last write_delay (250 ms), an orderly end nothing. While the disk cannot be written to (it is full), the newest
// ring_events wait for it in memory.
//
// Storms: events of the same kind about the same node (or about none) are told one by one for `burst` (20) in a row,
// and from then on one every `every` (10 s). What comes in between is held back; the newest of it is told when its turn
// comes, with the time when it happened and `times`, how many it stands for. So the last word on a node that flaps is
// never older than 10 s, nothing goes uncounted, and a node costs at most 6 events a minute and kind. With more than
// kBucketsMax (4096) kinds and nodes in motion at once, nodes share their kind's turn.
//
// Owned by the io thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "coordinator/event.h"
#include "coordinator/store.h"

namespace shoal::coordinator {

struct EventLimits {
  Duration write_delay = std::chrono::milliseconds(250);
  std::size_t ring_events = 1000;
  int burst = 20;
  Duration every = std::chrono::seconds(10);
};

class EventLog {
 public:
  // Reads what the store has. Where that cannot be, a warning says so, and events are kept in memory alone until the
  // next start. Everything referenced must outlive the object.
  EventLog(boost::asio::io_context& io, const Clock& clock, Store& store, EventLimits limits = {});
  // Tells what is held back and writes what is not written.
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // `number` and `unix_ms` are set here; the text is cut to kEventTextBytesMax, and what is no text in it replaced.
  void add(Event event);

  Result<EventPage> read(const EventQuery& query);
  // From inside add(): the function must not add events itself.
  EventWatch watch(std::function<void()> on_event);

 private:
  static constexpr std::size_t kBucketsMax = 4096;

  using Key = std::pair<EventKind, NodeId>;
  struct Bucket {
    Time full_at;               // when `burst` events in a row are possible again
    std::optional<Event> held;  // the newest that waits for its turn
  };
  Bucket& bucket_of(const Event& event, Time now);
  Time turn_of(const Bucket& bucket) const { return bucket.full_at - limits_.every * (limits_.burst - 1); }
  void tell(Event event);
  void release(bool all);
  void arm_release();
  void arm_write();
  void write();
  void append_from_ring(std::uint64_t after, std::int64_t since_unix_ms, std::size_t limit,
                        std::vector<Event>& into) const;

  const Clock& clock_;
  Store& store_;
  const EventLimits limits_;
  boost::asio::steady_timer write_timer_;
  boost::asio::steady_timer release_timer_;
  std::deque<Event> ring_;  // consecutive numbers, but for rows that were damaged; the newest is the newest of all
  std::uint64_t newest_ = 0;
  std::uint64_t written_ = 0;  // all up to this number are in the store
  bool keeps_ = true;          // the store can be read
  bool write_armed_ = false;
  bool write_failed_ = false;  // the last time; told once
  std::map<Key, Bucket> buckets_;
  std::vector<std::weak_ptr<const std::function<void()>>> watches_;
};

// Without control characters and invalid UTF-8, at most `bytes_max` long, cut between characters.
std::string clean_text(const std::string& text, std::size_t bytes_max);

}  // namespace shoal::coordinator
