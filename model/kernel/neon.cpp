// 4 lanes of 64-bit ARM, any generation.
#include "packed_nodes.hpp"

#if defined(__aarch64__)

#include <arm_neon.h>
#include <string.h>

namespace {

constexpr int LANES = 4;
constexpr int ROWS_AT_ONCE = 6;
constexpr int BIAS = 0;
typedef int8_t Element;
typedef int32_t Sums __attribute__((vector_size(16)));

inline Element element(int8_t value) { return value; }

inline int place(int lane, int byte) { return lane * 4 + byte; }

inline Sums add_products(Sums totals, const Element* lanes, const uint8_t* four) {
    int32_t repeated;
    memcpy(&repeated, four, sizeof repeated);
    const int8x16_t left = vld1q_s8(lanes);
    const int8x16_t right = vreinterpretq_s8_s32(vdupq_n_s32(repeated));
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(left), vget_low_s8(right)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(left, right));
    return totals + (Sums)vpaddq_s32(low, high);
}

}  // namespace

#include "scorer.hpp"

bool sightline::score_neon(const Request& request) { return score_all(request); }

#endif
