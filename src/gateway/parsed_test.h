// The JSON of an answer, for tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "json/json.h"
#include "net/loopback_test_client.h"

namespace trilane::gateway {

inline json::Value parsed(const net::TestReply& reply) {
    auto value = json::parse(reply.body);
    EXPECT_TRUE(value) << reply.head << reply.body;
    return value ? *value : json::Value::object();
}

}  // namespace trilane::gateway
