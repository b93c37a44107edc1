// The life of a model on a lane, as an explicit machine:
//
//   offline ─▶ pulling ─▶ starting ─▶ warming ─▶ ready ⇄ serving ⇄ idle
//      ▲          │           │          │         │        │       │
//      │          └───────────┴──────────┴──▶ failed ◀──────┤       │
//      └── unloading ◀── draining ◀─────────────────────────┴───────┘
//
// ready: loaded, healthy, and a first small task made sense (of a machine elsewhere only where its
// lane says `sanity = true`: its answers may cost money). serving: requests run. idle: none has for
// a while. draining: no new ones; those that run end. failed: says why; the next try waits.
//
// Not drawn: what lies on the machine already is not pulled (offline ─▶ starting); a pull that is
// cancelled ends offline, a load that is cancelled unloads what it has started; where nothing runs
// nothing is drained (ready, idle ─▶ unloading); ready ⇄ idle; a next try leaves failed for pulling
// or starting. State.EveryPairIsAsTheTableSays has them all.
#pragma once

#include <string_view>

namespace trilane::lane {

enum class State {
    offline,
    pulling,
    starting,
    warming,
    ready,
    serving,
    idle,
    draining,
    unloading,
    failed
};

std::string_view state_name(State state);

/// Whether the machine has that edge.
bool may_follow(State from, State to);

/// Whether a request may be handed to it: ready, serving or idle.
bool takes_requests(State state);

}  // namespace trilane::lane
