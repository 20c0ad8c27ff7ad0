// The scores of model/alignment.py for one query and many candidates, in the lanes of one
// instruction set. A variant defines LANES, ROWS_AT_ONCE, BIAS, Element, Sums, element() and
// add_products() and then includes this file, so that every variant has its own copy.
//
// Everything stays in an anonymous namespace, and no header with inline functions of C++ is
// included: the linker may keep one copy of those, built for instructions another machine lacks.

#include <stdlib.h>
#include <string.h>

namespace {

using sightline::GRAM_VALUES;
using sightline::MOST_NODES;
using sightline::PackedNodes;
using sightline::Request;

typedef float Floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef int16_t Shorts __attribute__((vector_size(LANES * sizeof(int16_t))));

// As in model/alignment.py.
constexpr float LEAK = 0.1f;
constexpr float SMALLEST = 1e-6f;

constexpr float LOG2_E = 1.44269504f;
// Weights under 2^-60 of the largest can't be seen in a float, and their squares stay normal.
constexpr float SMALLEST_EXPONENT = -60.0f;
constexpr size_t CACHE_LINE = 64;

// Row i holds what node i of one side has with every node of the other side, which lie in lanes.
typedef float Matrix[MOST_NODES][MOST_NODES];

// Nodes whose values lie side by side: (groups, steps, LANES x 4), absent nodes zero. A step is
// four values of each node; place() orders them as the instructions want them.
struct Lanes {
    Element* values;
    float scales[MOST_NODES];
    int groups;
    int steps;
};

// What attention needs of one side.
struct Side {
    int count;
    alignas(64) float weights[MOST_NODES];
    // The lower triangle, off-diagonal values doubled: a^T G a without its symmetric half.
    alignas(64) float gram[GRAM_VALUES];
};

inline int groups_of(int count) { return (count + LANES - 1) / LANES; }

inline Floats load(const float* from) {
    Floats lanes;
    memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

inline void store(float* to, Floats lanes) { memcpy(to, &lanes, sizeof lanes); }

inline Floats larger(Floats left, Floats right) { return left > right ? left : right; }

inline Floats leaky(Floats lanes) { return larger(lanes, lanes * LEAK); }

inline Floats square_root(Floats lanes) {
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = __builtin_sqrtf(lanes[lane]);
    return lanes;
}

inline float sum(Floats lanes) {
    float total = 0;
    for (int lane = 0; lane < LANES; lane++) total += lanes[lane];
    return total;
}

// 2^x for x <= 0, relative error under 1e-7: a minimax polynomial on [-1/2, 1/2].
inline Floats power_of_two(Floats exponent) {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits.
    constexpr float ROUNDING = 12582912.0f;
    constexpr int MANTISSA_BITS = 23, ONE = 127 << MANTISSA_BITS;
    exponent = larger(exponent, Floats{} + SMALLEST_EXPONENT);
    const Floats rounded = exponent + ROUNDING;
    const Floats rest = exponent - (rounded - ROUNDING);
    Floats power = rest * 0.001327647185f + 0.009675541541f;
    power = power * rest + 0.05550713276f;
    power = power * rest + 0.2402211972f;
    power = power * rest + 0.6931469671f;
    power = power * rest + 1.0f;
    return power * (Floats)(((Ints)rounded << MANTISSA_BITS) + ONE);
}

inline void prefetch(const PackedNodes& nodes, size_t from, size_t to) {
    for (size_t byte = from; byte < to && byte < nodes.size; byte += CACHE_LINE)
        __builtin_prefetch(nodes.bytes + byte, 0, 2);
}

// Where nodes in four bits become nodes in int8, one item after the other.
struct Widened {
    float scales[MOST_NODES];
    float weights[MOST_NODES];
    int32_t sums[MOST_NODES];
    uint8_t* rows;
};

// Of a finite float16: its exponent and mantissa, where those of a float stand, are 2^-112 of it.
inline float from_half(const uint8_t* stored) {
    uint16_t half;
    memcpy(&half, stored, sizeof half);
    const uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    return half & 0x8000 ? -value : value;
}

size_t widened_bytes(const PackedNodes& nodes) {
    return nodes.four_bits ? (size_t)nodes.count * nodes.stride : 0;
}

// The nodes themselves, or those in four bits as int8.
PackedNodes widened(const PackedNodes& nodes, Widened& to) {
    if (!nodes.four_bits) return nodes;
    const int halves = (nodes.dimension + 1) / 2;
    memset(to.rows, 0, widened_bytes(nodes));
    for (int node = 0; node < nodes.count; node++) {
        to.scales[node] = from_half(nodes.scales + node * sizeof(uint16_t));
        to.weights[node] = from_half(nodes.weights + node * sizeof(uint16_t));
        const uint8_t* from = nodes.rows + (size_t)node * halves;
        int8_t* row = (int8_t*)to.rows + (size_t)node * nodes.stride;
        for (int half = 0; half < halves; half++) {
            row[2 * half] = (int8_t)((from[half] & 15) - 8);
            row[2 * half + 1] = (int8_t)((from[half] >> 4) - 8);
        }
        // What fills the last byte up is no value, whatever stands there.
        if (nodes.dimension % 2) row[nodes.dimension] = 0;
        int32_t sum = 0;
        for (int value = 0; value < nodes.dimension; value++) sum += row[value];
        to.sums[node] = sum;
    }
    PackedNodes wide = nodes;
    wide.four_bits = false;
    wide.scales = (const uint8_t*)to.scales;
    wide.weights = (const uint8_t*)to.weights;
    wide.sums = (const uint8_t*)to.sums;
    wide.rows = to.rows;
    return wide;
}

size_t laid_out_bytes(const PackedNodes& nodes) {
    return sizeof(Element) * groups_of(nodes.count) * LANES * nodes.stride;
}

void lay_out(const PackedNodes& nodes, Lanes& lanes) {
    lanes.groups = groups_of(nodes.count);
    lanes.steps = nodes.stride / 4;
    memset(lanes.scales, 0, sizeof lanes.scales);
    memcpy(lanes.scales, nodes.scales, nodes.count * sizeof(float));
    for (int node = 0; node < lanes.groups * LANES; node++) {
        const uint8_t* row = node < nodes.count ? nodes.rows + (size_t)node * nodes.stride : NULL;
        Element* to = lanes.values + (size_t)(node / LANES) * lanes.steps * LANES * 4;
        for (int step = 0; step < lanes.steps; step++, to += LANES * 4)
            for (int byte = 0; byte < 4; byte++)
                to[place(node % LANES, byte)] = element(row ? (int8_t)row[step * 4 + byte] : 0);
    }
}

// S of the nodes in lanes with the nodes that are rows. `next` comes into the cache meanwhile.
void similarities(const Lanes& lanes, const PackedNodes& nodes, const PackedNodes& next, Matrix to) {
    float scales[MOST_NODES];
    int32_t sums[MOST_NODES];
    memcpy(scales, nodes.scales, nodes.count * sizeof(float));
    memcpy(sums, nodes.sums, nodes.count * sizeof(int32_t));
    const size_t tiles = (nodes.count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    const size_t share = next.size / tiles + 1;
    size_t tile = 0;
    for (int first = 0; first < nodes.count; first += ROWS_AT_ONCE, tile++) {
        prefetch(next, tile * share, (tile + 1) * share);
        const uint8_t* rows[ROWS_AT_ONCE];
        for (int row = 0; row < ROWS_AT_ONCE; row++) {
            const int node = first + row < nodes.count ? first + row : nodes.count - 1;
            rows[row] = nodes.rows + (size_t)node * nodes.stride;
        }
        for (int group = 0; group < lanes.groups; group++) {
            const Element* values = lanes.values + (size_t)group * lanes.steps * LANES * 4;
            Sums totals[ROWS_AT_ONCE] = {};
            for (int step = 0; step < lanes.steps; step++, values += LANES * 4) {
#pragma GCC unroll 16
                for (int row = 0; row < ROWS_AT_ONCE; row++)
                    totals[row] = add_products(totals[row], values, rows[row] + step * 4);
            }
            const Floats lane_scales = load(lanes.scales + group * LANES);
            for (int row = 0; row < ROWS_AT_ONCE && first + row < nodes.count; row++) {
                const Sums products = totals[row] - BIAS * sums[first + row];
                const Floats cosines = __builtin_convertvector(products, Floats);
                store(to[first + row] + group * LANES, cosines * lane_scales * scales[first + row]);
            }
        }
    }
}

void turn(const Matrix from, int rows, int columns, Matrix to) {
    const int padded = groups_of(rows) * LANES;
    for (int column = 0; column < columns; column++) {
        for (int row = 0; row < rows; row++) to[column][row] = from[row][column];
        for (int row = rows; row < padded; row++) to[column][row] = 0;
    }
}

void read_gram(const PackedNodes& nodes, float* gram) {
    alignas(64) int16_t stored[GRAM_VALUES] = {};
    const int values = nodes.count * (nodes.count + 1) / 2;
    memcpy(stored, nodes.gram, values * sizeof(int16_t));
    for (int value = 0; value < values; value += LANES) {
        Shorts some;
        memcpy(&some, stored + value, sizeof some);
        store(gram + value, __builtin_convertvector(some, Floats) * (2 * nodes.gram_step));
    }
    for (int node = 0, diagonal = 0; node < nodes.count; node++, diagonal += node + 1)
        gram[diagonal] /= 2;
}

void compute_gram(const PackedNodes& nodes, const Lanes& lanes, Matrix scratch, float* gram) {
    similarities(lanes, nodes, nodes, scratch);
    for (int node = 0; node < nodes.count; node++) {
        for (int other = 0; other < node; other++) *gram++ = 2 * scratch[node][other];
        *gram++ = scratch[node][node];
    }
}

void read_weights(const PackedNodes& nodes, Side& side) {
    side.count = nodes.count;
    memset(side.weights, 0, sizeof side.weights);
    memcpy(side.weights, nodes.weights, nodes.count * sizeof(float));
}

// Temperature over the l2 norm of leaky similarities over the own side, for each other node.
// turned: the other nodes in lanes.
void sharpnesses(const Matrix turned, int own, int others, float temperature, float* to) {
    for (int group = 0; group < groups_of(others); group++) {
        Floats squares = {};
        for (int row = 0; row < own; row++) {
            const Floats positive = leaky(load(turned[row] + group * LANES));
            squares += positive * positive;
        }
        const Floats norm = square_root(squares + SMALLEST * SMALLEST);
        store(to + group * LANES, temperature * LOG2_E / norm);
    }
}

// a^T G a in each lane; attention: a group of lanes for each node of the other side.
Floats quadratic_form(const Floats* attention, const float* gram, int count) {
    constexpr int BLOCK = 4;
    Floats form = {};
    int node = 0;
    for (; node + BLOCK <= count; node += BLOCK) {
        const float* rows[BLOCK];
        for (int row = 0; row < BLOCK; row++) rows[row] = gram + (node + row) * (node + row + 1) / 2;
        Floats sums[BLOCK] = {};
        for (int other = 0; other < node; other++)
            for (int row = 0; row < BLOCK; row++) sums[row] += attention[other] * rows[row][other];
        for (int row = 0; row < BLOCK; row++) {
            for (int other = node; other <= node + row; other++)
                sums[row] += attention[other] * rows[row][other];
            form += attention[node + row] * sums[row];
        }
    }
    for (; node < count; node++) {
        const float* row = gram + node * (node + 1) / 2;
        Floats sum = {};
        for (int other = 0; other <= node; other++) sum += attention[other] * row[other];
        form += attention[node] * sum;
    }
    return form;
}

// Weighted sum over the own side (in lanes) of cos(e_i, sum_j a_ij v_j). The softmax is never
// divided by its total, since a cosine doesn't notice.
float attended(
    const Matrix similarity, const Matrix turned, const Side& own, const Side& other,
    float temperature) {
    alignas(64) float sharpness[MOST_NODES];
    sharpnesses(turned, own.count, other.count, temperature, sharpness);
    Floats score = {};
    for (int group = 0; group < groups_of(own.count); group++) {
        const int first = group * LANES;
        Floats attention[MOST_NODES];
        Floats largest = Floats{} - __builtin_inff();
        for (int node = 0; node < other.count; node++) {
            attention[node] = leaky(load(similarity[node] + first)) * sharpness[node];
            largest = larger(largest, attention[node]);
        }
        Floats total = {}, dot = {};
        for (int node = 0; node < other.count; node++) {
            attention[node] = power_of_two(attention[node] - largest);
            total += attention[node];
            dot += attention[node] * load(similarity[node] + first);
        }
        const Floats form = quadratic_form(attention, other.gram, other.count);
        const Floats length = square_root(larger(form, SMALLEST * total * total));
        score += load(own.weights + first) * (dot / length);
    }
    return sum(score);
}

// Weighted sum over the own side (in lanes) of the largest similarity.
float nearest(const Matrix similarity, const Side& own, int others) {
    Floats score = {};
    for (int group = 0; group < groups_of(own.count); group++) {
        Floats largest = load(similarity[0] + group * LANES);
        for (int node = 1; node < others; node++)
            largest = larger(largest, load(similarity[node] + group * LANES));
        score += load(own.weights + group * LANES) * largest;
    }
    return sum(score);
}

float score_pair(
    const Request& request, const Matrix similarity, const Matrix turned, const Side& query,
    const Side& candidate) {
    float score = 0;
    if (request.from_query)
        score += request.hard ? nearest(similarity, query, candidate.count)
                              : attended(similarity, turned, query, candidate,
                                         request.query_temperature);
    if (request.from_candidates)
        score += request.hard ? nearest(turned, candidate, query.count)
                              : attended(turned, similarity, candidate, query,
                                         request.candidate_temperature);
    return request.from_query && request.from_candidates ? score / 2 : score;
}

bool score_all(const Request& request) {
    size_t laid_out = 0, wide = widened_bytes(request.query);
    for (size_t i = 0; i < request.candidate_count; i++) {
        const PackedNodes& nodes = request.candidates[i];
        if (!nodes.gram && laid_out_bytes(nodes) > laid_out) laid_out = laid_out_bytes(nodes);
        if (widened_bytes(nodes) > wide) wide = widened_bytes(nodes);
    }
    const size_t own = laid_out_bytes(request.query);
    uint8_t* workspace = (uint8_t*)malloc(own + laid_out + wide);
    if (!workspace) return false;

    Lanes query_lanes, candidate_lanes;
    query_lanes.values = (Element*)workspace;
    candidate_lanes.values = (Element*)(workspace + own);
    Widened scratch;
    scratch.rows = workspace + own + laid_out;
    alignas(64) Matrix similarity, turned;
    Side query, candidate;
    const PackedNodes asked = widened(request.query, scratch);
    lay_out(asked, query_lanes);
    read_weights(asked, query);
    if (!request.hard && asked.gram)
        read_gram(asked, query.gram);
    else if (!request.hard)
        compute_gram(asked, query_lanes, similarity, query.gram);

    // From here on the scratch is the candidates'.
    for (size_t i = 0; i < request.candidate_count; i++) {
        const PackedNodes nodes = widened(request.candidates[i], scratch);
        const PackedNodes& next = request.candidates[i + (i + 1 < request.candidate_count)];
        read_weights(nodes, candidate);
        if (!request.hard && nodes.gram) {
            read_gram(nodes, candidate.gram);
        } else if (!request.hard) {
            lay_out(nodes, candidate_lanes);
            compute_gram(nodes, candidate_lanes, similarity, candidate.gram);
        }
        similarities(query_lanes, nodes, next, similarity);
        turn(similarity, nodes.count, asked.count, turned);
        request.scores[i] = score_pair(request, similarity, turned, query, candidate);
    }
    free(workspace);
    return true;
}

}  // namespace
