// Orphans: what the children of a killed process have started in turn, and left. Children end with
// this process (see child.h), but only what it sees end is followed further; the rest is found by a
// mark in its environment and ended by the next process that looks.
#pragma once

#include <cstddef>
#include <string>

namespace trilane::os {

/// "TRILANE_OWNER=…", which every child gets: this process, so that it is mistaken for none that
/// had or will have its number. "" where /proc does not tell.
const std::string& owner_mark();

/// Ends (SIGKILL) every process that carries the mark of one that no longer runs, and says how
/// many. Only those of this user and of this container (the space of process numbers): others'
/// owners cannot be seen from here.
std::size_t end_orphans();

}  // namespace trilane::os
