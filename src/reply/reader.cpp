#include "reply/reader.h"

#include <algorithm>
#include <random>

#include "reply/json_scanner.h"
#include "reply/marks.h"

namespace trilane::reply {
namespace {

constexpr std::string_view kFunction = "<function=";

bool is_mistral(Calls calls) {
    return calls == Calls::mistral || calls == Calls::mistral_named;
}

std::size_t leading_space(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::find_if_not(text, is_space) - text.begin());
}

std::size_t without_trailing_space(std::string_view text) {
    std::size_t size = text.size();
    while (size > 0 && is_space(text[size - 1])) {
        --size;
    }
    return size;
}

}  // namespace

std::string random_call_id() {
    constexpr std::string_view kLetters =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    constexpr std::size_t kLength = 24;
    thread_local std::mt19937_64 random = [] {
        std::random_device device;
        std::seed_seq seed{device(), device(), device(), device()};
        return std::mt19937_64(seed);
    }();
    std::uniform_int_distribution<std::size_t> pick(0, kLetters.size() - 1);
    std::string id = "call_";
    for (std::size_t i = 0; i < kLength; ++i) {
        id += kLetters[pick(random)];
    }
    return id;
}

ReplyReader::ReplyReader(Style style, ReaderOptions options)
    : style_(std::move(style)), options_(std::move(options)) {
    if (!options_.tools.empty()) {
        openers_ = openers(style_.calls);
        closers_ = closers(style_.calls);
    }
    if (options_.in_thought) {
        state_ = State::thought;
    }
}

std::vector<Piece> ReplyReader::feed(std::string_view text) {
    text_ += text;
    while (step()) {
    }
    return std::exchange(pieces_, {});
}

std::vector<Piece> ReplyReader::finish() {
    ending_ = true;
    while (step()) {
    }
    switch (state_) {
        case State::block:
            if (called_in_block_) {
                // Separators behind the last call, or its end cut off.
                raw_.clear();
                text_.erase(0, may_become_mark() ? text_.size() : 0);
            } else {
                refuse();
            }
            break;
        case State::object:
            if (!object_->is_call()) {
                refuse();
            }
            break;
        case State::parameters:
            parameters_->finish(std::exchange(text_, {}));
            add_arguments(parameters_->take());
            break;
        case State::thought:
            text_.resize(without_trailing_space(text_));
            say(std::exchange(text_, {}), true);
            break;
        default:
            break;
    }
    say_answer(std::exchange(text_, {}));
    return std::exchange(pieces_, {});
}

/// Reads on. False: more text is needed.
bool ReplyReader::step() {
    switch (state_) {
        case State::beginning:
            return read_beginning();
        case State::thought:
            return read_thought();
        case State::answer:
            return read_answer();
        case State::block:
            return read_block();
        case State::object:
            return read_object();
        case State::arguments:
            return read_arguments();
        case State::parameters:
            return read_parameters();
        case State::broken:
            return read_broken();
        case State::complete:
            text_.clear();
            break;
    }
    return false;
}

bool ReplyReader::read_beginning() {
    const std::size_t space = leading_space(text_);
    const std::string_view rest = std::string_view(text_).substr(space);
    if (options_.thoughts_may_follow) {
        if (rest.starts_with(style_.think_open)) {
            take(space + style_.think_open.size());
            raw_.clear();
            state_ = State::thought;
            return true;
        }
        if (style_.think_open.starts_with(rest) && !ending_) {
            return false;
        }
    }
    if (rest.empty()) {
        return false;
    }
    if (!openers_.empty() && rest.front() == '{') {
        take(space);
        in_list_ = called_in_block_ = is_closed_ = false;
        begin_object(true);
        return true;
    }
    state_ = State::answer;
    return true;
}

bool ReplyReader::read_thought() {
    if (!thought_) {
        text_.erase(0, leading_space(text_));
    }
    const std::size_t end = text_.find(style_.think_close);
    if (end != std::string::npos) {
        const std::string_view last = std::string_view(text_).substr(0, end);
        say(last.substr(0, without_trailing_space(last)), true);
        text_.erase(0, end + style_.think_close.size());
        drops_space_ = true;
        options_.thoughts_may_follow = false;
        state_ = State::beginning;
        return true;
    }
    const std::size_t held = begun(text_, style_.think_close);
    const std::size_t safe =
        without_trailing_space(std::string_view(text_).substr(0, text_.size() - held));
    say(std::string_view(text_).substr(0, safe), true);
    text_.erase(0, safe);
    return false;
}

bool ReplyReader::read_answer() {
    std::size_t first = std::string::npos;
    std::size_t held = 0;
    const Opener* found = nullptr;
    for (const Opener& opener : openers_) {
        const std::size_t at = text_.find(opener.text);
        if (at < first) {
            first = at;
            found = &opener;
        }
        held = std::max(held, begun(text_, opener.text));
    }
    std::size_t safe = found != nullptr ? first : text_.size() - (ending_ ? 0 : held);
    if (!openers_.empty() && !(ending_ && found == nullptr)) {
        safe = without_trailing_space(std::string_view(text_).substr(0, safe));
    }
    say_answer(std::string_view(text_).substr(0, safe));
    text_.erase(0, safe);
    if (found == nullptr) {
        return false;
    }
    take(first - safe);
    open_block(*found);
    return true;
}

/// Reads what stands around and between the calls of a block.
bool ReplyReader::read_block() {
    take(leading_space(text_));
    if (text_.empty()) {
        return false;
    }
    if (style_.calls == Calls::deepseek && text_.starts_with(kDeepseekCall)) {
        return read_head(deepseek_head(text_));
    }
    if (text_.starts_with(kFunction) && (!is_closed_ || style_.calls == Calls::xml)) {
        return read_head(function_head(text_));
    }
    for (const std::string_view closer : closers_) {
        if (text_.starts_with(closer)) {
            return read_closer(closer);
        }
    }
    for (const Opener& opener : openers_) {
        if (text_.starts_with(opener.text) && opener.kept < opener.text.size()) {
            open_block(opener);
            return true;
        }
    }
    if (may_become_mark() && (!ending_ || called_in_block_)) {
        return false;
    }
    if (!is_closed_ && read_between()) {
        return true;
    }
    if (!is_closed_ && !in_list_ && is_mistral(style_.calls)) {
        const CallHead head = mistral_head(text_);
        if (head.state != CallHead::State::bad) {
            return read_head(head);
        }
    }
    refuse();
    return true;
}

bool ReplyReader::read_closer(std::string_view closer) {
    take(closer.size());
    if (!called_in_block_) {
        refuse();
        return true;
    }
    raw_.clear();
    is_closed_ = true;
    return true;
}

/// Brackets, separators, and the beginning of the next call. False: something else is there.
bool ReplyReader::read_between() {
    const char c = text_.front();
    if (c == '{') {
        begin_object(bare_);
        return true;
    }
    const bool opens_list = c == '[' && !in_list_ && !called_in_block_;
    const bool closes_list = c == ']' && in_list_;
    const bool separates = (c == ',' || c == ';') && called_in_block_;
    const bool fences = c == '`' && called_in_block_ && style_.calls == Calls::deepseek;
    if (!opens_list && !closes_list && !separates && !fences) {
        return false;
    }
    take(1);
    in_list_ = opens_list || (in_list_ && !closes_list);
    if ((closes_list && called_in_block_) || fences) {
        raw_.clear();
    }
    return true;
}

bool ReplyReader::read_head(const CallHead& head) {
    if (head.state == CallHead::State::more) {
        return false;
    }
    if (head.state == CallHead::State::bad || !is_tool(head.name)) {
        take(std::max<std::size_t>(head.bytes, 1));
        refuse();
        return true;
    }
    take(head.bytes);
    raw_.clear();
    is_closed_ = false;
    begin_call(head.name);
    switch (head.next) {
        case CallHead::Next::json:
            arguments_.emplace();
            state_ = State::arguments;
            break;
        case CallHead::Next::parameters: {
            const auto tool = std::ranges::find(options_.tools, head.name, &job::Tool::name);
            parameters_.emplace(tool->parameters);
            state_ = State::parameters;
            break;
        }
        case CallHead::Next::nothing:
            parameters_.emplace("");
            state_ = State::parameters;
            break;
    }
    return true;
}

void ReplyReader::begin_object(bool bare) {
    bare_ = bare;
    object_.emplace([this](std::string_view name) { return is_tool(name); }, bare);
    state_ = State::object;
}

bool ReplyReader::read_object() {
    using Step = CallObject::Step;
    bool announced = object_->is_call();
    std::size_t i = 0;
    Step step = Step::more;
    while (i < text_.size() && step == Step::more) {
        step = object_->push(text_[i]);
        i += step == Step::bad ? 0 : 1;  // what broke it may begin something else
        if (!announced && object_->is_call()) {
            announced = true;
            begin_call(object_->name());
        }
    }
    take(i);
    if (announced) {
        raw_.clear();
        add_arguments(object_->take_arguments());
    }
    if (step == Step::more) {
        return false;
    }
    const bool is_whole = step == Step::done || object_->has_arguments();
    object_.reset();
    if (!announced) {
        refuse();
    } else if (is_whole) {
        end_call();
    } else {
        state_ = State::broken;
    }
    return true;
}

bool ReplyReader::read_arguments() {
    using Step = ArgumentsObject::Step;
    std::size_t i = 0;
    Step step = Step::more;
    while (i < text_.size() && step == Step::more) {
        step = arguments_->push(text_[i++]);
    }
    text_.erase(0, i);
    add_arguments(arguments_->take());
    if (step == Step::more) {
        return false;
    }
    state_ = State::broken;
    if (step == Step::done) {
        end_call();
    }
    return true;
}

bool ReplyReader::read_parameters() {
    const bool ended = parameters_->read(text_);
    add_arguments(parameters_->take());
    if (ended) {
        end_call();
    }
    return ended;
}

bool ReplyReader::read_broken() {
    std::size_t end = std::string::npos;
    std::size_t held = 0;
    for (const std::string_view closer : closers_) {
        end = std::min(end, text_.find(closer));
        held = std::max(held, begun(text_, closer));
    }
    const std::size_t safe = std::min(end, text_.size() - (ending_ ? 0 : held));
    add_arguments(text_.substr(0, safe));
    text_.erase(0, safe);
    if (end == std::string::npos) {
        return false;
    }
    end_call();
    return true;
}

bool ReplyReader::is_tool(std::string_view name) const {
    return std::ranges::find(options_.tools, name, &job::Tool::name) != options_.tools.end();
}

/// The unread text is the beginning of a mark that a block may have, and not all of it.
bool ReplyReader::may_become_mark() const {
    const auto begins = [&](std::string_view mark) {
        return mark.size() > text_.size() && mark.starts_with(text_);
    };
    return begins(kFunction) || std::ranges::any_of(closers_, begins) ||
           std::ranges::any_of(openers_, begins, &Opener::text);
}

void ReplyReader::open_block(const Opener& opener) {
    take(opener.text.size() - opener.kept);
    in_list_ = called_in_block_ = bare_ = is_closed_ = false;
    state_ = State::block;
}

void ReplyReader::take(std::size_t bytes) {
    raw_.append(text_, 0, bytes);
    text_.erase(0, bytes);
}

void ReplyReader::begin_call(const std::string& name) {
    job::ToolCallPiece piece;
    piece.index = calls_++;
    piece.id = options_.new_id();
    piece.name = name;
    pieces_.emplace_back(std::move(piece));
}

void ReplyReader::end_call() {
    raw_.clear();
    called_in_block_ = true;
    state_ = options_.only_one_call ? State::complete : State::block;
}

/// What was read since the last call is text; behind a call, white space is nothing.
void ReplyReader::refuse() {
    state_ = State::answer;
    drops_space_ = drops_space_ || called_in_block_;
    if (called_in_block_ && leading_space(raw_) == raw_.size()) {
        text_.insert(0, std::exchange(raw_, {}));
        return;
    }
    say_answer(std::exchange(raw_, {}));
}

void ReplyReader::say(std::string_view text, bool reasoning) {
    if (text.empty()) {
        return;
    }
    thought_ = thought_ || reasoning;
    auto* last = pieces_.empty() ? nullptr : std::get_if<job::Text>(&pieces_.back());
    if (last != nullptr && last->reasoning == reasoning) {
        last->text += text;
        return;
    }
    job::Text piece;
    piece.text = text;
    piece.reasoning = reasoning;
    pieces_.emplace_back(std::move(piece));
}

void ReplyReader::say_answer(std::string_view text) {
    const std::size_t space = leading_space(text);
    if (drops_space_ && (!answered_ || space == text.size())) {
        text.remove_prefix(space);
    }
    if (text.empty()) {
        return;
    }
    drops_space_ = false;
    answered_ = true;
    say(text, false);
}

void ReplyReader::add_arguments(std::string arguments) {
    if (arguments.empty()) {
        return;
    }
    if (!pieces_.empty()) {
        if (auto* last = std::get_if<job::ToolCallPiece>(&pieces_.back())) {
            last->arguments += arguments;
            return;
        }
    }
    job::ToolCallPiece piece;
    piece.index = calls_ - 1;
    piece.arguments = std::move(arguments);
    pieces_.emplace_back(std::move(piece));
}

}  // namespace trilane::reply
