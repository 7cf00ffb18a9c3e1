#include "coordinator/coordinator.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "model/weight_types.h"
#include "net/join_link.h"
#include "sched/sampled.h"

namespace shoal::coordinator {
namespace {

constexpr Duration kWarmFor = std::chrono::seconds(2);
constexpr std::chrono::seconds kTokenLifetimeMax = std::chrono::hours(24 * 30);
constexpr std::size_t kLinkAddressesMax = 3;  // a join link must fit a QR code that a phone can read

// What of a step's way was spent where; what neither queues nor stages took was the links'.
sched::StepDone step_done(const wire::StepResult& result, Duration way) {
  sched::StepDone done{result.epoch, result.step};
  Duration queued{};
  Duration computed{};
  for (const auto& time : result.times) {
    const std::chrono::microseconds compute(time.compute_us);
    queued += std::chrono::microseconds(time.queue_us);
    computed += compute;
    done.slowest_stage = std::max(done.slowest_stage, compute);
    done.stages.push_back({time.stage, compute});
  }
  const auto links = static_cast<Duration::rep>(result.times.size() + 1);
  done.busy = std::max(way - queued, Duration(1));
  done.link = std::max((way - queued - computed) / links, Duration(1));
  return done;
}

// The candidates of a StepResult, each row with at least one and all of them in the vocabulary. kCorrupt: it has no
// candidate, another token, or counts and raw bytes that do not fit together.
Result<std::vector<model::Logits>> read_logits(const wire::StepResult& result, const Bytes& raw,
                                               std::uint32_t vocabulary_size) {
  std::vector<model::Logits> all;
  std::size_t at = 0;
  for (std::size_t i = 0; i < result.candidate_counts.size(); ++i) {
    std::size_t count = result.candidate_counts[i];
    if (count == 0) return Error{ErrorCode::kCorrupt, "the last stage sent no logits"};
    if (count > (raw.size() - at) / 8) return Error{ErrorCode::kCorrupt, "a step result is shorter than it says"};
    model::Logits logits;
    logits.log_sum_exp = result.log_sum_exps[i];
    logits.candidates.resize(count);
    for (std::size_t k = 0; k < count; ++k) {
      const auto token = load_le<Token>(&raw[at + 4 * k]);
      if (token < 0 || static_cast<std::uint32_t>(token) >= vocabulary_size) {
        return Error{ErrorCode::kCorrupt, "the last stage sent a token that the vocabulary does not have"};
      }
      logits.candidates[k] = {token, load_le<float>(&raw[at + 4 * (count + k)])};
    }
    at += 8 * count;
    all.push_back(std::move(logits));
  }
  if (at != raw.size()) return Error{ErrorCode::kCorrupt, "a step result is longer than it says"};
  return all;
}

Digest deciding(const ModelSource& model, const StageSettings& settings) {
  const std::string text = fmt::format("context {} kv {} exact {}", settings.context_tokens_max,
                                       static_cast<int>(settings.kv_type), static_cast<int>(settings.exact));
  return Sha256().update(model.digest().bytes).update(as_bytes(text)).finish();
}

}  // namespace

Result<std::unique_ptr<Coordinator>> Coordinator::create(boost::asio::io_context& io, const Clock& clock,
                                                         net::Transport& transport, Store& store, ModelSource& model,
                                                         CoordinatorOptions options) {
  auto& settings = options.limits.settings;
  if (std::uint32_t trained = model.manifest().context_length; trained > 0) {
    settings.context_tokens_max = std::min(settings.context_tokens_max, trained);
  }
  settings.context_tokens_max = std::min(settings.context_tokens_max, settings.kv_tokens_total);
  options.limits.draft_model = options.drafts != nullptr;
  std::unique_ptr<Coordinator> coordinator(new Coordinator(io, clock, transport, store, model, std::move(options)));
  SHOAL_RETURN_IF_ERROR(coordinator->cluster_.listen(coordinator->options_.cluster));
  coordinator->story_.started(coordinator->model_name(), coordinator->cluster_.members().size());
  return coordinator;
}

Coordinator::Coordinator(boost::asio::io_context& io, const Clock& clock, net::Transport& transport, Store& store,
                         ModelSource& model, CoordinatorOptions options)
    : clock_(clock),
      transport_(transport),
      store_(store),
      model_(model),
      options_(std::move(options)),
      decided_by_(deciding(model, options_.limits.settings)),
      event_log_(io, clock, store),
      story_(event_log_, clock),
      cluster_(transport, store, clock, options_.name,
               {[this](const NodeId& id, const wire::Hello& hello) {
                  cares_[id].joined(hello.limits);
                  story_.connected(id, hello.name, hello.memory_bytes_max, cluster_.find(id)->link->remote_address());
                  kernels_.join(id, hello.kernel_family);
                },
                [this](const NodeId& id, const Error& why) {
                  story_.lost(id, why);
                  kernels_.leave(id);
                  link_bench_.on_lost(id);
                  std::erase_if(fetches_, [&](const auto& fetch) { return fetch.second.node == id; });
                  feed(sched::NodeLost{id});
                },
                [this](const NodeId& id, wire::Frame frame) { on_frame(id, std::move(frame)); },
                [this](const Digest& sha256, std::uint64_t offset, std::uint32_t length) {
                  return model_.read_piece(sha256, offset, length);
                },
                [this](const NodeId& id, const std::string& name, const std::string& address) {
                  story_.paired(id, name, address);
                },
                [this](const NodeId& id, const Telemetry& told) { on_telemetry(id, told); }}),
      link_bench_(io, clock, cluster_),
      kernels_(io, store, options_.limits.settings.exact, model::weight_types(model.manifest()),
               {[this](const NodeId& id) { cluster_.send(id, wire::ProbeKernels{kernels_.types()}); },
                [this](const NodeId& id) { join(id); }}),
      scheduler_(model_shape(model.manifest(), options_.limits.settings), options_.limits),
      timer_(io),
      doze_timer_(io),
      started_(clock.now()) {}

Coordinator::~Coordinator() {
  *alive_ = false;
  stop();
  story_.stopped(answers_cut_short_);
}

void Coordinator::stop() {
  if (std::exchange(stopped_, true)) return;
  answers_cut_short_ = answers_.size();
  // Answers that are still running end with a word, never silently cut.
  for (auto& [request, answer] : std::exchange(answers_, {})) answer->end(FinishReason::kCancelled, 0, clock_.now());
}

// --- the scheduler's events and actions ---

void Coordinator::feed(sched::Event event) {
  events_.push_back(std::move(event));
  if (feeding_) return;
  feeding_ = true;
  while (!events_.empty()) {
    sched::Event next = std::move(events_.front());
    events_.pop_front();
    auto actions = scheduler_.on(next, clock_.now());
    if (EventStory::concerns(next, actions)) story_.scheduled(next, actions, scheduler_.snapshot());
    for (auto& action : actions) execute(std::move(action));
  }
  feeding_ = false;
}

void Coordinator::execute(sched::Action action) {
  if (auto* step = std::get_if<sched::SendStep>(&action)) {
    send_step(std::move(*step));
  } else if (auto* ask = std::get_if<sched::AskDrafts>(&action)) {
    options_.drafts->ask(std::move(*ask), [this, alive = alive_](sched::Drafted drafted) {
      if (*alive) feed(std::move(drafted));
    });
  } else if (auto* emitted = std::get_if<sched::Emit>(&action)) {
    emit(std::move(*emitted));
  } else if (const auto* timer = std::get_if<sched::SetTimer>(&action)) {
    set_timer(timer->at);
  } else if (const auto* plan = std::get_if<sched::PublishPlan>(&action)) {
    publish(*plan);
  } else if (const auto* load = std::get_if<sched::LoadStage>(&action)) {
    load_stage(*load);
  } else if (const auto* drop = std::get_if<sched::DropStage>(&action)) {
    drop_stage(*drop);
  } else if (const auto* fetch = std::get_if<sched::FetchShard>(&action)) {
    fetch_shard(*fetch);
  } else if (const auto* order = std::get_if<sched::Replay>(&action)) {
    replay(*order);
  } else if (const auto* dead = std::get_if<sched::WithdrawPlan>(&action)) {
    withdraw(*dead);
  } else if (const auto* moved = std::get_if<sched::SequenceMoved>(&action)) {
    log_info("answer {} goes on in pipeline {} instead of {}: {}", moved->request, moved->to + 1, moved->from + 1,
             moved->why);
  }
}

void Coordinator::send_step(sched::SendStep action) {
  wire::Step step;
  step.epoch = action.epoch;
  step.step = action.step;
  step.to_stage = action.stage;
  step.has_tokens = !action.rows.empty();
  step.frees = std::move(action.frees);
  step.forks = std::move(action.forks);
  step.truncations = std::move(action.truncations);
  step.ends_at = action.ends_at;
  step.rows.reserve(action.rows.size());
  last_step_ = clock_.now();
  std::uint64_t request = 0;  // of the row before
  for (const auto& row : action.rows) {
    step.rows.push_back({row.sequence, row.position, row.token, row.logits});
    if (std::exchange(request, row.request) == row.request) continue;
    if (auto answer = answers_.find(row.request); answer != answers_.end()) answer->second->admitted(last_step_);
  }
  steps_[action.step] = {action.epoch, std::move(action.rows), last_step_, action.ends_at};
  if (!links_warm_) doze_links();
  cluster_.send(action.node, step);
}

void Coordinator::replay(const sched::Replay& action) {
  steps_[action.step] = {action.epoch, {}, clock_.now(), action.ends_at};
  cluster_.send(action.node, wire::Replay{action.epoch, action.step, action.stage, action.ends_at, action.sequence,
                                          action.first, action.count});
}

// Control links of the plans' nodes are kept warm while steps flow, and may doze afterwards.
void Coordinator::doze_links() {
  bool warm = clock_.now() - last_step_ < kWarmFor;
  if (warm != links_warm_) {
    for (const auto& [lane, plan] : plans_) {
      for (const auto& stage : plan.stages) {
        if (const auto* member = cluster_.find(stage.node); member && member->link) member->link->set_warm(warm);
      }
    }
    links_warm_ = warm;
  }
  if (!warm) return;
  doze_timer_.expires_after(kWarmFor);
  doze_timer_.async_wait([this, alive = alive_](boost::system::error_code error) {
    if (!error && *alive) doze_links();
  });
}

void Coordinator::emit(sched::Emit action) {
  if (options_.drafts && action.kind != sched::EmitKind::kToken) options_.drafts->forget(action.request);
  if (action.request == submitting_ && action.kind == sched::EmitKind::kError) {
    submit_error_ = std::move(action.error);
    answers_.erase(action.request);
    return;
  }
  auto found = answers_.find(action.request);
  if (found == answers_.end()) return;  // cancelled by its client
  if (action.kind == sched::EmitKind::kToken) {
    ++tokens_generated_;
    token_rate_.add(clock_.now(), 1);
    auto answer = found->second;
    return answer->token_emitted(clock_.now());
  }
  // Taken out first: the sink may submit the next request from within its last call.
  auto answer = std::move(found->second);
  answers_.erase(found);
  if (action.kind == sched::EmitKind::kEnd) return answer->end(action.reason, action.cached_tokens, clock_.now());
  story_.sequence_failed(action.request, action.error);
  answer->fail(std::move(action.error));
}

void Coordinator::set_timer(std::optional<Time> at) {
  timer_.cancel();
  if (!at) return;
  timer_.expires_after(std::max(Duration::zero(), *at - clock_.now()));
  timer_.async_wait([this, alive = alive_](boost::system::error_code error) {
    if (!error && *alive) feed(sched::Timer{});
  });
}

// --- what nodes say ---

void Coordinator::join(const NodeId& node) {
  const auto* member = cluster_.find(node);
  if (member == nullptr || !member->hello) return;
  const wire::Hello& hello = *member->hello;
  feed(sched::NodeJoined{{node, hello.name, hello.memory_bytes_max, hello.kernel_family}, rests(node)});
  tell_share(node);
}

std::string Coordinator::kernel_family(const NodeId& node) const {
  const auto* member = cluster_.find(node);
  return member && member->hello ? member->hello->kernel_family : std::string();
}

Coordinator::StageRecord* Coordinator::own_stage(const NodeId& node, StageId stage) {
  auto found = stages_.find(stage);
  return found != stages_.end() && found->second.node == node ? &found->second : nullptr;
}

void Coordinator::on_frame(const NodeId& node, wire::Frame frame) {
  auto& message = frame.message;
  if (const auto* result = std::get_if<wire::StepResult>(&message)) {
    on_result(node, *result, frame.raw);
  } else if (const auto* failed = std::get_if<wire::StepFailed>(&message)) {
    tell_failed(node, *failed);
    feed(sched::StepFailed{failed->epoch, failed->step, failed->code, failed->message});
  } else if (const auto* ready = std::get_if<wire::StageReady>(&message)) {
    on_stage_ready(node, *ready);
  } else if (const auto* progress = std::get_if<wire::StageProgress>(&message)) {
    if (auto* record = own_stage(node, progress->stage)) {
      record->bytes_done = progress->bytes_done;
      record->bytes_total = progress->bytes_total;
      record->state = progress->loading ? StageState::kLoading : StageState::kFetching;
    }
  } else if (const auto* stage_failed = std::get_if<wire::StageFailed>(&message)) {
    auto* record = own_stage(node, stage_failed->stage);
    if (record == nullptr) return on_fetch_failed(node, *stage_failed);
    record->state = StageState::kFailed;
    record->error = stage_failed->message;
    story_.stage_failed(node, stage_failed->stage, record->range, stage_failed->message);
    feed(sched::StageFailed{stage_failed->stage, stage_failed->code, stage_failed->message});
  } else if (const auto* report = std::get_if<wire::LinkReport>(&message)) {
    if (own_stage(node, report->from_stage)) on_link_report(*report);
  } else if (const auto* fetched = std::get_if<wire::ShardFetched>(&message)) {
    on_fetched(node, fetched->stage);
  } else if (const auto* probed = std::get_if<wire::KernelsProbed>(&message)) {
    kernels_.answer(node, probed->cost);
  } else if (const auto* measured = std::get_if<wire::LinkMeasured>(&message)) {
    link_bench_.on_measured(node, *measured);
  } else if (const auto* answered = std::get_if<wire::LinkProbed>(&message)) {
    link_bench_.on_probed(node, *answered);
  }
}

// A Replay that the journal cannot serve ends no plan.
void Coordinator::tell_failed(const NodeId& node, const wire::StepFailed& failed) {
  const auto step = steps_.find(failed.step);
  if (step == steps_.end() || failed.epoch != step->second.epoch) return;
  const bool is_replay = step->second.rows.empty() && step->second.ends_at;
  if (is_replay && failed.code == ErrorCode::kNotFound) return story_.journal_too_short(node, failed.message);
  story_.step_failed(node, failed.message);
}

void Coordinator::on_result(const NodeId& node, const wire::StepResult& result, const Bytes& raw) {
  const auto under_way = steps_.find(result.step);
  const sched::PlannedPlan* plan = plan_of(result.epoch);
  if (plan == nullptr || under_way == steps_.end() || result.epoch != under_way->second.epoch) return;
  const StageId ends_at = under_way->second.ends_at;
  if (ends_at ? !own_stage(node, ends_at) : plan->stages.back().node != node) return;
  auto step = steps_.extract(under_way);
  if (ends_at) return feed(sched::StepDone{result.epoch, result.step});
  const std::vector<sched::Row>& rows = step.mapped().rows;
  const Time now = clock_.now();
  const Duration way = now - step.mapped().sent;
  count_step(result, way);
  adapt_activations(result, rows.size(), now);
  if (tracer_.recording()) trace_step(result, rows, step.mapped().sent, now);
  auto logits = read_logits(result, raw, model_.vocabulary().size());
  std::vector<std::size_t> index_of(rows.size());  // of a row's logits
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    index_of[i] = wanted;
    wanted += rows[i].logits != 0;
  }
  if (logits.ok() && logits->size() != wanted) {
    logits = Error{ErrorCode::kCorrupt, "the last stage answered for another number of rows"};
  }
  if (!logits.ok()) {
    story_.step_failed(node, logits.error().message);
    return feed(sched::StepFailed{result.epoch, result.step, logits.error().code, logits.error().message});
  }
  // The plan may die by it, when an older step is missing: then its rows are computed again, and nobody chooses now.
  feed(step_done(result, way));
  if (plan_of(result.epoch) == nullptr) return;
  const auto is_newest = [&](std::size_t i) {
    const auto answer = answers_.find(rows[i].request);  // none: cancelled while the step was on its way
    return answer != answers_.end() && answer->second->is_newest(rows[i].position, rows[i].token);
  };
  const auto choose = [&](std::size_t i) {
    const auto choice = answers_.at(rows[i].request)->choose((*logits)[index_of[i]]);
    return sched::ChosenToken{choice.token, choice.ends};
  };
  auto sampled = sched::sample_rows(result.epoch, result.step, rows, is_newest, choose);
  for (auto& tokens : sampled) feed(std::move(tokens));
}

void Coordinator::count_step(const wire::StepResult& result, Duration way) {
  ++step_totals_.steps;
  step_totals_.hops += result.times.size() + 1;
  step_totals_.way_us += static_cast<std::uint64_t>(way.count());
  for (const auto& time : result.times) {
    step_totals_.queue_us += time.queue_us;
    step_totals_.compute_us += time.compute_us;
  }
}

// --- the API's side ---

Result<CompletionHandle> Coordinator::submit(CompletionRequest request, std::shared_ptr<CompletionSink> sink) {
  if (stopped_) return Error{ErrorCode::kCancelled, "the coordinator is shutting down: ask again in a few seconds"};
  std::uint64_t id = ++last_request_;
  auto needed = request.sampling.logits_needed(request.logprobs.value_or(0));
  sched::SequenceArrived arrived{id, request.prompt, request.tokens_max, needed.value_or(wire::kAllLogits)};
  auto prompt_tokens = request.prompt.size();
  answers_[id] = std::make_shared<Answer>(model_.vocabulary(), std::move(request), std::move(sink), clock_.now());
  // From within a sink's call the event waits for its turn; an error then comes through the sink.
  submitting_ = feeding_ ? 0 : id;
  submit_error_.reset();
  feed(std::move(arrived));
  submitting_ = 0;
  if (submit_error_) return *std::exchange(submit_error_, std::nullopt);
  tokens_prompt_ += prompt_tokens;
  return CompletionHandle{id};
}

void Coordinator::cancel(CompletionHandle handle) {
  if (answers_.erase(handle.value) > 0) feed(sched::SequenceCancelled{handle.value});
}

Result<JoinTokenGrant> Coordinator::create_token(std::chrono::seconds lifetime) {
  if (lifetime < std::chrono::seconds(1) || lifetime > kTokenLifetimeMax) {
    return Error{ErrorCode::kInvalidArgument, "a join token lives between 1 second and 30 days"};
  }
  SHOAL_ASSIGN_OR_RETURN(Bytes secret, cluster_.create_secret(lifetime));
  net::JoinLink link{{}, transport_.identity().id(), std::move(secret)};
  net::Endpoint listening = cluster_.endpoint();
  if (listening.host == "0.0.0.0" || listening.host == "::") {
    for (auto& address : net::local_addresses()) {
      if (link.endpoints.size() < kLinkAddressesMax) link.endpoints.push_back({std::move(address), listening.port});
    }
  } else {
    link.endpoints.push_back(listening);
  }
  return JoinTokenGrant{link.text(), clock_.unix_seconds() + lifetime.count()};
}

Status Coordinator::pause_node(const NodeId& id, bool paused) {
  const auto* member = cluster_.find(id);
  const bool changes = member != nullptr && member->known.paused != paused;
  SHOAL_RETURN_IF_ERROR(cluster_.set_paused(id, paused));
  if (changes) story_.paused(id, node_name(id), paused);
  feed(sched::NodePaused{id, rests(id)});
  return {};
}

Status Coordinator::revoke_node(const NodeId& id) {
  story_.revoking(id, node_name(id));
  const Status revoked = cluster_.revoke(id);
  story_.revoked(id, revoked.ok());
  SHOAL_RETURN_IF_ERROR(revoked);
  held_.erase(id);
  cares_.erase(id);
  withdraw_plans_with(id);
  return {};
}

std::string Coordinator::node_name(const NodeId& node) const {
  const auto* member = cluster_.find(node);
  return member ? member->known.name : node.short_hex();
}

}  // namespace shoal::coordinator
