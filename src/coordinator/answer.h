// One completion on its way: samples its tokens, turns them into text, times it. Owned by the io thread.
#pragma once

#include <deque>
#include <memory>

#include "coordinator/completions.h"
#include "coordinator/text_stream.h"
#include "model/sampler.h"

namespace shoal::coordinator {

class Answer {
 public:
  Answer(const model::Vocabulary& vocabulary, CompletionRequest request, std::shared_ptr<CompletionSink> sink,
         Time now);

  struct Choice {
    Token token = 0;
    bool ends = false;  // end of generation, or a stop string is complete
  };
  // Whether this is the newest token of prompt and answer.
  bool is_newest(std::uint32_t position, Token token) const;
  // Chooses the next token. Called once a position, in order: the sampler's random state moves on. `logits` has at
  // least one candidate, and all are in the vocabulary.
  Choice choose(const model::Logits& logits);

  void admitted(Time now);  // its first row was sent
  // The sink gets what this token adds, by itself also where several were chosen at once: so an answer is cut into
  // deltas the same way each time it is computed.
  void token_emitted(Time now);
  void end(FinishReason reason, std::uint32_t cached_tokens, Time now);  // cached: of the prompt, in the KV before
  void fail(Error error) { sink_->on_error(std::move(error)); }

  const CompletionRequest& request() const { return request_; }

 private:
  Timings timings() const;

  const model::Vocabulary& vocabulary_;
  CompletionRequest request_;
  std::shared_ptr<CompletionSink> sink_;
  model::Sampler sampler_;
  TextStream text_;
  std::deque<TextDelta> pending_;  // one a token that was chosen and not emitted yet
  std::uint32_t completion_tokens_ = 0;
  Token newest_ = 0;  // of prompt and answer
  Time submitted_;
  std::optional<Time> admitted_;
  std::optional<Time> first_token_;
  Time last_token_;
};

}  // namespace shoal::coordinator
