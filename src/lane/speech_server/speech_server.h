// The kokoro lane: any server of OpenAI's speech API as a child; without further settings the
// command line of Kokoros (`koko openai`). It is started, checked with one spoken word and
// supervised like the others.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "lane/descriptor.h"

namespace trilane::lane {

/// **Errors:** invalid (settings); not_found: no program.
Result<std::shared_ptr<Lane>> open_speech_server_lane(const Settings& settings, const Parts& parts);

/// The command line: `args` with {host}, {port} and {model} filled in when {port} is among them;
/// else they stand before `openai --ip … --port …`, with the model's file when there is one.
std::vector<std::string> speech_arguments(std::span<const std::string> args,
                                          const std::string& model_path, std::uint16_t port);

extern const Descriptor kSpeechServerDescriptor;

}  // namespace trilane::lane
