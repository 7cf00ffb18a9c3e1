#include "net/piece_server.h"

#include <algorithm>

#include "base/log.h"

namespace shoal::net {

void serve_pieces(std::shared_ptr<Link> link, ReadPiece read, std::function<void()> done) {
  // The link keeps its handlers, so they hold it weakly; the caller's `done` says when to let go of it.
  std::weak_ptr<Link> weak = link;
  Link::Handlers handlers;
  handlers.on_frame = [weak, read = std::move(read)](wire::Frame frame) {
    auto alive = weak.lock();
    if (!alive) return;
    const auto* wanted = std::get_if<wire::FetchPiece>(&frame.message);
    if (wanted == nullptr || wanted->length_max == 0) {
      alive->reject({ErrorCode::kInvalidArgument, "only pieces can be asked for on a fetch link"});
      return;
    }
    auto bytes = read(wanted->sha256, wanted->offset, std::min(wanted->length_max, wire::kPieceChunkBytesMax));
    wire::PieceData answer{wanted->sha256, wanted->offset, bytes.ok()};
    if (!bytes.ok()) {
      log_debug("piece {} not served: {}", wanted->sha256.short_hex(), bytes.error().message);
      alive->send(answer);
      return;
    }
    alive->send(answer, std::make_shared<const Bytes>(std::move(*bytes)));
  };
  handlers.on_closed = [done = std::move(done)](const Error&) {
    if (done) done();
  };
  link->start(std::move(handlers));
}

}  // namespace shoal::net
