// What Lemonade's rows lend to other APIs' rows. Private to the gateway.
#pragma once

#include "gateway/desk.h"
#include "gateway/endpoint.h"

namespace trilane::gateway {

/// /v1/models and /v1/models/{id}: OpenAI's objects with Lemonade's fields beside theirs.
void list_models_as_lemonade(Desk& desk, Call& call);
void show_model_as_lemonade(Desk& desk, Call& call);

}  // namespace trilane::gateway
