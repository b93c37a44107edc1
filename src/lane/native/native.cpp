#include "lane/native/native.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <limits>

#include "base/utf8.h"
#include "engine/memory.h"
#include "gguf/gguf.h"
#include "lane/native/answer_assembler.h"
#include "lane/native/constraint.h"
#include "lane/native/embedding.h"
#include "lane/native/prompt.h"
#include "lane/native/token_answers.h"
#include "lane/options.h"
#include "model/encoder_config.h"
#include "model/model.h"

namespace trilane::lane {
namespace {

/// A token of the answer, spelled as its text spells it: control tokens are empty there.
job::TokenLogprob chosen_token(const token::Tokenizer& tokenizer, token::Id id, float logprob) {
    return {id, tokenizer.bytes_of(id, false), logprob};
}

job::LogprobEntry logprob_entry(const token::Tokenizer& tokenizer, const engine::Sampled& sampled) {
    job::LogprobEntry entry;
    entry.chosen = chosen_token(tokenizer, sampled.id, sampled.logprob.value_or(0.0F));
    for (const auto& [id, logprob] : sampled.top) {
        entry.top.push_back({id, tokenizer.bytes_of(id, true), logprob});
    }
    return entry;
}

/// Counters of the lane, read by snapshots from any thread.
struct Counters {
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> cancelled{0};
    std::atomic<std::uint64_t> failed{0};
};

/// One job's choices on their way through the engine. Lives as long as any of its listeners; all
/// calls come from the engine's thread.
class Run {
public:
    Run(job::Request request, job::EventSink sink,
        std::shared_ptr<const token::Tokenizer> tokenizer, std::shared_ptr<const AnswerForm> form,
        Prompt prompt, std::shared_ptr<Counters> counters)
        : request_(std::move(request)),
          sink_(std::move(sink)),
          tokenizer_(std::move(tokenizer)),
          form_(std::move(form)),
          prompt_(std::move(prompt)),
          counters_(std::move(counters)),
          left_(request_.choices) {}

    [[nodiscard]] const job::Request& request() const { return request_; }
    [[nodiscard]] const std::vector<token::Id>& prompt() const { return prompt_.ids; }
    [[nodiscard]] const std::shared_ptr<const token::Tokenizer>& tokenizer() const {
        return tokenizer_;
    }

    /// What reads one choice of the answer.
    [[nodiscard]] AnswerAssembler assembler() const {
        const auto* chat = std::get_if<job::Chat>(&request_.ask);
        const bool calls = chat != nullptr && !chat->tools.empty() &&
                           chat->tool_choice.kind != job::ToolChoice::Kind::none;
        const bool thinks = chat != nullptr && (form_->style.thinks || prompt_.in_thought);
        if (!calls && !thinks) {
            return {tokenizer_, request_.stop};
        }
        reply::ReaderOptions options;
        if (calls) {
            options.tools = chat->tools;
        }
        options.in_thought = prompt_.in_thought;
        options.thoughts_may_follow = !prompt_.thoughts_are_over;
        options.only_one_call =
            !chat->parallel_tool_calls || chat->tool_choice.kind == job::ToolChoice::Kind::named;
        return {tokenizer_, request_.stop, reply::ReplyReader(form_->style, std::move(options)),
                &form_->markers};
    }

    void started(std::uint32_t choice, std::uint32_t cached_tokens) {
        // The first choice reads the prompt; the others find it in the cache, which is no news to
        // the client.
        if (!begun_) {
            begun_ = true;
            first_choice_ = choice;
            cached_tokens_ = cached_tokens;
            sink_(job::Started{static_cast<std::uint32_t>(prompt_.ids.size())});
        }
    }

    void text(std::uint32_t choice, job::Text text) {
        if (!text.text.empty() || !text.logprobs.empty()) {
            text.choice = choice;
            sink_(std::move(text));
        }
    }

    void say(std::uint32_t choice, std::vector<reply::Piece> pieces) {
        for (reply::Piece& piece : pieces) {
            if (auto* call = std::get_if<job::ToolCallPiece>(&piece)) {
                call->choice = choice;
                sink_(std::move(*call));
            } else {
                text(choice, std::move(std::get<job::Text>(piece)));
            }
        }
    }

    void ended(std::uint32_t choice, const engine::Ending& ending, const AnswerAssembler& said) {
        completion_tokens_ += ending.timings.predicted_tokens;
        merge(choice, ending.timings);
        if (ending.error.has_value()) {
            failure_ = failure_.has_value() ? failure_ : ending.error;
        } else {
            const bool called = ending.reason == job::FinishReason::stop && said.has_called();
            sink_(job::ChoiceEnd{choice, called ? job::FinishReason::tool_calls : ending.reason,
                                 said.stop_text()});
        }
        if (--left_ == 0) {
            finish();
        }
    }

private:
    /// Choices run side by side: their times overlap, their tokens add up. What was waited for and
    /// read is the first one's; the others found the prompt in the cache.
    void merge(std::uint32_t choice, const job::Timings& timings) {
        if (choice == first_choice_) {
            timings_.queue_ms = timings.queue_ms;
            timings_.prompt_tokens = timings.prompt_tokens;
            timings_.prompt_ms = timings.prompt_ms;
        }
        timings_.predicted_tokens += timings.predicted_tokens;
        timings_.predicted_ms = std::max(timings_.predicted_ms, timings.predicted_ms);
    }

    void finish() {
        if (failure_.has_value()) {
            auto& counter =
                failure_->fault == Fault::cancelled ? counters_->cancelled : counters_->failed;
            counter.fetch_add(1, std::memory_order_relaxed);
            sink_(job::Failed{*failure_});
            return;
        }
        const job::Usage usage{static_cast<std::uint32_t>(prompt_.ids.size()), cached_tokens_,
                               completion_tokens_};
        sink_(job::Done{usage, timings_});
    }

    job::Request request_;
    job::EventSink sink_;
    std::shared_ptr<const token::Tokenizer> tokenizer_;
    std::shared_ptr<const AnswerForm> form_;
    Prompt prompt_;
    std::shared_ptr<Counters> counters_;
    std::uint32_t left_;
    bool begun_ = false;
    std::uint32_t first_choice_ = 0;
    std::uint32_t cached_tokens_ = 0;
    std::uint32_t completion_tokens_ = 0;
    job::Timings timings_;
    std::optional<Error> failure_;
};

/// Hears of one choice.
class Choice final : public engine::Listener {
public:
    Choice(std::shared_ptr<Run> run, std::uint32_t index)
        : run_(std::move(run)), index_(index), said_(run_->assembler()) {
        const auto* completion = std::get_if<job::Completion>(&run_->request().ask);
        echo_ = completion != nullptr && completion->echo;
    }

    void on_start(std::uint32_t cached_tokens) override {
        run_->started(index_, cached_tokens);
        if (!echo_) {
            return;
        }
        if (run_->request().top_logprobs.has_value()) {
            // Nothing predicts the first token; it has no log-probability.
            echoed_.push_back({chosen_token(*run_->tokenizer(), run_->prompt()[0],
                                            std::numeric_limits<float>::quiet_NaN()),
                               {}});
        }
        echo_when_complete();
    }

    void on_prompt_token(std::uint32_t /*i*/, const engine::Sampled& token) override {
        echoed_.push_back(logprob_entry(*run_->tokenizer(), token));
        echo_when_complete();
    }

    bool on_token(const engine::Sampled& token) override {
        auto entry = token.logprob.has_value()
                         ? std::optional(logprob_entry(*run_->tokenizer(), token))
                         : std::nullopt;
        run_->say(index_, said_.push(token.id, std::move(entry)));
        return !said_.has_ended();
    }

    void on_end(const engine::Ending& ending) override {
        if (!ending.error.has_value()) {
            run_->say(index_, said_.flush());
        }
        run_->ended(index_, ending, said_);
    }

private:
    /// Sends the prompt once all the log-probabilities that go with it are there.
    void echo_when_complete() {
        const bool bare = !run_->request().top_logprobs.has_value();
        if (bare || echoed_.size() == run_->prompt().size()) {
            const std::string text = run_->tokenizer()->decode(run_->prompt(), false);
            run_->text(
                index_,
                {.choice = index_, .text = utf8_repaired(text), .logprobs = std::move(echoed_)});
        }
    }

    std::shared_ptr<Run> run_;
    std::uint32_t index_;
    AnswerAssembler said_;
    bool echo_ = false;
    std::vector<job::LogprobEntry> echoed_;
};

std::uint64_t parameters(const gguf::File& file) {
    std::uint64_t sum = 0;
    for (const gguf::Tensor& tensor : file.tensors()) {
        sum += tensor.weights();
    }
    return sum;
}

std::uint64_t weight_bytes(const gguf::File& file) {
    std::uint64_t sum = 0;
    for (const gguf::Tensor& tensor : file.tensors()) {
        sum += tensor.bytes;
    }
    return sum;
}

job::ModelCard make_card(const engine::Engine& engine, const PromptWriter& prompts,
                         const NativeOptions& options) {
    const gguf::File& file = engine.file();
    job::ModelCard card;
    card.id = options.model_id.empty() ? std::filesystem::path(options.model_path).stem().string()
                                       : options.model_id;
    card.name = file.string("general.name").value_or(card.id);
    card.architecture = engine.model().config().architecture;
    card.abilities.chat = prompts.has_template();
    card.abilities.complete = true;
    card.abilities.insert = prompts.fills_in();
    card.abilities.tools = prompts.has_template();  // templates without get them in words
    card.abilities.thinking = prompts.has_template() && prompts.style().thinks;
    card.abilities.embed = decoder_embeds(file, card.architecture);
    card.parameters = parameters(file);
    card.bytes = weight_bytes(file);
    card.context_tokens = engine.options().context_tokens;
    card.vocab_tokens = engine.model().config().vocab;
    card.licence = file.string("general.license").value_or("");
    struct stat facts {};
    if (::stat(options.model_path.c_str(), &facts) == 0) {
        card.created_unix_s = facts.st_mtime;
    }
    return card;
}

/// A model in this process.
class NativeResident final : public Resident {
public:
    NativeResident(std::unique_ptr<engine::Engine> engine, const NativeOptions& options)
        : engine_(std::move(engine)),
          prompts_(engine_->file(), engine_->tokenizer(), engine_->options().context_tokens),
          form_(std::make_shared<AnswerForm>(
              AnswerForm{prompts_.style(), marker_ids(*engine_->tokenizer(), prompts_.style()),
                         prompts_.traits().shows_calls && !prompts_.traits().one_call_each})),
          constraints_(form_, engine_->tokenizer()),
          card_(make_card(*engine_, prompts_, options)),
          counters_(std::make_shared<Counters>()),
          embeddings_(card_.id, [this] { return engine::Embedder::beside(*engine_); }) {
        if (options.memory != nullptr) {
            memory_ = options.memory->watch([this] {
                engine::InMemory held = engine_->in_memory();
                held.own_bytes += embeddings_.in_memory().own_bytes;
                return observed_of(held);
            });
        }
    }
    ~NativeResident() override {
        if (memory_ != nullptr) {
            memory_->end();  // it looks at what goes now
        }
    }
    NativeResident(const NativeResident&) = delete;
    NativeResident& operator=(const NativeResident&) = delete;

    [[nodiscard]] const job::ModelCard& card() const override { return card_; }
    [[nodiscard]] std::uint32_t slots() const override { return engine_->options().slots; }

    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override {
        counters_->requests.fetch_add(1, std::memory_order_relaxed);
        auto accepted = try_submit(std::move(request), sink, cancel);
        if (!accepted) {
            counters_->failed.fetch_add(1, std::memory_order_relaxed);
            sink(job::Failed{std::move(accepted).error()});
        }
    }

    [[nodiscard]] ResidentSnapshot snapshot() const override {
        const engine::Snapshot engine = engine_->snapshot();
        ResidentSnapshot snapshot;
        snapshot.slots = engine.slots;
        snapshot.slots_busy = engine.slots_busy;
        snapshot.queued = engine.queued;
        snapshot.requests_total = counters_->requests.load(std::memory_order_relaxed);
        snapshot.prompt_tokens_total = engine.prompt_tokens_total;
        snapshot.cached_tokens_total = engine.cached_tokens_total;
        snapshot.predicted_tokens_total = engine.predicted_tokens_total;
        snapshot.cancelled_total = counters_->cancelled.load(std::memory_order_relaxed);
        snapshot.failed_total = counters_->failed.load(std::memory_order_relaxed);
        embeddings_.add_to(snapshot);
        add_memory(snapshot, memory_.get());
        return snapshot;
    }

    void look_again() override {
        if (memory_ != nullptr) {
            memory_->refresh();
        }
    }

    void stop(std::uint32_t patience_ms) override {
        const auto begun = std::chrono::steady_clock::now();
        engine_->stop(patience_ms);
        const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - begun);
        embeddings_.stop(patience_ms -
                         std::min(patience_ms, static_cast<std::uint32_t>(spent.count())));
    }

private:
    Status try_submit(job::Request request, const job::EventSink& sink, const CancelToken& cancel) {
        if (EmbeddingDesk::takes(request)) {
            return embeddings_.submit(request, sink, cancel);
        }
        if (is_about_tokens(request)) {
            return answer_about_tokens(request, prompts_, *engine_->tokenizer(), sink);
        }
        if (!job::is_generation(request)) {
            return fail(Fault::invalid, "model: '{}' is not made for {}", card_.id,
                        job::subject(request));
        }
        const std::uint32_t queue_max = engine_->options().queue_max;
        if (request.choices == 0 || request.choices > queue_max) {
            return fail(Fault::invalid,
                        "n: {} answers were asked for; between 1 and {} are possible here",
                        request.choices, queue_max);
        }
        const auto* chat = std::get_if<job::Chat>(&request.ask);
        TRILANE_TRY(Prompt prompt,
                    chat != nullptr ? prompts_.chat(*chat)
                                    : prompts_.completion(std::get<job::Completion>(request.ask)));
        TRILANE_TRY(const grammar::Compiled constraint, constraints_.of(request, prompt));
        const std::uint32_t context = engine_->options().context_tokens;
        const auto room =
            context - static_cast<std::uint32_t>(std::min<std::size_t>(prompt.ids.size(), context));
        // A prompt that leaves no room is refused by the engine, unless nothing is to be generated.
        const std::uint32_t max_tokens =
            std::min(request.max_tokens.value_or(std::max(room, 1U)), std::max(room, 1U));
        const auto run = std::make_shared<Run>(std::move(request), sink, engine_->tokenizer(),
                                               form_, std::move(prompt), counters_);
        const engine::BeginBy begin_by = begin_by_of(run->request());
        std::vector<engine::Generation> generations;
        for (std::uint32_t choice = 0; choice < run->request().choices; ++choice) {
            engine::Generation generation = generation_of(run, choice, constraint);
            generation.max_tokens = max_tokens;
            generation.cancel = cancel;
            generation.begin_by = begin_by;
            generations.push_back(std::move(generation));
        }
        return engine_->submit(std::move(generations));
    }

    [[nodiscard]] engine::Generation generation_of(const std::shared_ptr<Run>& run,
                                                   std::uint32_t choice,
                                                   const grammar::Compiled& constraint) const {
        const job::Request& request = run->request();
        const auto* completion = std::get_if<job::Completion>(&request.ask);
        engine::Generation generation;
        generation.prompt = run->prompt();
        generation.sampling = request.sampling;
        if (generation.sampling.seed.has_value()) {
            *generation.sampling.seed += choice;  // or all choices would be the same
        }
        generation.top_logprobs = request.top_logprobs;
        generation.prompt_logprobs =
            completion != nullptr && completion->echo && request.top_logprobs.has_value();
        generation.ignore_end = request.ignore_end;
        if (constraint != nullptr) {
            generation.constraint =
                std::make_unique<grammar::Matcher>(constraint, engine_->token_trie());
            generation.ends_in_time = ends_in_time(request);
        }
        generation.listener = std::make_unique<Choice>(run, choice);
        return generation;
    }

    std::unique_ptr<engine::Engine> engine_;
    PromptWriter prompts_;
    std::shared_ptr<const AnswerForm> form_;
    Constraints constraints_;
    job::ModelCard card_;
    std::shared_ptr<Counters> counters_;
    EmbeddingDesk embeddings_;  // behind the engine that it uses: it ends before it
    std::shared_ptr<MemoryWatch::Subject> memory_;
};

/// By the catalogue's word, which has "" for a file that does not say.
bool is_decoder(std::string_view architecture) {
    constexpr std::array<std::string_view, 7> kArchitectures{
        "llama", "qwen2", "qwen3", "bitnet", "bitnet-b1.58", "bitnet-25", ""};
    return std::ranges::find(kArchitectures, architecture) != kArchitectures.end();
}

/// The place: every model that fits this process.
class NativeLane final : public Lane {
public:
    NativeLane(Settings settings, std::function<void(std::string_view)> log)
        : settings_(std::move(settings)), log_line_(std::move(log)) {
        if (settings_.device.empty()) {
            settings_.device = "cpu";
        }
    }

    [[nodiscard]] const std::string& name() const override { return settings_.name; }
    [[nodiscard]] const Descriptor& descriptor() const override { return kNativeDescriptor; }
    [[nodiscard]] const std::string& device() const override { return settings_.device; }
    [[nodiscard]] std::uint32_t residents_max() const override {
        return settings_.residents_max != 0 ? settings_.residents_max
                                            : kNativeDescriptor.residents_max;
    }

    [[nodiscard]] bool can_serve(const catalog::Entry& entry) const override {
        using catalog::Purpose;
        const bool encoder = model::is_encoder(entry.architecture);
        const bool purpose = entry.purpose == Purpose::unknown || entry.purpose == Purpose::embed ||
                             entry.purpose == (encoder ? Purpose::rerank : Purpose::chat);
        return entry.store == catalog::Store::gguf && entry.more_paths.empty() && purpose &&
               (encoder || is_decoder(entry.architecture));
    }

    void add_abilities(const catalog::Entry& entry, job::Abilities& abilities) const override {
        // What a chat model's file says of pooling is known once it is loaded.
        abilities.embed = abilities.embed || (entry.purpose == catalog::Purpose::chat &&
                                              is_decoder(entry.architecture));
    }

    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& entry,
                                          const LoadWishes& wishes) const override {
        const engine::Options options = engine_options(wishes);
        TRILANE_TRY(const engine::MemoryNeed memory, engine::memory_need(entry.path, options));
        plan::Need need;
        // The vocabulary lies with the allocator, where nobody can look at it; the others fill.
        need.parts = {{.what = "weights", .bytes = memory.weight_bytes},
                      {.what = "vocabulary", .bytes = memory.vocabulary_bytes, .elusive = true},
                      {.what = "KV cache", .bytes = memory.kv_bytes, .elusive = true},
                      {.what = "buffers", .bytes = memory.buffer_bytes, .elusive = true}};
        need.context_tokens = memory.context_tokens;
        need.context_tokens_max = memory.context_tokens_max;
        need.parallel = options.slots;
        need.bytes_per_context_token = memory.kv_bytes_per_context_token;
        return need;
    }

    Result<std::shared_ptr<Resident>> load(LoadRequest request) override {
        if (request.on_phase) {
            request.on_phase(LoadPhase::starting);
        }
        if (log_line_) {
            say_what_has_no_effect(request);
        }
        NativeOptions options;
        options.model_path = request.entry.path;
        options.model_id = request.entry.id;
        options.engine = engine_options(request.wishes);
        if (request.need.context_tokens != 0) {
            options.engine.context_tokens = request.need.context_tokens;
        }
        options.cancel = request.cancel;
        options.memory = &memory_;
        options.on_warming = [&request] {
            if (request.on_phase) {
                request.on_phase(LoadPhase::warming);
            }
        };
        return load_native(options);
    }

    [[nodiscard]] std::shared_ptr<os::LogRing> log() const override { return log_; }

private:
    void say_what_has_no_effect(const LoadRequest& request) const {
        if (request.wishes.kv != plan::KvType::f16) {
            log_line_(fmt::format(
                "lane {}: {}: kv = \"{}\" has no effect here, the native engine's "
                "KV cache is f16; leave it out, or use a llama-server lane",
                settings_.name, request.entry.id, plan::kv_type_name(request.wishes.kv)));
        }
        if (!request.wishes.args.empty()) {
            log_line_(fmt::format(
                "lane {}: {}: `args` have no effect here, the native engine is no program of its "
                "own; leave them out, or use a llama-server lane",
                settings_.name, request.entry.id));
        }
    }

    [[nodiscard]] engine::Options engine_options(const LoadWishes& wishes) const {
        engine::Options options = settings_.engine;
        if (wishes.context_tokens != 0) {
            options.context_tokens = wishes.context_tokens;
        }
        if (wishes.parallel != 0) {
            options.slots = wishes.parallel;
        }
        return options;
    }

    Settings settings_;
    const std::function<void(std::string_view)> log_line_;  // the daemon's
    const std::shared_ptr<os::LogRing> log_ = std::make_shared<os::LogRing>();
    MemoryWatch memory_;
};

constexpr std::array kNativePurposes{catalog::Purpose::chat, catalog::Purpose::embed,
                                     catalog::Purpose::rerank};
constexpr std::array kNativeOptions{
    Option{.key = "context",
           .type = OptionType::count,
           .field = &engine::Options::context_tokens,
           .text = "Context of one request, prompt and answer, in tokens.",
           .usual = "what the model was made for",
           .max = option::kContextTokensMax},
    Option{.key = "slots",
           .type = OptionType::count,
           .field = &engine::Options::slots,
           .text = "Requests that are answered at once.",
           .min = 1,
           .max = 256},
    Option{.key = "threads",
           .type = OptionType::count,
           .field = &engine::Options::threads,
           .text = "Threads of the engine.",
           .usual = "the cores it may use",
           .max = 1024},
    Option{.key = "prefill_chunk",
           .type = OptionType::count,
           .field = &engine::Options::prefill_chunk_tokens,
           .text = "Prompt tokens read per step.",
           .min = 1,
           .max = 4096},
    Option{.key = "engine_queue_max",
           .type = OptionType::count,
           .field = &engine::Options::queue_max,
           .text = "Requests that may wait inside the engine.",
           .min = 1,
           .max = 65'536},
    option::residents_max("16; memory decides first"),
};
constexpr std::uint32_t kNativeResidentsMax = 16;

}  // namespace

const Descriptor kNativeDescriptor{
    .kind = "native",
    .summary = "Trilane's own engine, in the daemon: ternary and common GGUF models on the CPU",
    .silicon = Silicon::cpu,
    .store = catalog::Store::gguf,
    .purposes = kNativePurposes,
    .programs = {},
    .options = kNativeOptions,
    .residents_max = kNativeResidentsMax,
    .requests_max = 0,
    .open = open_native_lane,
};

Result<std::shared_ptr<Resident>> load_native(const NativeOptions& options) {
    if (is_encoder_file(options.model_path)) {
        return load_encoder(options);
    }
    TRILANE_TRY(auto engine,
                engine::Engine::load(options.model_path, options.engine, options.cancel));
    if (options.on_warming) {
        options.on_warming();
    }
    TRILANE_TRY_STATUS(engine->check_sanity(options.cancel));
    return std::shared_ptr<Resident>(std::make_shared<NativeResident>(std::move(engine), options));
}

engine::BeginBy begin_by_of(const job::Request& request) {
    return request.deadline == engine::BeginBy::Clock::time_point()
               ? engine::BeginBy()
               : engine::BeginBy(request.deadline);
}

Result<std::shared_ptr<Lane>> open_native_lane(const Settings& settings, const Parts& parts) {
    return std::shared_ptr<Lane>(std::make_shared<NativeLane>(settings, parts.log));
}

}  // namespace trilane::lane
