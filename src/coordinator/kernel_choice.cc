#include "coordinator/kernel_choice.h"

#include <fmt/format.h>

#include "base/log.h"

namespace shoal::coordinator {

KernelChoice::KernelChoice(boost::asio::io_context& io, Store& store, ExactMode mode, std::vector<WeightType> types,
                           Handlers handlers)
    : io_(io), store_(store), mode_(mode), types_(std::move(types)), handlers_(std::move(handlers)) {}

KernelChoice::~KernelChoice() = default;

std::string KernelChoice::key(const std::string& kernel_family) const {
  std::string key = kernel_family;
  for (const WeightType& each : types_) key += fmt::format(" {}:{}", each.type, each.bytes);
  return key;
}

void KernelChoice::join(const NodeId& node, const std::string& kernel_family) {
  if (mode_ != ExactMode::kAuto || decided_.contains(kernel_family)) return handlers_.on_ready(node);
  auto kept = store_.find_kernel_cost(key(kernel_family));
  if (!kept.ok()) log_warning("{}", kept.error().message);
  if (kept.ok() && *kept) {
    decided_[kernel_family] = **kept;
    return handlers_.on_ready(node);
  }
  auto [waiting, is_first] = waiting_.try_emplace(kernel_family, Waiting{{}, boost::asio::steady_timer(io_)});
  waiting->second.nodes.insert(node);
  if (is_first) {
    waiting->second.deadline.expires_after(kAnswerMax);
    waiting->second.deadline.async_wait([this, kernel_family](boost::system::error_code error) {
      if (error) return;
      log_warning("no node said what exact kernels cost on {}: they are taken until the next start", kernel_family);
      decide(kernel_family, {});
    });
  }
  handlers_.ask(node);
}

void KernelChoice::leave(const NodeId& node) {
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    next->second.nodes.erase(node);
    next = next->second.nodes.empty() ? waiting_.erase(next) : std::next(next);
  }
}

void KernelChoice::answer(const NodeId& node, const KernelCost& cost) {
  for (const auto& [kernel_family, waiting] : waiting_) {
    if (!waiting.nodes.contains(node)) continue;
    if (auto kept = store_.keep_kernel_cost(key(kernel_family), cost); !kept.ok()) {
      log_warning("{}", kept.error().message);
    }
    return decide(std::string(kernel_family), cost);
  }
}

void KernelChoice::decide(const std::string& kernel_family, KernelCost cost) {
  decided_[kernel_family] = std::move(cost);
  const auto waiting = waiting_.extract(kernel_family);
  if (const std::string why = why_not_exact(kernel_family); !why.empty()) log_info("{}: {}", kernel_family, why);
  for (const NodeId& node : waiting.mapped().nodes) handlers_.on_ready(node);
}

ExactMode KernelChoice::mode_for(const std::string& kernel_family) const {
  return why_not_exact(kernel_family).empty() ? mode_ : ExactMode::kOff;
}

std::string KernelChoice::why_not_exact(const std::string& kernel_family) const {
  const auto found = decided_.find(kernel_family);
  if (mode_ != ExactMode::kAuto || found == decided_.end()) return {};
  const KernelCost& cost = found->second;
  if (!cost.measured || cost.cost < kAutoCostMax) return {};
  return fmt::format("exact kernels (without {}) would cost {:.0f} %; --exact on takes them", cost.left_out,
                     cost.cost * 100);
}

}  // namespace shoal::coordinator
