// What `--exact auto` means here: exact kernels where they cost under 10 %, else the fastest. Decided once for a model
// and a kernel family, and kept in the store: if each stage decided for itself, stages near the limit would decide
// differently, and a restart or a new plan could change the bits of an answer.
//
// Under auto a node is held back from the scheduler until its family is decided: the first nodes of a family are asked
// what the exact kernels cost (wire::ProbeKernels), the first answer decides. Without an answer in kAnswerMax the exact
// kernels are taken until the coordinator's next start, and nothing is kept. Under on and off nothing is asked.
// Owned by the io thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "base/clock.h"
#include "base/ids.h"
#include "base/stage_spec.h"
#include "coordinator/store.h"

namespace shoal::coordinator {

inline constexpr double kAutoCostMax = 0.10;

class KernelChoice {
 public:
  static constexpr Duration kAnswerMax = std::chrono::seconds(30);

  struct Handlers {
    std::function<void(const NodeId&)> ask;       // send the node ProbeKernels with types()
    std::function<void(const NodeId&)> on_ready;  // the node may be given work; once a join, maybe from inside join()
  };

  KernelChoice(boost::asio::io_context& io, Store& store, ExactMode mode, std::vector<WeightType> types,
               Handlers handlers);
  ~KernelChoice();

  const std::vector<WeightType>& types() const { return types_; }

  void join(const NodeId& node, const std::string& kernel_family);
  void leave(const NodeId& node);
  void answer(const NodeId& node, const KernelCost& cost);  // ignored when the node was not asked

  // What a stage on a node of this family is told.
  ExactMode mode_for(const std::string& kernel_family) const;
  // Why auto takes the fastest kernels on this family, for people; "" where it does not.
  std::string why_not_exact(const std::string& kernel_family) const;

 private:
  struct Waiting {
    std::set<NodeId> nodes;
    boost::asio::steady_timer deadline;
  };
  void decide(const std::string& kernel_family, KernelCost cost);
  std::string key(const std::string& kernel_family) const;

  boost::asio::io_context& io_;
  Store& store_;
  ExactMode mode_;
  std::vector<WeightType> types_;
  Handlers handlers_;
  std::map<std::string, KernelCost> decided_;  // by family
  std::map<std::string, Waiting> waiting_;     // by family
};

}  // namespace shoal::coordinator
