// What operators, subscripts and iteration do to values: Python's semantics, without the syntax
// tree. Errors here carry no place; the interpreter adds it.
#pragma once

#include <string>

#include "base/result.h"
#include "chat/syntax.h"
#include "chat/value.h"

namespace trilane::chat {

bool truthy(const Value& value);
bool equals(Heap& heap, const Value& a, const Value& b, unsigned depth = 0);
/// a < b. **Errors:** invalid: types that have no order.
Result<bool> less(Heap& heap, const Value& a, const Value& b, unsigned depth = 0);
/// needle in haystack.
Result<bool> contains(Heap& heap, const Value& haystack, const Value& needle);

Result<Value> binary(Heap& heap, BinaryOp op, const Value& a, const Value& b);
Result<Value> negate(const Value& value);

/// Number of characters, items or keys; 0 for undefined.
Result<std::size_t> length(const Value& value);
/// The items a for loop visits: a fresh list unless `value` is one already.
Result<List*> iterate(Heap& heap, const Value& value);

/// object[index]; undefined when there is none.
Result<Value> item(Heap& heap, const Value& object, const Value& index);
/// object.name for what is stored or computed, methods first. `name` must live in the program.
Result<Value> attribute(Heap& heap, const Value& object, const std::string& name);
/// object[start:stop:step]; bounds that are none are open.
Result<Value> slice(Heap& heap, const Value& object, const Value& start, const Value& stop,
                    const Value& step);

void dict_set(Heap& heap, Dict& dict, const Value& key, Value value);

/// The error of using a missing value: "'tools' is undefined".
tl::unexpected<Error> undefined_error(const Value& value);

}  // namespace trilane::chat
