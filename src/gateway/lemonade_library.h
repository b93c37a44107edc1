// Lemonade's endpoints that change which models there are. Private to the gateway.
#pragma once

#include "gateway/desk.h"
#include "gateway/endpoint.h"

namespace trilane::gateway::lemonade_api {

void pull(Desk& desk, Call call);
void remove(Desk& desk, Call call);
void list_variants(Desk& desk, Call call);
void list_downloads(Desk& desk, Call call);
void control_download(Desk& desk, Call call);

}  // namespace trilane::gateway::lemonade_api
