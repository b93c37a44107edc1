// Runs the data files of tests/wire/openai/responses: a body, with what is kept from before, and
// the chat it becomes; events and the answer they become, whole, streamed and kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "dialect/openai/openai.h"
#include "dialect/openai/responses.h"
#include "dialect/openai/wire_cases.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

class MapStore final : public ResponseStore {
public:
    std::shared_ptr<const StoredResponse> find(std::string_view id) override {
        const auto found = all.find(std::string(id));
        return found == all.end() ? nullptr : found->second;
    }
    void keep(std::shared_ptr<const StoredResponse> response) override {
        all[response->id] = response;
    }
    bool remove(std::string_view id) override { return all.erase(std::string(id)) > 0; }

    std::map<std::string, std::shared_ptr<const StoredResponse>> all;
};

const Context kResponsesContext{"t", 1700000000, "fp"};

/// "event: TYPE\ndata: {…}\n\n" frames, whose type and numbers must be right, less those.
Value events_of(std::string_view stream) {
    Value events = Value::array();
    std::uint64_t number = 0;
    while (!stream.empty()) {
        const auto end = stream.find("\n\n");
        const auto line = stream.find("\ndata: ");
        EXPECT_TRUE(stream.starts_with("event: ") && end != std::string_view::npos) << stream;
        if (end == std::string_view::npos || line > end) {
            break;
        }
        const std::string name(stream.substr(7, line - 7));
        auto event = json::parse(stream.substr(line + 7, end - line - 7));
        EXPECT_TRUE(event) << stream.substr(0, end);
        if (event) {
            EXPECT_EQ((*event)["type"], name);
            EXPECT_EQ((*event)["sequence_number"], number++);
            event->erase("sequence_number");
            events.push_back(*std::move(event));
        }
        stream.remove_prefix(end + 2);
    }
    return events;
}

/// An answer less what it repeats of every request, which the case "all fields" has in full.
Value short_response(Value response) {
    EXPECT_EQ(response["id"], "resp_t");
    EXPECT_EQ(response["object"], "response");
    EXPECT_EQ(response["created_at"], 1700000000);
    Value rest = Value::object();
    EXPECT_TRUE(!response.contains("usage") || response["usage"].is_object());
    for (const char* name : {"status", "error", "incomplete_details", "output", "usage"}) {
        EXPECT_TRUE(response.contains(name) || std::string_view(name) == "usage") << name;
        if (response.contains(name) && !response[name].is_null()) {
            rest[name] = response[name];
        }
    }
    return rest;
}

class ResponsesWire : public testing::TestWithParam<Case> {
protected:
    const Value& data() const { return GetParam().data; }
    const Value& expected() const { return GetParam().data["expected"]; }

    /// Requests before this one, answered with a text each, under ids of their own.
    std::shared_ptr<MapStore> store() const {
        auto store = std::make_shared<MapStore>();
        for (const Value& before : data().value("before", Value::array())) {
            const Context context{before["suffix"], 1600000000, "fp"};
            auto asked = ask_response(json::dump(before["request"]), context, store);
            EXPECT_TRUE(asked) << asked.error().message;
            for (const Value& event : before["events"]) {
                asked->writer->on_event(0, event_of(event));
            }
            EXPECT_TRUE(asked->writer->finished());
        }
        return store;
    }

    Result<Asked> ask(bool stream, const std::shared_ptr<MapStore>& kept) const {
        Value request = data()["request"];
        if (stream) {
            request["stream"] = true;
        }
        return ask_response(json::dump(request), kResponsesContext, kept);
    }

    void check_refusal(const Result<Asked>& asked) const {
        ASSERT_FALSE(asked) << "the request was taken";
        EXPECT_EQ(asked.error().fault, Fault::invalid);
        const Value error = json::parse(error_body(asked.error())).value()["error"];
        EXPECT_EQ(error["param"], expected()["error"]["param"]) << error.dump();
        EXPECT_THAT(error["message"].get<std::string>(),
                    testing::HasSubstr(expected()["error"]["message"].get<std::string>()));
    }

    void check_stream() const {
        const auto kept = store();
        const auto asked = ask(true, kept);
        ASSERT_TRUE(asked && asked->stream);
        EXPECT_EQ(asked->writer->content_type(), kEventStreamType);
        std::string stream;
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(asked->writer->finished());
            stream += asked->writer->on_event(0, event_of(event));
        }
        EXPECT_TRUE(asked->writer->finished());
        Value events = events_of(stream);
        for (Value& event : events) {
            if (event.contains("response")) {
                event["response"] = short_response(event["response"]);
            }
        }
        EXPECT_EQ(events, expected()["stream"]) << events.dump();
    }

    void check_body() const {
        const auto kept = store();
        const auto asked = ask(false, kept);
        ASSERT_TRUE(asked && !asked->stream);
        for (const Value& event : data()["events"]) {
            EXPECT_EQ(asked->writer->on_event(0, event_of(event)), "");
        }
        ASSERT_TRUE(asked->writer->finished());
        if (expected().contains("failure")) {
            ASSERT_NE(asked->writer->error(), nullptr);
            EXPECT_EQ(asked->writer->error()->message, expected()["failure"].get<std::string>());
            EXPECT_FALSE(kept->all.contains("resp_t"));
            return;
        }
        ASSERT_EQ(asked->writer->error(), nullptr);
        const auto body = json::parse(asked->writer->body());
        ASSERT_TRUE(body) << asked->writer->body();
        const Value& wanted = expected()["body"];
        EXPECT_EQ(wanted.contains("id") ? *body : short_response(*body), wanted) << body->dump();
        check_kept(*kept, asked->writer->body());
    }

    void check_kept(MapStore& kept, const std::string& body) const {
        const auto found = kept.find("resp_t");
        EXPECT_EQ(found != nullptr, data()["request"].value("store", true));
        if (found == nullptr) {
            return;
        }
        EXPECT_EQ(found->body, body);
        if (expected().contains("items")) {
            Value items = Value::array();
            for (const std::string& item : found->items) {
                items.push_back(json::parse(item).value());
            }
            EXPECT_EQ(items, expected()["items"]) << items.dump();
        }
    }
};

TEST_P(ResponsesWire, Case) {
    ASSERT_TRUE(data().is_object()) << GetParam().id;
    const auto asked = ask(false, store());
    if (expected().contains("error")) {
        check_refusal(asked);
        return;
    }
    ASSERT_TRUE(asked) << asked.error().message;
    ASSERT_EQ(asked->jobs.size(), 1U);
    EXPECT_TRUE(expected().contains("job") || data().contains("events")) << "nothing is expected";
    if (expected().contains("job")) {
        const Value facts = job_facts(asked->jobs[0]);
        EXPECT_EQ(Value::parse(facts.dump()), expected()["job"]) << facts.dump();
    }
    if (data().contains("events")) {
        if (expected().contains("stream")) {
            check_stream();
        }
        check_body();
    }
}

INSTANTIATE_TEST_SUITE_P(Openai, ResponsesWire, testing::ValuesIn(load_cases("openai/responses")),
                         [](const auto& one) { return one.param.id; });

TEST(ResponsesWireFiles, AreThere) {
    EXPECT_GE(load_cases("openai/responses").size(), 40U);
}

TEST(Responses, InputItemsComeInPages) {
    const auto store = std::make_shared<MapStore>();
    auto asked = ask_response(
        R"({"model":"m","input":[{"role":"user","content":"a"},{"role":"user","content":"b"},)"
        R"({"role":"user","content":"c"}]})",
        kResponsesContext, store);
    ASSERT_TRUE(asked);
    asked->writer->on_event(0, job::Done{});
    const auto stored = store->find("resp_t");
    ASSERT_NE(stored, nullptr);
    const auto page = [&](std::string_view query) {
        const auto body = input_items_body(*stored, query);
        EXPECT_TRUE(body) << body.error().message;
        const Value list = json::parse(body.value_or("{}")).value();
        std::string ids = list["has_more"] == true ? "+" : "";
        for (const Value& item : list["data"]) {
            ids += item["content"][0]["text"].get<std::string>();
        }
        return ids;
    };
    EXPECT_EQ(page(""), "cba");
    EXPECT_EQ(page("order=asc"), "abc");
    EXPECT_EQ(page("order=asc&limit=2"), "+ab");
    EXPECT_EQ(page("limit=2&order=asc&after=msg_t_in1"), "c");
    EXPECT_EQ(page("after=msg_t_in0"), "");
    for (const char* query : {"limit=0", "limit=101", "limit=x", "order=up", "after=none"}) {
        EXPECT_FALSE(input_items_body(*stored, query)) << query;
    }
}

TEST(Responses, TokensOfAnInput) {
    const auto store = std::make_shared<MapStore>();
    auto asked = ask_input_tokens(R"({"model":"m","input":"a","instructions":"b"})",
                                  kResponsesContext, store);
    ASSERT_TRUE(asked) << asked.error().message;
    const auto* count = std::get_if<job::CountTokens>(&asked->jobs[0].ask);
    ASSERT_NE(count, nullptr);
    EXPECT_EQ(count->chat.messages.size(), 2U);
    job::Done done;
    done.usage.prompt_tokens = 7;
    asked->writer->on_event(0, done);
    EXPECT_EQ(asked->writer->body(), R"({"object":"response.input_tokens","input_tokens":7})");
    EXPECT_TRUE(store->all.empty());
}

TEST(Responses, WhatIsNotThere) {
    EXPECT_EQ(json::parse(error_body(no_such_response("resp_x"))).value()["error"]["code"],
              "response_not_found");
    EXPECT_EQ(deleted_response_body("a"), R"({"id":"a","object":"response","deleted":true})");
}

}  // namespace
}  // namespace trilane::dialect::openai
