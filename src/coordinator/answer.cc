#include "coordinator/answer.h"

#include <iterator>

namespace shoal::coordinator {
namespace {

void append(TextDelta& to, TextDelta from) {
  to.text += from.text;
  to.tokens += from.tokens;
  std::move(from.logprobs.begin(), from.logprobs.end(), std::back_inserter(to.logprobs));
}

double milliseconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1000;
}

}  // namespace

Answer::Answer(const model::Vocabulary& vocabulary, CompletionRequest request, std::shared_ptr<CompletionSink> sink,
               Time now)
    : vocabulary_(vocabulary),
      request_(std::move(request)),
      sink_(std::move(sink)),
      sampler_(request_.sampling),
      text_(vocabulary, request_.stop),
      newest_(request_.prompt.empty() ? 0 : request_.prompt.back()),
      submitted_(now),
      last_token_(now) {}

bool Answer::is_newest(std::uint32_t position, Token token) const {
  return position + std::size_t{1} == request_.prompt.size() + completion_tokens_ && token == newest_;
}

Answer::Choice Answer::choose(const model::Logits& logits) {
  std::size_t chosen = sampler_.sample(logits);
  std::optional<TokenLogprobs> logprobs;
  if (request_.logprobs) logprobs = TextStream::logprobs_of(vocabulary_, logits, chosen, *request_.logprobs);
  Token token = logits.candidates[chosen].token;
  auto update = text_.feed(token, std::move(logprobs));
  pending_.push_back(std::move(update.delta));
  ++completion_tokens_;
  newest_ = token;
  return Choice{token, update.ended};
}

void Answer::admitted(Time now) {
  if (!admitted_) admitted_ = now;
}

void Answer::token_emitted(Time now) {
  if (!first_token_) first_token_ = now;
  last_token_ = now;
  if (pending_.empty()) return;
  TextDelta delta = std::move(pending_.front());
  pending_.pop_front();
  sink_->on_tokens(std::move(delta));
}

void Answer::end(FinishReason reason, std::uint32_t cached_tokens, Time now) {
  if (!first_token_) first_token_ = now;
  last_token_ = now;
  TextDelta rest;  // of the token that ended it, and what was held back
  for (TextDelta& delta : std::exchange(pending_, {})) append(rest, std::move(delta));
  append(rest, text_.finish());
  if (!rest.text.empty() || rest.tokens > 0) sink_->on_tokens(std::move(rest));
  Usage usage{static_cast<std::uint32_t>(request_.prompt.size()), completion_tokens_, cached_tokens};
  sink_->on_end(reason, usage, timings());
}

Timings Answer::timings() const {
  Time admitted = admitted_.value_or(last_token_);
  Time first = first_token_.value_or(last_token_);
  return {milliseconds(admitted - submitted_), milliseconds(first - admitted), milliseconds(last_token_ - first)};
}

}  // namespace shoal::coordinator
