#include "app/gpu_learning.h"

#include <algorithm>
#include <set>
#include <utility>

#include "app/output.h"
#include "lane/child/environment.h"
#include "lane/child/program.h"
#include "probe/learn.h"

namespace trilane::app {

GpuLearning::GpuLearning(const probe::Machine& machine, Options options)
    : options_(std::move(options)) {
    std::erase_if(options_.lanes,
                  [](const lane::Settings& lane) { return lane.kind != "llama-server"; });
    asking_ = !options_.lanes.empty() && probe::has_to_learn(machine);
}

void GpuLearning::begin(std::function<void()> learnt) {
    if (asking_ && !thread_.joinable()) {
        thread_ = std::thread([this, learnt = std::move(learnt)] {
            ask();
            if (!cancel_.cancelled()) {
                learnt();
            }
        });
    }
}

GpuLearning::~GpuLearning() {
    cancel_.cancel();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void GpuLearning::ask() {
    std::vector<probe::Engine> engines;
    std::set<std::string> asked;
    for (const lane::Settings& lane : options_.lanes) {
        const std::string name = lane.program.empty() ? lane.kind : lane.program;
        const auto program = lane::find_program(std::span(&name, 1), options_.path, lane.name);
        if (!program || !asked.insert(*program).second) {
            continue;
        }
        const auto printed = lane::ask_program(
            *options_.children, {*program, "--list-devices"},
            lane::child_environment(options_.environment, {}, lane.environment), cancel_);
        if (!printed) {
            options_.log(fmt::format("lane {}: {} does not list its devices: {}", lane.name,
                                     printable(*program), printable(printed.error().message)));
            continue;
        }
        probe::Engine& engine = engines.emplace_back();
        engine.kind = lane.kind;
        engine.path = *program;
        engine.devices = probe::parse_device_list(printed->text);
    }
    const std::scoped_lock lock(mutex_);
    answers_ = std::move(engines);
    asking_ = false;
}

void GpuLearning::apply(probe::Machine& machine) {
    std::optional<std::vector<probe::Engine>> answers;
    {
        const std::scoped_lock lock(mutex_);
        answers.swap(answers_);
    }
    if (!answers) {
        return;
    }
    probe::learn(machine, *answers, {});
    for (const probe::GpuFacts& gpu : machine.gpus) {
        if (gpu.vram_is_learnt) {
            options_.log(fmt::format("{}: {} of memory, by {}", printable(gpu.product),
                                     human_bytes(gpu.vram_total_bytes.value),
                                     printable(gpu.vram_total_bytes.source)));
        }
    }
}

void GpuLearning::mark(plan::Memory& memory) const {
    const std::scoped_lock lock(mutex_);
    for (plan::Device& device : memory.devices) {
        device.awaited = device.shares.empty() && (asking_ || answers_.has_value());
    }
}

}  // namespace trilane::app
