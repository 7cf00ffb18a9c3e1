#include "node/shard_fetcher.h"

#include <algorithm>

#include "base/log.h"

namespace shoal::node {
namespace {

constexpr Duration kDialMax = std::chrono::seconds(5);
constexpr Duration kChunkMax = std::chrono::seconds(20);
constexpr Duration kRoundPause = std::chrono::seconds(1);

}  // namespace

ShardFetcher::ShardFetcher(boost::asio::io_context& io, net::Transport& transport,
                           std::unique_ptr<model::ShardWriter> writer, std::vector<FetchSource> sources,
                           Handlers handlers)
    : io_(io),
      transport_(transport),
      writer_(std::move(writer)),
      sources_(std::move(sources)),
      handlers_(std::move(handlers)),
      timer_(io) {}

void ShardFetcher::start() {
  handlers_.on_progress(writer_->bytes_done(), writer_->layout().bytes());
  source_ = SIZE_MAX;
  next_source();
}

void ShardFetcher::cancel() {
  finished_ = true;
  timer_.cancel();
  if (link_) link_->close();
}

void ShardFetcher::tell_source() {
  if (source_bytes_ > 0) log_info("fetched {} from {}", format_size(source_bytes_), sources_[source_].name);
  source_bytes_ = 0;
}

void ShardFetcher::finish(Result<std::filesystem::path> result) {
  if (finished_) return;
  cancel();
  handlers_.on_done(std::move(result));
}

void ShardFetcher::next_source() {
  if (finished_) return;
  tell_source();
  if (writer_->complete()) return finish(writer_->path());
  ++source_;  // SIZE_MAX, before the first, becomes 0
  if (source_ >= sources_.size()) {
    if (++round_ > kRounds || sources_.empty()) {
      return finish(
          Error{ErrorCode::kUnavailable, fmt::format("{} pieces of the shard could not be fetched from any of {} "
                                                     "sources; the last trouble was: {}",
                                                     writer_->missing().size(), sources_.size(), last_trouble_)});
    }
    source_ = SIZE_MAX;
    timer_.expires_after(kRoundPause);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
      auto self = weak.lock();
      if (self && !error) self->next_source();
    });
    return;
  }
  wanted_ = writer_->missing();
  wanted_next_ = 0;
  offset_next_ = 0;
  absent_.clear();
  in_flight_.clear();
  dial(0);
}

void ShardFetcher::dial(std::size_t endpoint) {
  const FetchSource& source = sources_[source_];
  if (endpoint >= source.endpoints.size()) {
    if (endpoint == 0) last_trouble_ = source.name + " has no address";
    return next_source();
  }
  transport_.dial(source.endpoints[endpoint], source.node, kDialMax,
                  [weak = weak_from_this(), endpoint](Result<std::shared_ptr<net::Link>> link) {
                    auto self = weak.lock();
                    if (!self || self->finished_) return;
                    if (link.ok()) return self->on_link(std::move(*link));
                    self->last_trouble_ = link.error().message;
                    self->dial(endpoint + 1);
                  });
}

void ShardFetcher::on_link(std::shared_ptr<net::Link> link) {
  link_ = std::move(link);
  net::Link::Handlers handlers;
  handlers.on_frame = [weak = weak_from_this()](wire::Frame frame) {
    if (auto self = weak.lock(); self && !self->finished_) self->on_frame(std::move(frame));
  };
  handlers.on_closed = [weak = weak_from_this(), link = std::weak_ptr(link_)](const Error& error) {
    auto self = weak.lock();
    if (self && !self->finished_ && self->link_ == link.lock()) self->leave_source(error.message);
  };
  link_->start(std::move(handlers));
  link_->send(wire::FetchHello{});
  fill_window();
}

bool ShardFetcher::next_request(Request& request) {
  const auto& pieces = writer_->layout().pieces;
  while (wanted_next_ < wanted_.size()) {
    std::size_t piece = wanted_[wanted_next_];
    if (!absent_.contains(piece) && offset_next_ < pieces[piece].size_bytes) {
      request = {piece, offset_next_};
      offset_next_ += wire::kPieceChunkBytesMax;
      return true;
    }
    ++wanted_next_;
    offset_next_ = 0;
  }
  return false;
}

void ShardFetcher::fill_window() {
  Request request;
  while (in_flight_.size() < kRequestsInFlight && next_request(request)) {
    link_->send(
        wire::FetchPiece{writer_->layout().pieces[request.piece].sha256, request.offset, wire::kPieceChunkBytesMax});
    in_flight_.push_back(request);
  }
  if (in_flight_.empty())
    return leave_source(absent_.empty() ? "" : sources_[source_].name + " lacks some of the pieces");
  arm_deadline();
}

void ShardFetcher::on_frame(wire::Frame frame) {
  const auto* data = std::get_if<wire::PieceData>(&frame.message);
  if (data == nullptr || in_flight_.empty()) return leave_source("an answer that was not asked for");
  Request request = in_flight_.front();
  in_flight_.pop_front();
  const model::Piece& piece = writer_->layout().pieces[request.piece];
  if (data->sha256 != piece.sha256 || data->offset != request.offset)
    return leave_source("an answer to another question");
  if (!absent_.contains(request.piece)) {
    std::uint64_t expected = std::min<std::uint64_t>(wire::kPieceChunkBytesMax, piece.size_bytes - request.offset);
    if (!data->found || frame.raw.size() != expected) {
      absent_.insert(request.piece);
    } else if (auto status = writer_->append(request.piece, frame.raw); !status.ok()) {
      if (status.error().code != ErrorCode::kCorrupt) return finish(status.error());
      log_warning("{} sent a damaged piece: {}", sources_[source_].name, status.error().message);
      last_trouble_ = status.error().message;
      absent_.insert(request.piece);
    } else {
      source_bytes_ += expected;
      handlers_.on_progress(writer_->bytes_done(), writer_->layout().bytes());
    }
  }
  fill_window();
}

void ShardFetcher::leave_source(const std::string& why) {
  if (!why.empty()) {
    last_trouble_ = fmt::format("{}: {}", sources_[source_].name, why);
    log_debug("fetching moves on from {}", last_trouble_);
  }
  timer_.cancel();
  if (auto link = std::exchange(link_, nullptr)) link->close();
  next_source();
}

void ShardFetcher::arm_deadline() {
  timer_.expires_after(kChunkMax);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    auto self = weak.lock();
    if (self && !error && !self->finished_) self->leave_source("no bytes for 20 seconds");
  });
}

}  // namespace shoal::node
