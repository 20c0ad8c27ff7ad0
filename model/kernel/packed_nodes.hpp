// One item's nodes as a candidate's bytes hold them. model/packed_nodes.py describes the layout.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace sightline {

constexpr int MOST_NODES = 64;
constexpr int GRAM_VALUES = MOST_NODES * (MOST_NODES + 1) / 2;

// The arrays may lie at any address, so they are read with memcpy and never through their type.
struct PackedNodes {
    const uint8_t* bytes;
    size_t size;
    int count;
    int dimension;
    int stride;              // bytes a row of int8, a multiple of 4
    bool four_bits;          // as stored: see below
    float gram_step;         // what 1 in the Gram matrix stands for
    const uint8_t* scales;   // float32 (count); in four bits float16
    const uint8_t* weights;  // float32 (count); in four bits float16
    const uint8_t* sums;     // int32 (count), of the values of a row; in four bits null
    const uint8_t* gram;     // int16, the lower triangle row by row; null if it isn't stored
    const uint8_t* rows;     // int8 (count, stride); in four bits (count, (dimension + 1) / 2)
};

struct Request {
    PackedNodes query;
    const PackedNodes* candidates;
    size_t candidate_count;
    float query_temperature;      // of the query's nodes that attend to a candidate's
    float candidate_temperature;  // of a candidate's nodes that attend to the query's
    bool hard;
    bool from_query;
    bool from_candidates;
    float* scores;  // (candidate_count)
};

// Each returns false when there is no memory.
bool score_avx512(const Request& request);
bool score_avx2(const Request& request);
bool score_neon(const Request& request);
bool score_portable(const Request& request);

}  // namespace sightline
