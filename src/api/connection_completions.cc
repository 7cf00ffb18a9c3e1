// A connection's completions: from a request's body to an answer, whole or as a stream of events.
#include <utility>

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include "api/connection.h"
#include "api/response.h"

// With sanitizers GCC 12 sees aligned_alloc() within asio's operator new of a coroutine, and not the free() that goes
// with it.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace shoal::api {

// What the helper thread makes of a body.
struct Preparation {
  bool done = false;
  bool stream = false;
  bool include_usage = false;
  bool names_seed = false;
  Digest request;
  ApiResult<coordinator::CompletionRequest> result = ApiError{};
};

namespace {

namespace asio = boost::asio;

constexpr Duration kForGood = std::chrono::hours(1);  // somebody will wake us

const ApiError kAskedAgain{409,
                           "this request was asked again with the same Idempotency-Key: the answer goes on there",
                           "invalid_request_error",
                           "",
                           "asked_again",
                           0};
const ApiError kAnswerDiffers{
    409,
    "the answer came out another way than the one whose rest was asked for, as it can where answers are not exact: ask "
    "without Last-Event-ID for all of it",
    "invalid_request_error",
    "Last-Event-ID",
    "answer_differs",
    0};

std::string stream_head(const HttpRequest& request) {
  return head_of(200) + "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n" +
         (request.http_1_0     ? "Connection: close\r\n\r\n"
          : request.keep_alive ? "Transfer-Encoding: chunked\r\n\r\n"
                               : "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
}

// A part of a stream's body; "" stays "" (an empty chunk would end the stream). HTTP/1.0 knows no chunks.
std::string framed(const HttpRequest& request, const std::string& part) {
  if (part.empty() || request.http_1_0) return part;
  return fmt::format("{:x}\r\n{}\r\n", part.size(), part);
}

void prepare(RequestKind kind, const std::string& body, const model::Vocabulary& vocabulary,
             const std::string& model_name, std::uint32_t context_tokens_max, std::uint64_t seed, Preparation& into) {
  ApiResult<ApiRequest> parsed = parse_request(kind, body);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) {
    into.result = std::move(*error);
    return;
  }
  const ApiRequest& request = std::get<ApiRequest>(parsed);
  into.stream = request.stream;
  into.include_usage = request.include_usage;
  into.names_seed = request.seed.has_value();
  into.request = request_digest(kind, body);
  into.result = prepare_request(request, vocabulary, model_name, context_tokens_max, seed);
}

// The error that a result stands for, if it is one.
std::optional<ApiError> error_of(const std::variant<Mailbox::End, Error>& result) {
  if (const Error* error = std::get_if<Error>(&result)) return to_api_error(*error);
  if (std::get<Mailbox::End>(result).reason != coordinator::FinishReason::kCancelled) return std::nullopt;
  return shutting_down();
}

}  // namespace

// Kept before it is computed, and with the seed that was kept first: what a client hears of its answer can be computed
// again from then on.
std::optional<ApiError> Connection::keep(const Repeat& repeat, Preparation& preparation,
                                         coordinator::KeyedRequest& request) {
  request.request = preparation.request;
  if (repeat.key.empty()) return std::nullopt;
  request.decided_by = context_->service.decided_by();
  const Result<coordinator::KeyedRequest> kept = context_->service.claim_key(repeat.key, request);
  if (!kept.ok()) {
    return ApiError{503, kept.error().message, "service_unavailable_error", "Idempotency-Key", "key_not_kept", 5};
  }
  if (std::optional<ApiError> refused = check_repeat(repeat, *kept, request)) return refused;
  request = *kept;
  auto& wanted = std::get<coordinator::CompletionRequest>(preparation.result);
  if (!preparation.names_seed) wanted.sampling.seed = request.seed;
  // Who asks again has given the earlier connection up, even if it has not been seen to break yet.
  Connection*& runs = context_->keyed[repeat.key];
  if (runs != nullptr && runs != this) runs->give_way();
  runs = this;
  key_ = repeat.key;
  return std::nullopt;
}

void Connection::give_way() {
  gave_way_ = true;
  cancel_work();
  wake();
}

void Connection::forget_key() {
  const auto runs = context_->keyed.find(std::exchange(key_, ""));
  if (runs != context_->keyed.end() && runs->second == this) context_->keyed.erase(runs);
}

std::optional<ApiError> Connection::submit(const HttpRequest& http, Preparation& preparation, Repeat& repeat,
                                           coordinator::KeyedRequest& request, std::shared_ptr<Mailbox>& mailbox) {
  ApiResult<Repeat> asked = parse_repeat(http.idempotency_key, http.last_event_id);
  if (ApiError* error = std::get_if<ApiError>(&asked)) return std::move(*error);
  if (ApiError* error = std::get_if<ApiError>(&preparation.result)) return std::move(*error);
  repeat = std::get<Repeat>(std::move(asked));
  if (repeat.after && !preparation.stream) {
    return ApiError{400, "Last-Event-ID needs stream to be true", "invalid_request_error", "Last-Event-ID",
                    "invalid_last_event_id"};
  }
  if (std::optional<ApiError> refused = keep(repeat, preparation, request)) return refused;
  mailbox = std::make_shared<Mailbox>(context_->config.pending_bytes_max,
                                      [weak = weak_from_this(), executor = socket_.get_executor()](bool overflowed) {
                                        const auto self = weak.lock();
                                        if (!self) return;
                                        self->wake();
                                        if (overflowed) asio::post(executor, [self] { self->stop(); });
                                      });
  Result<coordinator::CompletionHandle> handle =
      context_->service.submit(std::get<coordinator::CompletionRequest>(std::move(preparation.result)), mailbox);
  if (!handle.ok()) return to_api_error(handle.error());
  running_ = *handle;
  return std::nullopt;
}

asio::awaitable<bool> Connection::complete(HttpRequest request, RequestKind kind) {
  start_watching();
  gave_way_ = false;
  coordinator::CompletionService& service = context_->service;
  coordinator::KeyedRequest kept;
  kept.seed = context_->config.random();
  const auto preparation = std::make_shared<Preparation>();
  asio::post(context_->helper,
             [weak = weak_from_this(), executor = socket_.get_executor(), preparation, kind, seed = kept.seed,
              body = std::move(request.body), &vocabulary = service.vocabulary(), name = service.model_name(),
              context_tokens_max = service.context_tokens_max()]() mutable {
               prepare(kind, body, vocabulary, name, context_tokens_max, seed, *preparation);
               asio::post(executor, [weak, preparation] {
                 preparation->done = true;
                 if (const auto self = weak.lock()) self->wake();
               });
             });
  while (!preparation->done && !stopped_) co_await wait_for_wake(kForGood);
  if (stopped_) co_return false;

  kept.id = context_->config.random();
  kept.created_unix_seconds = context_->clock.unix_seconds();
  std::shared_ptr<Mailbox> mailbox;
  Repeat repeat;
  const std::optional<ApiError> refused = submit(request, *preparation, repeat, kept, mailbox);
  bool alive = false;
  if (refused) {
    alive = co_await respond(to_response(*refused), request.keep_alive);
  } else {
    auto writer = std::make_unique<CompletionWriter>(kind, fmt::format("{:016x}", kept.id), kept.created_unix_seconds,
                                                     service.model_name(), preparation->include_usage);
    alive = preparation->stream
                ? co_await stream(std::move(request), std::move(writer), std::move(mailbox), EventNumbers(repeat))
                : co_await gather(std::move(request), std::move(writer), std::move(mailbox));
  }
  forget_key();
  co_await stop_watching();
  co_return alive && !stopped_;
}

asio::awaitable<bool> Connection::stream(HttpRequest request, std::unique_ptr<CompletionWriter> writer,
                                         std::shared_ptr<Mailbox> mailbox, EventNumbers numbers) {
  bool begun = false;
  for (;;) {
    woken_ = false;  // all that woke us so far is looked at now
    if (!mailbox->has_events() && !gave_way_ && !stopped_) co_await wait_for_wake(context_->config.heartbeat);
    if (stopped_) co_return false;
    const std::vector<coordinator::TextDelta> deltas = mailbox->take_deltas();
    const auto& result = mailbox->result();
    if (result) running_.reset();
    std::optional<ApiError> error = gave_way_ ? kAskedAgain : result ? error_of(*result) : std::nullopt;
    if (error && !begun && deltas.empty()) {  // nothing was said yet: an honest status can be
      const bool told = co_await respond(to_response(*error), request.keep_alive);
      co_return told;
    }

    const std::string first = begun ? "" : numbers.next(writer->begin_event());
    std::string events;
    for (const coordinator::TextDelta& delta : deltas) events += numbers.next(writer->delta_event(delta));
    if (numbers.differs() || (result && !error && numbers.skipping())) {
      error = kAnswerDiffers;
      cancel_work();
    }
    const bool ended = result || error;
    if (error) {
      events += CompletionWriter::error_event(*error);
    } else if (result) {
      const auto& end = std::get<Mailbox::End>(*result);
      events += writer->end_event(end.reason, end.usage, end.timings);
    } else if (events.empty() && (deltas.empty() || numbers.skipping())) {
      // A line of its own, and no event: some clients take the empty line behind a comment for an event.
      events = ": waiting\n";
    }  // else the text is held back
    std::string bytes;
    if (!begun) bytes = stream_head(request) + framed(request, first);
    begun = true;
    bytes += framed(request, events);
    if (ended && !request.http_1_0) bytes += "0\r\n\r\n";
    const bool arrived = co_await write(std::move(bytes));
    if (!arrived) {
      stop();
      co_return false;
    }
    if (ended) co_return !request.http_1_0;  // there only the end of the connection ends a stream
  }
}

asio::awaitable<bool> Connection::gather(HttpRequest request, std::unique_ptr<CompletionWriter> writer,
                                         std::shared_ptr<Mailbox> mailbox) {
  while (!mailbox->result() && !gave_way_) {
    co_await wait_for_wake(kForGood);
    if (stopped_) co_return false;
    for (coordinator::TextDelta& delta : mailbox->take_deltas()) writer->add(std::move(delta));
  }
  running_.reset();
  for (coordinator::TextDelta& delta : mailbox->take_deltas()) writer->add(std::move(delta));
  HttpResponse response;
  const std::optional<ApiError> error = gave_way_ ? kAskedAgain : error_of(*mailbox->result());
  if (error) {
    response = to_response(*error);
  } else {
    const auto& end = std::get<Mailbox::End>(*mailbox->result());
    response.body = writer->whole(end.reason, end.usage, end.timings);
  }
  const bool told = co_await respond(std::move(response), request.keep_alive);
  co_return told;
}

}  // namespace shoal::api
