#include "coordinator/events.h"

#include <algorithm>

#include "coordinator/text_stream.h"

namespace shoal::coordinator {
namespace {

constexpr std::size_t kNameBytesMax = 64;  // wire::kNameBytesMax
constexpr Duration kWriteAgainAfter = std::chrono::seconds(10);

std::string log_text(const Event& event) {
  return fmt::format("{}{}{}{}", event.node_name, event.node ? ": " : "", event.text,
                     event.times > 1 ? fmt::format(" ({} times)", event.times) : "");
}

}  // namespace

std::string clean_text(const std::string& text, std::size_t bytes_max) {
  constexpr std::string_view kCut = "...";
  std::string clean = utf8_replace_invalid(text);
  for (char& byte : clean) {
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) byte = ' ';
  }
  if (clean.size() <= bytes_max) return clean;
  std::size_t size = bytes_max - kCut.size();
  while (size > 0 && (static_cast<unsigned char>(clean[size]) & 0xc0) == 0x80) --size;
  return clean.substr(0, size).append(kCut);
}

EventLog::EventLog(boost::asio::io_context& io, const Clock& clock, Store& store, EventLimits limits)
    : clock_(clock), store_(store), limits_(limits), write_timer_(io), release_timer_(io) {
  auto newest = store_.newest_event();
  Result<std::vector<Event>> kept = std::vector<Event>();
  if (newest.ok() && *newest > 0) {
    kept = store_.events(*newest - std::min<std::uint64_t>(*newest, limits_.ring_events), 0, limits_.ring_events);
  }
  if (!newest.ok() || !kept.ok()) {
    log_warning("the events of earlier runs cannot be read, and new ones are kept in memory alone: {}",
                (newest.ok() ? kept.error() : newest.error()).message);
    keeps_ = false;
    return;
  }
  newest_ = written_ = *newest;
  ring_.assign(std::make_move_iterator(kept->begin()), std::make_move_iterator(kept->end()));
}

EventLog::~EventLog() {
  release(true);
  if (written_ < newest_) write();
}

EventLog::Bucket& EventLog::bucket_of(const Event& event, Time now) {
  Key key{event.kind, event.node.value_or(NodeId{})};
  if (buckets_.size() >= kBucketsMax) {
    std::erase_if(buckets_, [&](const auto& entry) { return !entry.second.held && entry.second.full_at <= now; });
    if (buckets_.size() >= kBucketsMax && !buckets_.contains(key)) key.second = NodeId{};
  }
  return buckets_[key];
}

void EventLog::add(Event event) {
  event.unix_ms = clock_.unix_ms();
  event.node_name = clean_text(event.node_name, kNameBytesMax);
  event.text = clean_text(event.text, kEventTextBytesMax);
  const Time now = clock_.now();
  Bucket& bucket = bucket_of(event, now);
  if (bucket.held || now < turn_of(bucket)) {
    if (bucket.held) event.times += bucket.held->times;
    bucket.held = std::move(event);
    return arm_release();
  }
  bucket.full_at = std::max(bucket.full_at, now) + limits_.every;
  tell(std::move(event));
}

void EventLog::tell(Event event) {
  event.number = ++newest_;
  log_at(kEventKinds[static_cast<std::size_t>(event.kind)].level, "{}", log_text(event));
  if (ring_.size() == limits_.ring_events) {
    if (ring_.front().number > written_ && !write_failed_) write();
    ring_.pop_front();
  }
  ring_.push_back(std::move(event));
  arm_write();
  std::erase_if(watches_, [](const auto& watch) { return watch.expired(); });
  for (const auto& weak : watches_) {
    if (const auto watch = weak.lock()) (*watch)();
  }
}

// --- storms ---

// Tells what waits and has its turn, in the order in which it happened.
void EventLog::release(bool all) {
  const Time now = clock_.now();
  std::vector<Event> due;
  for (auto& [key, bucket] : buckets_) {
    if (!bucket.held || (!all && now < turn_of(bucket))) continue;
    bucket.full_at = std::max(bucket.full_at, now) + limits_.every;
    due.push_back(*std::exchange(bucket.held, std::nullopt));
  }
  std::stable_sort(due.begin(), due.end(), [](const Event& a, const Event& b) { return a.unix_ms < b.unix_ms; });
  for (Event& event : due) tell(std::move(event));
}

void EventLog::arm_release() {
  std::optional<Time> next;
  for (const auto& [key, bucket] : buckets_) {
    if (bucket.held) next = std::min(next.value_or(turn_of(bucket)), turn_of(bucket));
  }
  if (!next) return;
  release_timer_.expires_after(std::max<Duration>(*next - clock_.now(), std::chrono::milliseconds(1)));
  release_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;  // armed anew, or the log is gone
    release(false);
    arm_release();
  });
}

// --- the store ---

void EventLog::arm_write() {
  if (write_armed_ || !keeps_) return;
  write_armed_ = true;
  write_timer_.expires_after(write_failed_ ? kWriteAgainAfter : limits_.write_delay);
  write_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    write_armed_ = false;
    write();
    if (written_ < newest_) arm_write();
  });
}

void EventLog::write() {
  if (!keeps_) return;
  std::vector<Event> unwritten;
  append_from_ring(written_, 0, limits_.ring_events, unwritten);
  const Status kept = store_.keep_events(unwritten);
  if (!kept.ok() && !write_failed_) {
    log_warning("events are not written, and tried again every {} s: {}",
                std::chrono::duration_cast<std::chrono::seconds>(kWriteAgainAfter).count(), kept.error().message);
  }
  write_failed_ = !kept.ok();
  if (kept.ok() && !unwritten.empty()) written_ = unwritten.back().number;
}

// --- reading ---

// Stops when `into` has `limit` events.
void EventLog::append_from_ring(std::uint64_t after, std::int64_t since_unix_ms, std::size_t limit,
                                std::vector<Event>& into) const {
  auto next =
      std::partition_point(ring_.begin(), ring_.end(), [&](const Event& event) { return event.number <= after; });
  for (; next != ring_.end() && into.size() < limit; ++next) {
    if (next->unix_ms >= since_unix_ms) into.push_back(*next);
  }
}

Result<EventPage> EventLog::read(const EventQuery& query) {
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kEventsPerPageMax);
  const std::uint64_t last_ones = newest_ - std::min<std::uint64_t>(newest_, limit);
  const std::uint64_t after = query.after.value_or(query.since ? 0 : last_ones);
  const std::int64_t since_unix_ms =
      query.since ? clock_.unix_ms() - std::chrono::milliseconds(std::min(*query.since, kEventsSinceMax)).count() : 0;
  EventPage page{{}, newest_};
  if (keeps_ && (ring_.empty() || after + 1 < ring_.front().number)) {
    SHOAL_ASSIGN_OR_RETURN(page.events, store_.events(after, since_unix_ms, limit));
  }
  // From here on, and what the store does not have yet.
  append_from_ring(page.events.empty() ? after : page.events.back().number, since_unix_ms, limit, page.events);
  return page;
}

EventWatch EventLog::watch(std::function<void()> on_event) {
  std::erase_if(watches_, [](const auto& watch) { return watch.expired(); });
  auto watch = std::make_shared<const std::function<void()>>(std::move(on_event));
  watches_.push_back(watch);
  return watch;
}

}  // namespace shoal::coordinator
