#include "sim/network.h"

#include <algorithm>

namespace shoal::sim {
namespace {

using std::chrono::milliseconds;

constexpr Duration kSilenceMax = milliseconds(3000);       // net::kSilenceMax
constexpr Duration kIdlePingInterval = milliseconds(500);  // net::kIdlePingInterval
constexpr Duration kRetransmitMax = milliseconds(1000);    // what a mended direction waits for TCP to try again

}  // namespace

void Network::set_up(std::size_t ends, Duration delay, Duration jitter) {
  ends_.resize(ends);
  paths_.resize(ends * ends);
  delay_ = delay;
  jitter_ = jitter;
}

LinkId Network::open(std::size_t a, std::size_t b) {
  links_[++newest_] = {{a, b}, {true, true}, {}};
  return newest_;
}

Duration Network::delay(std::size_t from, std::size_t to) {
  const Duration once = delay_ + Duration(random_.below(static_cast<std::uint64_t>(jitter_.count()) + 1));
  return once * std::max(ends_[from].slow, ends_[to].slow);
}

void Network::send(LinkId id, std::size_t from, std::function<void()> deliver) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const int side = found->second.end[0] == from ? 0 : 1;
  if (found->second.open[side]) post(id, found->second, side, std::move(deliver));
}

// From end[side] to the other one.
void Network::post(LinkId id, Link& link, int side, std::function<void()> deliver) {
  const std::size_t from = link.end[side];
  const std::size_t to = link.end[1 - side];
  Time at = queue_.now() + delay(from, to);
  for (const std::size_t end : {from, to}) {
    if (const Duration batch = ends_[end].batch; batch > Duration::zero()) {
      at = std::max(at, Time((at.time_since_epoch() / batch + 1) * batch));
    }
  }
  Time& free = link.direction[side].free;
  free = std::max(free, at);
  queue_.at(free, [this, id, side, deliver = std::move(deliver)] { arrive(id, side, deliver); });
}

void Network::arrive(LinkId id, int side, std::function<void()> deliver) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  Link& link = found->second;
  auto& held = link.direction[side].held;
  if (path(link.end[side], link.end[1 - side]).cuts > 0 || !held.empty()) return held.push_back(std::move(deliver));
  hand(id, side, std::move(deliver));
}

void Network::hand(LinkId id, int side, std::function<void()> deliver) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  when_awake(found->second.end[1 - side], [this, id, side, deliver = std::move(deliver)] {
    const auto still = links_.find(id);
    if (still != links_.end() && still->second.open[1 - side]) deliver();
  });
}

void Network::when_awake(std::size_t end, std::function<void()> what) {
  if (ends_[end].off) return;
  if (ends_[end].stopped) return ends_[end].waiting.push_back(std::move(what));
  what();
}

void Network::erase_if_over(LinkId id) {
  const auto found = links_.find(id);
  if (found != links_.end() && !found->second.open[0] && !found->second.open[1]) links_.erase(found);
}

void Network::close(LinkId id, std::size_t end) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  Link& link = found->second;
  const int side = link.end[0] == end ? 0 : 1;
  if (!std::exchange(link.open[side], false)) return;
  post(id, link, side, [this, id, side] { learn(id, 1 - side, false); });
  erase_if_over(id);
}

void Network::close_all(std::size_t end) {
  std::vector<LinkId> all;
  for (const auto& [id, link] : links_) {
    if (link.end[0] == end || link.end[1] == end) all.push_back(id);
  }
  for (const LinkId id : all) close(id, end);
}

// end[side] sees that the link is closed.
void Network::learn(LinkId id, int side, bool tell_peer) {
  const auto found = links_.find(id);
  if (found == links_.end() || !std::exchange(found->second.open[side], false)) return;
  const std::size_t end = found->second.end[side];
  if (tell_peer) post(id, found->second, side, [this, id, side] { learn(id, 1 - side, false); });
  erase_if_over(id);
  on_closed_(id, end);
}

void Network::reset(LinkId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  for (const int side : {0, 1}) {
    const std::size_t end = found->second.end[side];
    queue_.after(delay(found->second.end[1 - side], end),
                 [this, id, side, end] { when_awake(end, [this, id, side] { learn(id, side, false); }); });
  }
}

bool Network::reachable(std::size_t from, std::size_t to) const {
  return !ends_[from].off && !ends_[to].off && !ends_[to].stopped && path(from, to).cuts == 0 &&
         path(to, from).cuts == 0;
}

// --- what breaks ---

// Whether `to` hears nothing of `from`, and since when.
void Network::listen(std::size_t from, std::size_t to) {
  Path& way = path(from, to);
  const bool mute = way.cuts > 0 || ends_[from].stopped || ends_[from].off;
  if (!mute) return way.mute_since.reset();
  if (way.mute_since) return;
  way.mute_since = queue_.now();
  const Duration since_ping(random_.below(static_cast<std::uint64_t>(kIdlePingInterval.count())));
  queue_.after(kSilenceMax - since_ping, [this, from, to, since = queue_.now()] {
    if (path(from, to).mute_since != since) return;
    std::vector<std::pair<LinkId, int>> silent;
    for (const auto& [id, link] : links_) {
      if (link.end[0] == from && link.end[1] == to) silent.emplace_back(id, 1);
      if (link.end[1] == from && link.end[0] == to) silent.emplace_back(id, 0);
    }
    for (const auto& [id, side] : silent) {
      when_awake(to, [this, id = id, side = side] { learn(id, side, true); });
    }
  });
}

void Network::end(std::size_t end, bool silent) {
  ends_[end].stopped = false;
  ends_[end].waiting.clear();
  if (silent) {
    std::vector<LinkId> over;
    for (auto& [id, link] : links_) {
      for (const int side : {0, 1}) {
        if (link.end[side] == end) link.open[side] = false;
      }
      over.push_back(id);
    }
    for (const LinkId id : over) erase_if_over(id);
  } else {
    close_all(end);
  }
  ends_[end].off = true;
  ends_[end].silent = silent;
  for (std::size_t other = 0; other < ends_.size(); ++other) listen(end, other);
}

// What is sent on links of its life before is answered by a reset.
void Network::begin(std::size_t end) {
  ends_[end].off = false;
  for (std::size_t other = 0; other < ends_.size(); ++other) listen(end, other);
  for (const auto& [id, link] : links_) {
    for (const int side : {0, 1}) {
      const std::size_t other = link.end[1 - side];
      if (link.end[side] != end || link.open[side] || path(end, other).cuts > 0) continue;
      const Duration until_ping(random_.below(static_cast<std::uint64_t>(kIdlePingInterval.count())));
      queue_.after(until_ping + delay(end, other), [this, id = id, side, other] {
        when_awake(other, [this, id, side] { learn(id, 1 - side, false); });
      });
    }
  }
}

void Network::stop(std::size_t end) {
  if (ends_[end].off) return;
  ends_[end].stopped = true;
  for (std::size_t other = 0; other < ends_.size(); ++other) listen(end, other);
}

void Network::wake(std::size_t end) {
  if (!std::exchange(ends_[end].stopped, false)) return;
  for (std::size_t other = 0; other < ends_.size(); ++other) listen(end, other);
  while (!ends_[end].waiting.empty() && !ends_[end].stopped) {
    const std::function<void()> next = std::move(ends_[end].waiting.front());
    ends_[end].waiting.pop_front();
    next();
  }
}

void Network::cut(std::size_t from, std::size_t to) {
  ++path(from, to).cuts;
  listen(from, to);
}

void Network::mend(std::size_t from, std::size_t to) {
  if (--path(from, to).cuts > 0) return;
  listen(from, to);
  const Duration wait(random_.below(static_cast<std::uint64_t>(kRetransmitMax.count())));
  queue_.after(wait, [this, from, to] { release(from, to); });
}

void Network::release(std::size_t from, std::size_t to) {
  if (path(from, to).cuts > 0) return;
  std::vector<std::pair<LinkId, int>> all;
  for (const auto& [id, link] : links_) {
    if (link.end[0] == from && link.end[1] == to) all.emplace_back(id, 0);
    if (link.end[1] == from && link.end[0] == to) all.emplace_back(id, 1);
  }
  for (const auto& [id, side] : all) {
    while (true) {
      const auto found = links_.find(id);
      if (found == links_.end() || found->second.direction[side].held.empty()) break;
      const std::function<void()> next = std::move(found->second.direction[side].held.front());
      found->second.direction[side].held.pop_front();
      hand(id, side, next);
    }
  }
}

}  // namespace shoal::sim
