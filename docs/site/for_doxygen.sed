# What Doxygen reads of our headers; it shows them as they are.
# `int a = 0, b = 0; ///< of both` becomes a declaration of each with that comment: Doxygen gives it to the last one only.
:peel
s;^( *)((static |constexpr |const |mutable )*[A-Za-z_:0-9]+(<.*>)?) ([^()<]+), ([a-z_0-9]+[^,]*)\; *///< ?([^\x01]*)(.*)$;\1\2 \5\; ///< \7\x01 \2 \6\; /**< \7 */\8;
t peel
s,///< ?([^\x01]*)\x01,/**< \1 */,
s,\x01,,g
# Comparisons of all members, and what there is not, need no words.
s,^.*\) = delete;$,,
s,^ *(friend )?(constexpr )?[a-z_:]+ operator(==|<=>)\(.*= default;.*$,,
# What a policy is sorted by.
s,^ *using tag = tag::[a-z_]+;$,,
# A name that an attribute hides.
s, __attribute__\(\(vector_size\(16\)\)\),,
# A group's mark for itself, so that what follows is the brief of each member.
s,^( *)///@([{}])$,\1/** @\2 */,
