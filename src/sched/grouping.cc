#include "sched/grouping.h"

#include <algorithm>
#include <utility>

namespace shoal::sched {
namespace {

constexpr int kSettleMax = 10;  // joins put it off for so many times plan_settle at the most

std::uint64_t memory_of(const std::vector<plan::NodeProfile>& nodes) {
  std::uint64_t sum = 0;
  for (const auto& node : nodes) sum += std::min(node.memory_bytes_max, UINT64_MAX - sum);
  return sum;
}

void sort_by_memory(std::vector<plan::NodeProfile>& nodes) {
  std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) {
    return std::pair(b.memory_bytes_max, a.node) < std::pair(a.memory_bytes_max, b.node);
  });
}

}  // namespace

// --- what happens to nodes ---

bool Grouping::take(const NodeJoined& event, Time now) {
  const NodeId id = event.profile.node;
  const auto has_it = [&](const auto& lane) { return lane->placement().has(id); };
  may_be_more_ = true;
  if (std::any_of(lanes_.begin(), lanes_.end(), has_it)) return false;
  pool_[id] = {event.profile, event.paused, 1, 0, Time{}, {}};
  if (!settle_at_) settle_latest_ = now + limits_.plan_settle * kSettleMax;
  settle_at_ = std::min(now + limits_.plan_settle, settle_latest_);
  return true;
}

bool Grouping::take(const NodeLost& event) {
  if (pool_.erase(event.node) == 0) return false;
  if (pool_.empty()) settle_at_.reset();
  return true;
}

bool Grouping::take(const NodePaused& event) {
  may_be_more_ = may_be_more_ || !event.paused;
  const auto found = pool_.find(event.node);
  if (found == pool_.end()) return false;
  found->second.paused = event.paused;
  return true;
}

bool Grouping::take(const NodeShare& event) {
  const auto found = pool_.find(event.node);
  if (found == pool_.end()) return false;
  found->second.share = std::clamp<std::uint32_t>(event.permille, 1, 1000) / 1000.0;
  return true;
}

// --- where they go ---

std::vector<plan::NodeProfile> Grouping::usable_of_pool(Time now) const {
  std::vector<plan::NodeProfile> nodes;
  for (const auto& [id, member] : pool_) {
    const bool works = member.failures < limits_.stage_tries_max && now >= member.usable_at;
    if (!member.paused && works) nodes.push_back(member.profile);
  }
  return nodes;
}

void Grouping::give(std::size_t lane, Member member, Time now) {
  given_at_[lane] = now;
  lanes_[lane]->take(std::move(member), now);
}

// Whoever got nodes has time to make a plan of them.
Time Grouping::dissolves_at(std::size_t lane) const {
  return std::max(lanes_[lane]->none_since(), given_at_[lane]) + kDissolveAfter;
}

bool Grouping::may_divide() const {
  return planned_since_ || may_be_more_ || now_ >= divided_at_ + kDissolveAfter;
}

std::size_t Grouping::lanes_in_use() const {
  return static_cast<std::size_t>(
      std::count_if(lanes_.begin(), lanes_.end(), [this](const auto& lane) { return in_use(*lane); }));
}

bool Grouping::nobody_asks() const {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const auto& lane) { return lane->sequences().oldest() == nullptr; });
}

plan::PlanRules Grouping::rules() const {
  plan::PlanRules rules;
  rules.one_kernel_family = limits_.settings.exact == ExactMode::kOn;
  return rules;
}

bool Grouping::can_hold(const std::vector<plan::NodeProfile>& nodes) const {
  return !nodes.empty() && plan::make_plan(model_, nodes, rules()).ok();
}

std::vector<plan::NodeProfile> Grouping::spares_of_others(const Lane* except, Time now) const {
  std::vector<plan::NodeProfile> spares;
  for (const auto& lane : lanes_) {
    if (lane.get() == except || lane->state() == PlanState::kNone) continue;
    for (auto& node : lane->placement().spare_nodes(now)) spares.push_back(std::move(node));
  }
  sort_by_memory(spares);
  return spares;
}

Lane* Grouping::with_spare(NodeId node, const Lane* except, Time now) {
  for (const auto& lane : lanes_) {
    if (lane.get() == except || !lane->placement().has(node)) continue;
    const auto spares = lane->placement().spare_nodes(now);
    if (std::any_of(spares.begin(), spares.end(), [&](const auto& spare) { return spare.node == node; })) {
      return lane.get();
    }
  }
  return nullptr;
}

void Grouping::act(Time now, std::vector<Action>& actions) {
  now_ = now;
  if (settle_at_ && now >= *settle_at_) {
    settle_at_.reset();
    place_pool(now, actions);
  }
  bool any_plan = false;
  bool any_settles = settle_at_.has_value();
  for (const auto& lane : lanes_) {
    any_plan = any_plan || lane->state() != PlanState::kNone;
    any_settles = any_settles || lane->placement().is_about_to_plan();
  }
  planned_since_ = planned_since_ || any_plan;
  if (lanes_in_use() > 1 && !any_plan && !any_settles && may_divide() && divide_anew(now, actions)) return;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = *lanes_[i];
    if (!in_use(lane) || lane.state() != PlanState::kNone || lane.placement().is_about_to_plan()) continue;
    help(i, now, actions);
    if (any_plan && !lane.placement().is_about_to_plan() && now >= dissolves_at(i)) {
      dissolve(lane, now, actions);
      may_be_more_ = true;
    }
  }
  if (!nobody_asks() || lanes_in_use() >= lanes_.size() || !may_be_more_ || any_settles || !formed_) {
    return idle_since_.reset();
  }
  if (!idle_since_) idle_since_ = now;
  if (now < *idle_since_ + kIdleFor) return;
  idle_since_.reset();
  const bool divided = divide_anew(now, actions);
  may_be_more_ = !divided && std::any_of(lanes_.begin(), lanes_.end(),
                                         [now](const auto& lane) { return lane->placement().leaves_some_out(now); });
  if (may_be_more_) idle_since_ = now;
}

std::optional<Time> Grouping::next_due() const {
  std::optional<Time> due = settle_at_;
  const auto consider = [&](Time at) { due = due ? std::min(*due, at) : at; };
  const bool any_plan =
      std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->state() != PlanState::kNone; });
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = *lanes_[i];
    if (any_plan && in_use(lane) && lane.state() == PlanState::kNone && !lane.placement().is_about_to_plan()) {
      consider(dissolves_at(i));
    }
  }
  if (!any_plan && lanes_in_use() > 1 && !may_divide()) consider(divided_at_ + kDissolveAfter);
  if (idle_since_) consider(*idle_since_ + kIdleFor);
  return due;
}

std::string Grouping::why_none() const {
  if (lanes_in_use() > 0) return "";
  if (pool_.empty()) return plan::no_node(model_).message;
  if (settle_at_) return fmt::format("{} nodes are there; the plan is about to be made", pool_.size());
  return fmt::format("{} of {} nodes are there; waiting for the others", pool_.size(), limits_.nodes_min);
}

void Grouping::place_pool(Time now, std::vector<Action>& actions) {
  if (lanes_in_use() == 0) {
    if (!formed_ && pool_.size() < limits_.nodes_min) return;
    return form(now);
  }
  if (!join_broken_lane(now)) open_lane(now, actions);
  join_least(now);
}

void Grouping::form(Time now) {
  formed_ = true;
  divided_at_ = now;
  planned_since_ = false;
  plan::PlanRules with_spares = rules();
  with_spares.spares = limits_.spares;
  auto groups = plan::divide(model_, usable_of_pool(now), with_spares, lanes_.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    lanes_[i]->set_spares(groups[i].spares);
    for (const auto& node : groups[i].nodes) give(i, std::move(pool_.extract(node.node).mapped()), now);
  }
  for (auto& [id, member] : std::exchange(pool_, {})) give(0, std::move(member), now);  // paused ones
  may_be_more_ = false;
}

bool Grouping::join_broken_lane(Time now) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (!in_use(*lanes_[i]) || lanes_[i]->state() != PlanState::kNone) continue;
    auto nodes = lanes_[i]->placement().nodes(now);
    for (auto& node : usable_of_pool(now)) nodes.push_back(std::move(node));
    if (!can_hold(nodes)) continue;
    for (auto& [id, member] : std::exchange(pool_, {})) give(i, std::move(member), now);
    return true;
  }
  return false;
}

// As few spare nodes of others as possible.
bool Grouping::open_lane(Time now, std::vector<Action>& actions) {
  const auto unused = std::find_if(lanes_.begin(), lanes_.end(), [this](const auto& lane) { return !in_use(*lane); });
  const auto index = static_cast<std::size_t>(unused - lanes_.begin());
  auto nodes = usable_of_pool(now);
  if (unused == lanes_.end() || nodes.empty()) return false;
  std::vector<NodeId> borrowed;
  for (auto& spare : spares_of_others(nullptr, now)) {
    if (can_hold(nodes)) break;
    borrowed.push_back(spare.node);
    nodes.push_back(std::move(spare));
  }
  if (!can_hold(nodes)) return false;
  for (const NodeId& id : borrowed) {
    if (Lane* from = with_spare(id, nullptr, now)) give(index, from->release(id, now, actions), now);
  }
  for (auto& [id, member] : std::exchange(pool_, {})) give(index, std::move(member), now);
  (*unused)->set_spares(0);
  return true;
}

void Grouping::join_least(Time now) {
  for (auto& [id, member] : std::exchange(pool_, {})) {
    Lane* least = nullptr;
    for (const auto& lane : lanes_) {
      if (!in_use(*lane)) continue;
      if (least == nullptr || memory_of(lane->placement().nodes(now)) < memory_of(least->placement().nodes(now))) {
        least = lane.get();
      }
    }
    (least ? least : lanes_.front().get())->take(std::move(member), now);
  }
}

void Grouping::help(std::size_t index, Time now, std::vector<Action>& actions) {
  const Lane& broken = *lanes_[index];
  auto nodes = broken.placement().nodes(now);
  if (can_hold(nodes)) return;  // something else is wrong
  std::vector<NodeId> lent;
  for (auto& spare : spares_of_others(&broken, now)) {
    lent.push_back(spare.node);
    nodes.push_back(std::move(spare));
    if (can_hold(nodes)) break;
  }
  if (lent.empty() || !can_hold(nodes)) return;
  for (const NodeId& id : lent) {
    if (Lane* from = with_spare(id, &broken, now)) give(index, from->release(id, now, actions), now);
  }
}

void Grouping::dissolve(Lane& lane, Time now, std::vector<Action>& actions) {
  for (Member& member : lane.dissolve(now, actions)) {
    const NodeId id = member.profile.node;
    pool_[id] = std::move(member);
  }
  if (!pool_.empty()) settle_at_ = settle_latest_ = now;
}

// Not where it would be of no use.
bool Grouping::divide_anew(Time now, std::vector<Action>& actions) {
  auto nodes = usable_of_pool(now);
  std::size_t with_plan = 0;
  for (const auto& lane : lanes_) {
    for (auto& node : lane->placement().nodes(now)) nodes.push_back(std::move(node));
    with_plan += lane->state() != PlanState::kNone;
  }
  if (!can_hold(nodes) || plan::divide(model_, nodes, rules(), lanes_.size()).size() <= with_plan) return false;
  for (const auto& lane : lanes_) {
    if (in_use(*lane)) dissolve(*lane, now, actions);
  }
  settle_at_.reset();
  form(now);
  return true;
}

}  // namespace shoal::sched
