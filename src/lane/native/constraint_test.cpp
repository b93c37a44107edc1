// Grammars of answers over a vocabulary in memory: thoughts first, control tokens as marks, formats
// beside tools.
#include "lane/native/constraint.h"

#include <gtest/gtest.h>

#include "grammar/matcher.h"
#include "lane/native/sample_model_file.h"

namespace trilane::lane {
namespace {

job::Request asking(job::ToolChoice::Kind choice, bool parallel = false) {
    job::Chat chat;
    chat.messages.resize(1);
    chat.messages[0].content = "Hello.";
    chat.tools = {{"f", "",
                   R"({"type": "object", "properties": {"n": {"enum": [1, 2]}},)"
                   R"( "required": ["n"], "additionalProperties": false})"},
                  {"g", "", ""}};
    chat.tool_choice = {.kind = choice, .name = "f"};
    chat.parallel_tool_calls = parallel;
    job::Request request;
    request.ask = chat;
    return request;
}

/// Whether whole answers keep to what a request asks for, in one model's style.
class Judge {
public:
    Judge(const std::string& chat_template, const std::vector<std::string>& control,
          const job::Request& request, const Prompt& prompt = {})
        : model_(sample::model_file(chat_template, control)),
          form_{reply::style_of(chat_template, [](auto) { return false; }), {}, true} {
        form_.markers = marker_ids(*model_.tokenizer, form_.style);
        auto grammar = constraint_of(request, prompt, form_, *model_.tokenizer);
        EXPECT_TRUE(grammar) << grammar.error().message;
        grammar_ = *grammar;
    }

    [[nodiscard]] bool allows(const std::string& answer) const {
        grammar::Matcher matcher(grammar_, std::make_shared<grammar::TokenTrie>(*model_.tokenizer));
        for (const token::Id id :
             model_.tokenizer->encode(answer, {.add_special = false, .parse_special = true})) {
            if (!matcher.accept(id)) {
                return false;
            }
        }
        return matcher.may_end();
    }
    [[nodiscard]] bool is_free() const { return grammar_ == nullptr; }

private:
    sample::ModelFile model_;
    AnswerForm form_;
    grammar::Compiled grammar_;
};

const std::string kHermes = "<tool_call>";
const std::string kThinkingTemplate = "<think></think><tool_call>";
const std::string kCallF = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\":1}}\n</tool_call>";
const std::string kCallG = "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>";

TEST(Constraint, WhatIsNotAskedForBindsNothing) {
    EXPECT_TRUE(Judge(kHermes, {}, asking(job::ToolChoice::Kind::automatic)).is_free());
    EXPECT_TRUE(Judge(kHermes, {}, asking(job::ToolChoice::Kind::none)).is_free());
}

TEST(Constraint, CallsThatAreRequired) {
    const Judge one(kHermes, {}, asking(job::ToolChoice::Kind::required));
    EXPECT_TRUE(one.allows(kCallF));
    EXPECT_TRUE(one.allows(kCallG));
    EXPECT_FALSE(one.allows("Hello."));
    EXPECT_FALSE(one.allows(kCallF + "\n" + kCallG));
    const Judge named(kHermes, {}, asking(job::ToolChoice::Kind::named, true));
    EXPECT_TRUE(named.allows(kCallF));
    EXPECT_FALSE(named.allows(kCallG));
    const Judge several(kHermes, {}, asking(job::ToolChoice::Kind::required, true));
    EXPECT_TRUE(several.allows(kCallF + "\n" + kCallG));
    std::string many = kCallF;
    for (std::uint32_t i = 1; i < kForcedCallsMax; ++i) {
        many += "\n" + kCallG;
    }
    EXPECT_TRUE(several.allows(many));
    EXPECT_FALSE(several.allows(many + "\n" + kCallG));
}

TEST(Constraint, MarksThatAreControlTokens) {
    const std::string own = "[TOOL_CALLS] [ARGS]";
    const Judge judge(own, {"[TOOL_CALLS]", "[ARGS]"}, asking(job::ToolChoice::Kind::named));
    EXPECT_TRUE(judge.allows("[TOOL_CALLS]f[ARGS]{\"n\":2}"));
    EXPECT_FALSE(judge.allows("f[ARGS]{\"n\":2}"));
    EXPECT_FALSE(judge.allows("[TOOL_CALLS]f[ARGS]{\"n\":3}"));
}

TEST(Constraint, ThoughtsAreFree) {
    const job::Request request = asking(job::ToolChoice::Kind::named);
    const Judge may(kThinkingTemplate, {}, request);
    EXPECT_TRUE(may.allows("<think>\nf or g? <tool_call>\n</think>\n\n" + kCallF));
    EXPECT_TRUE(may.allows(kCallF));
    EXPECT_FALSE(may.allows("<think>\nHm."));
    const Judge control(kThinkingTemplate, {"<think>", "</think>"}, request);
    EXPECT_TRUE(control.allows("<think>\nHm.\n</think>\n\n" + kCallF));
    const Judge inside(kThinkingTemplate, {}, request, {.ids = {}, .in_thought = true});
    EXPECT_TRUE(inside.allows("Hm.\n</think>\n\n" + kCallF));
    EXPECT_FALSE(inside.allows(kCallF));
    const Judge over(kThinkingTemplate, {}, request, {.ids = {}, .thoughts_are_over = true});
    EXPECT_FALSE(over.allows("<think>\nHm.\n</think>\n\n" + kCallF));
    EXPECT_TRUE(over.allows(kCallF));
}

TEST(Constraint, AFormatIsTheTextsAndCallsMayBeMadeInstead) {
    job::Request request = asking(job::ToolChoice::Kind::automatic);
    request.format.kind = job::Format::Kind::choice;
    request.format.choices = {"yes", "no"};
    const Judge judge(kHermes, {}, request);
    EXPECT_TRUE(judge.allows("yes"));
    EXPECT_TRUE(judge.allows(kCallF));
    EXPECT_FALSE(judge.allows("maybe"));
    request.ask = job::Completion{.prompt = "x"};
    const Judge completion(kThinkingTemplate, {}, request);
    EXPECT_TRUE(completion.allows("no"));
    EXPECT_FALSE(completion.allows("<think></think>no"));
}

TEST(Constraint, EveryStyleCanBeMadeToCall) {
    const std::vector<std::string> templates{"<tool_call>",
                                             "<function= <parameter=",
                                             "<|python_tag|>",
                                             "[TOOL_CALLS]",
                                             "[TOOL_CALLS] [ARGS]",
                                             "<|tool_call|>",
                                             "<\uFF5Ctool\u2581calls\u2581begin\uFF5C>"};
    for (const std::string& own : templates) {
        SCOPED_TRACE(own);
        const reply::Style style = reply::style_of(own, [](auto) { return false; });
        const reply::CallFrame frame = reply::call_frame(style.calls);
        std::vector<std::string> control;
        for (const std::string_view mark : reply::markers(style)) {
            control.emplace_back(mark);
        }
        std::string answer(frame.open);
        answer += frame.before_name;
        answer += "f";
        answer += frame.after_name;
        answer += R"({"n":1})";  // an enumeration has no tag of its own
        answer += frame.after_arguments;
        answer += frame.close;
        const job::Request request = asking(job::ToolChoice::Kind::named);
        EXPECT_TRUE(Judge(own, {}, request).allows(answer)) << answer;
        EXPECT_TRUE(Judge(own, control, request).allows(answer)) << answer;
    }
}

TEST(Constraint, TagsWhereTheModelWritesThem) {
    job::Request request = asking(job::ToolChoice::Kind::named);
    auto& tool = std::get<job::Chat>(request.ask).tools[0];
    tool.parameters = R"({"type": "object", "required": ["path"], "properties": {)"
                      R"("path": {"type": "string", "description": "where"},)"
                      R"( "lines": {"type": "integer"}, "deep": {"type": "boolean"}}})";
    const Judge judge("<function= <parameter=", {}, request);
    const auto call = [](const std::string& tags) {
        return "<tool_call>\n<function=f>\n" + tags + "\n</function>\n</tool_call>";
    };
    const std::string path = "<parameter=path>\na <b>\n\"c\"\n</parameter>";
    EXPECT_TRUE(judge.allows(call(path)));
    EXPECT_TRUE(judge.allows(call(path + "\n<parameter=lines>\n12\n</parameter>")));
    EXPECT_TRUE(judge.allows(call(path + "\n<parameter=deep>\ntrue\n</parameter>")));
    EXPECT_FALSE(judge.allows(call(path + "\n<parameter=lines>\nfew\n</parameter>")));
    EXPECT_FALSE(judge.allows(call("<parameter=lines>\n12\n</parameter>")));
}

TEST(Constraint, ASchemaThatCannotBeKeptToStillMakesObjects) {
    job::Request request = asking(job::ToolChoice::Kind::named);
    std::get<job::Chat>(request.ask).tools[0].parameters =
        R"({"type": "object", "not": {"required": ["x"]}})";
    const Judge judge(kHermes, {}, request);
    EXPECT_TRUE(
        judge.allows("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": [1]}}\n</tool_call>"));
    EXPECT_FALSE(judge.allows("<tool_call>\n{\"name\": \"f\", \"arguments\": []}\n</tool_call>"));
}

TEST(Constraint, WhatWasAskedBeforeIsKept) {
    const auto model = sample::model_file(kHermes, {});
    const auto form = std::make_shared<const AnswerForm>();
    Constraints constraints(form, model.tokenizer);
    const job::Request request = asking(job::ToolChoice::Kind::named);
    const auto first = constraints.of(request, {}).value();
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(constraints.of(request, {}).value(), first);
    job::Request other = request;
    std::get<job::Chat>(other.ask).tool_choice.name = "g";
    EXPECT_NE(constraints.of(other, {}).value(), first);
    EXPECT_NE(constraints.of(request, {.ids = {}, .in_thought = true}).value(), first);
    EXPECT_EQ(constraints.of(request, {}).value(), first);
    EXPECT_EQ(constraints.of(asking(job::ToolChoice::Kind::automatic), {}).value(), nullptr);
}

}  // namespace
}  // namespace trilane::lane
