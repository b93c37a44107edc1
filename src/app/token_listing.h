// What `trilane token` says of a text, as text and as JSON.
#pragma once

#include <span>
#include <string>

#include "json/fwd.h"
#include "token/tokenizer.h"

namespace trilane::app {

std::string tokens_text(const token::Tokenizer& tokenizer, std::span<const token::Id> ids);
json::Value tokens_json(const token::Tokenizer& tokenizer, std::span<const token::Id> ids);

}  // namespace trilane::app
