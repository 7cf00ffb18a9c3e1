// What the HTTP API asks of the coordinator: completions as streams of text, and facts about the model and the shoal.
//
// Everything here is called, and calls back, on the coordinator's io thread. The coordinator owns sampling,
// detokenising (text_stream.h) and stop strings; the API owns JSON, HTTP and chat templates.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/stage_spec.h"
#include "coordinator/event.h"
#include "coordinator/keyed_request.h"
#include "coordinator/net_bench.h"
#include "coordinator/status.h"
#include "coordinator/trace.h"
#include "model/sampler.h"
#include "model/vocabulary.h"
#include "sched/scheduler.h"

namespace shoal::coordinator {

inline constexpr std::uint32_t kLogprobsMax = 20;  // OpenAI's limit of top_logprobs
inline constexpr std::size_t kStopStringsMax = 4;  // OpenAI's limit

struct CompletionRequest {
  std::vector<Token> prompt;              // 1 .. context_tokens_max() - 1 tokens, each below vocabulary().size()
  model::SamplingParameters sampling;     // check() holds
  std::uint32_t tokens_max = 0;           // 1 .. context_tokens_max() - prompt.size()
  std::vector<std::string> stop;          // not empty strings; valid UTF-8
  std::optional<std::uint32_t> logprobs;  // nullopt: none; else the chosen token's and those of so many best (0 .. 20)
  std::string user;                       // the client's own word for who asks; for logs and usage; may be empty
};

struct TokenLogprob {
  Token token = 0;
  std::string bytes;  // the token's piece; may be part of a UTF-8 character; a control token's is empty
  double logprob = 0;
};

struct TokenLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> best;  // descending; as many as asked for
};

struct TextDelta {
  std::string text;                     // valid UTF-8; may be empty while text is held back
  std::uint32_t tokens = 0;             // generated tokens since the last delta, the end-of-generation token included
  std::vector<TokenLogprobs> logprobs;  // when asked for: of the tokens whose text this delta completes
};

using FinishReason = sched::FinishReason;

struct Usage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;  // generated, the end-of-generation token included
  std::uint32_t cached_tokens = 0;      // of the prompt: not computed because KV was there
};

struct Timings {
  double queued_ms = 0;  // from submit to admission to a pipeline
  double prompt_ms = 0;  // from admission to the first token
  double answer_ms = 0;  // from the first token to the last
};

// Receives one completion. Calls come in order: on_tokens any number of times, then exactly one of on_end and on_error,
// then nothing. Never called from inside submit(), and never again once cancel() was called.
class CompletionSink {
 public:
  virtual ~CompletionSink() = default;
  virtual void on_tokens(TextDelta delta) = 0;
  // kCancelled: the coordinator itself ended it (it is shutting down).
  virtual void on_end(FinishReason reason, Usage usage, Timings timings) = 0;
  // kUnavailable: no feasible plan (the message says which memory is missing); anything else is our failure.
  virtual void on_error(Error error) = 0;
};

using CompletionHandle = Id<struct CompletionTag>;

struct JoinTokenGrant {
  std::string link;  // shoal://... (net/join_link.h), single use
  std::int64_t expires_unix_seconds = 0;
};

class CompletionService {
 public:
  virtual ~CompletionService() = default;

  virtual const model::Vocabulary& vocabulary() const = 0;
  virtual std::string model_name() const = 0;  // the id in /v1/models
  virtual std::int64_t model_created_unix_seconds() const = 0;
  virtual std::uint32_t context_tokens_max() const = 0;  // prompt and answer together

  // Stands for what decides an answer besides the request: the model's bytes, the context, the KV's type and whether
  // exact kernels are asked for.
  virtual Digest decided_by() const = 0;
  // The request that was kept under this idempotency key, or, kept durably from now on, `fresh`. The caller compares
  // them. An error: it could not be kept.
  virtual Result<KeyedRequest> claim_key(const std::string& key, const KeyedRequest& fresh) = 0;

  // The sink is shared until its last call. kResourceExhausted: the queue is full, try later. kUnavailable: no plan is
  // possible now and none is being made. kInvalidArgument: breaks a limit stated at CompletionRequest.
  virtual Result<CompletionHandle> submit(CompletionRequest request, std::shared_ptr<CompletionSink> sink) = 0;
  // Frees the sequence at once. A handle that has ended is ignored.
  virtual void cancel(CompletionHandle handle) = 0;

  virtual ClusterStatus status() const = 0;
  // Records steps from now on, until stop_trace(). kAlreadyExists: somebody's trace is being recorded.
  virtual Status start_trace() = 0;
  virtual Trace stop_trace() = 0;  // an empty one if none is being recorded
  // Measures every link of the shoal, one after another, up to 8 s each (link_bench.h); `done` is called once, unless
  // cancelled. kAlreadyExists: links are being measured.
  virtual Status start_net_bench(std::function<void(NetBench)> done) = 0;
  virtual void cancel_net_bench() = 0;  // only by who started it
  // What happened to the shoal (event.h).
  virtual Result<EventPage> events(const EventQuery& query) = 0;
  virtual EventWatch watch_events(std::function<void()> on_event) = 0;
  // A single-use join token. kInvalidArgument: a lifetime outside 1 s .. 30 days.
  virtual Result<JoinTokenGrant> create_token(std::chrono::seconds lifetime) = 0;
  // Forgets a paired node's key and cuts its links at once; what it computed others compute again. kNotFound: no such
  // node is paired.
  virtual Status revoke_node(const NodeId& id) = 0;
  // A paused node hosts nothing, until it is resumed: its stage moves away first. Durable. kNotFound: as above.
  virtual Status pause_node(const NodeId& id, bool paused) = 0;
};

}  // namespace shoal::coordinator
