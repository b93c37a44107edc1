// Ollama's endpoints that change which models there are. Private to the gateway.
#pragma once

#include "gateway/desk.h"
#include "gateway/endpoint.h"

namespace trilane::gateway::ollama_library {

void pull(Desk& desk, Call call);
void remove(Desk& desk, Call call);
void copy(Desk& desk, Call call);
void create(Desk& desk, Call call);
/// HEAD: whether a file of that digest is here. POST: refused, for files are too large for a body.
void blob(Desk& desk, Call call);
void push(Desk& desk, Call call);

}  // namespace trilane::gateway::ollama_library
