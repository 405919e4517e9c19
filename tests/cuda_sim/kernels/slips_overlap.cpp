// bindings_overlap.cpp in float32 alone: what test_overlap.py compiles against changed headers.
#define VIDEOSTR_SLIPS
#include "../bindings_overlap.cpp"
