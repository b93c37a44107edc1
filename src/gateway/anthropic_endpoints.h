// Who speaks Anthropic's API, and its pages at paths that are OpenAI's as well.
#pragma once

#include "gateway/desk.h"
#include "gateway/endpoint.h"
#include "net/http.h"

namespace trilane::gateway {

/// Whether the client expects Anthropic's shapes: it asks one of the API's own endpoints, or a path
/// that is not one API's alone (`endpoint` is null where nothing is) with the header
/// anthropic-version or a key shown in Anthropic's way.
bool expects_anthropic(const net::Request& request, const Endpoint* endpoint);

/// GET /v1/models?limit=…&after_id=…&before_id=… and GET /v1/models/{id}
void list_models_as_anthropic(Desk& desk, Call& call);
void show_model_as_anthropic(Desk& desk, Call& call);

}  // namespace trilane::gateway
