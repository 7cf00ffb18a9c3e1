// Where a completion's events wait for the connection that writes them. On the io thread.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/completions.h"

namespace shoal::api {

class Mailbox final : public coordinator::CompletionSink {
 public:
  struct End {
    coordinator::FinishReason reason = coordinator::FinishReason::kStop;
    coordinator::Usage usage;
    coordinator::Timings timings;
  };

  // `wake` is called after each event; it must not call the coordinator. Beyond `pending_bytes_max` of deltas that
  // nobody took, further ones are dropped and `overflowed` is true: the connection must cancel.
  Mailbox(std::size_t pending_bytes_max, std::function<void(bool overflowed)> wake)
      : pending_bytes_max_(pending_bytes_max), wake_(std::move(wake)) {}

  void on_tokens(coordinator::TextDelta delta) override {
    pending_bytes_ += bytes_of(delta);
    if (pending_bytes_ > pending_bytes_max_) {
      overflowed_ = true;
    } else {
      deltas_.push_back(std::move(delta));
    }
    wake_(overflowed_);
  }
  void on_end(coordinator::FinishReason reason, coordinator::Usage usage, coordinator::Timings timings) override {
    result_ = End{reason, usage, timings};
    wake_(overflowed_);
  }
  void on_error(Error error) override {
    result_ = std::move(error);
    wake_(overflowed_);
  }

  bool has_events() const { return result_ || !deltas_.empty(); }
  std::vector<coordinator::TextDelta> take_deltas() {
    pending_bytes_ = 0;
    return std::exchange(deltas_, {});
  }
  // The last event, once it is there.
  const std::optional<std::variant<End, Error>>& result() const { return result_; }

 private:
  // Roughly what an event becomes as JSON.
  static std::size_t bytes_of(const coordinator::TextDelta& delta) {
    std::size_t bytes = 200 + delta.text.size();
    for (const coordinator::TokenLogprobs& token : delta.logprobs) bytes += 100 * (1 + token.best.size());
    return bytes;
  }

  std::size_t pending_bytes_max_;
  std::function<void(bool overflowed)> wake_;
  std::size_t pending_bytes_ = 0;
  bool overflowed_ = false;
  std::vector<coordinator::TextDelta> deltas_;
  std::optional<std::variant<End, Error>> result_;
};

}  // namespace shoal::api
