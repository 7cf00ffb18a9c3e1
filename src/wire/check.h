// The promises of messages.h, in code: the same checks for what arrives (an Error) and for what we send (an assertion).
// Internal to wire. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "wire/messages.h"

namespace shoal::wire {

// Collects the first broken promise of one message.
class Check {
 public:
  // With `texts` false texts pass: the encoder cleans them.
  explicit Check(std::string_view message_name, bool texts) : message_name_(message_name), texts_(texts) {}

  bool ok() const { return problem_.empty(); }
  // "Hello.name: 70 bytes, at most 64"
  const std::string& problem() const { return problem_; }

  void fail(std::string_view field, std::string_view what);
  void that(bool holds, std::string_view field, std::string_view what) {
    if (!holds) fail(field, what);
  }
  void text(std::string_view field, const std::string& value, std::size_t bytes_max);
  void at_most(std::string_view field, std::uint64_t value, std::uint64_t max);
  void range(std::string_view field, const LayerRange& range);
  void addresses(std::string_view field, const std::vector<std::string>& addresses);

 private:
  std::string_view message_name_;
  bool texts_;
  std::string problem_;
};

void check(const JoinRequest& message, Check& check);
void check(const JoinAccepted& message, Check& check);
void check(const Reject& message, Check& check);
void check(const Hello& message, Check& check);
void check(const Welcome& message, Check& check);
void check(const Telemetry& message, Check& check);
void check(const Plan& message, Check& check);
void check(const LoadStage& message, Check& check);
void check(const StageReady& message, Check& check);
void check(const StageFailed& message, Check& check);
void check(const LinkReport& message, Check& check);
void check(const Step& message, Check& check);
void check(const Replay& message, Check& check);
void check(const StepResult& message, Check& check);
void check(const StepFailed& message, Check& check);
void check(const FetchPiece& message, Check& check);
void check(const ProbeKernels& message, Check& check);
void check(const KernelsProbed& message, Check& check);
void check(const LinkMeasured& message, Check& check);
// Messages of numbers that mean something to their receiver only.
template <typename T>
void check(const T&, Check&) {}

}  // namespace shoal::wire
