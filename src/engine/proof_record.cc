#include "engine/proof_record.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace shoal::engine {
namespace {

std::set<Digest> all_kinds(const ProofSubject& subject) {
  std::set<Digest> kinds = subject.layers;
  kinds.insert(subject.ends.begin(), subject.ends.end());
  if (subject.last_layer) kinds.insert(*subject.last_layer);
  return kinds;
}

}  // namespace

ProofRecord::Known ProofRecord::find(const ProofSubject& subject) const {
  std::lock_guard lock(mutex_);
  const auto found = settings_.find(subject.setting);
  if (found == settings_.end()) return {};
  const Facts& facts = found->second;
  const std::set<Digest> kinds = all_kinds(subject);
  for (const Difference& each : facts.differences) {
    if (std::includes(kinds.begin(), kinds.end(), each.kinds.begin(), each.kinds.end())) {
      return {ProofDepth::kSpot, each.when, each.text};
    }
  }
  const auto known = [&facts](const Digest& kind) { return facts.kinds.contains(kind); };
  if (!std::all_of(subject.layers.begin(), subject.layers.end(), known)) return {};
  const bool same_ends = std::all_of(subject.ends.begin(), subject.ends.end(), known);
  if (!same_ends && subject.last_layer && !known(*subject.last_layer)) return {};
  Known result{same_ends ? ProofDepth::kSpot : ProofDepth::kEnds, {}, {}};
  std::set<std::string> names;
  for (const Digest& kind : kinds) {
    if (known(kind)) names.insert(facts.kinds.at(kind));
  }
  result.when = fmt::format("{}", fmt::join(names, " and "));
  return result;
}

ProofRecord::Facts& ProofRecord::facts_of(const Digest& setting) {
  if (settings_.size() >= kSettingsMax && !settings_.contains(setting)) settings_.clear();
  return settings_[setting];
}

void ProofRecord::note_proven(const ProofSubject& subject) {
  std::lock_guard lock(mutex_);
  Facts& facts = facts_of(subject.setting);
  if (facts.kinds.size() + subject.layers.size() + subject.ends.size() > kKindsMax) facts.kinds.clear();
  for (const std::set<Digest>* kinds : {&subject.layers, &subject.ends}) {
    for (const Digest& kind : *kinds) facts.kinds.try_emplace(kind, subject.name);
  }
}

void ProofRecord::note_difference(const ProofSubject& subject, const std::string& difference) {
  std::lock_guard lock(mutex_);
  Facts& facts = facts_of(subject.setting);
  if (facts.differences.size() >= kDifferencesMax) facts.differences.clear();
  facts.differences.push_back({all_kinds(subject), subject.name, difference});
}

void ProofRecord::forget(const ProofSubject& subject) {
  std::lock_guard lock(mutex_);
  settings_.erase(subject.setting);
}

}  // namespace shoal::engine
