// One visitor of a variant out of several lambdas.
#pragma once

namespace trilane::dialect {

template <class... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};
// clang 14 does not deduce aggregates.
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace trilane::dialect
