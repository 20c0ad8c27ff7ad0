// The Python face of the kernel: takes the bytes of packed nodes as buffers, checks them, picks
// the variant and scores without holding the interpreter.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "packed_nodes.hpp"

using sightline::MOST_NODES;
using sightline::PackedNodes;
using sightline::Request;

namespace {

constexpr uint8_t INT8 = 1, FLOAT16 = 2, FOUR_BITS = 3;
constexpr size_t HEADER_BYTES = 12;

struct Variant {
    const char* name;
    bool (*score)(const Request&);
    bool available;
};

// Best first.
Variant variants[] = {
#if defined(__x86_64__)
    {"avx512-vnni", sightline::score_avx512, false},
    {"avx2", sightline::score_avx2, false},
#elif defined(__aarch64__)
    {"neon", sightline::score_neon, true},
#endif
    {"portable", sightline::score_portable, true},
};

void detect() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    variants[0].available =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
    variants[1].available = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
}

// Finds the arrays in the bytes. Returns what is wrong with them, or null.
const char* read(const Py_buffer& buffer, PackedNodes& nodes) {
    const uint8_t* bytes = (const uint8_t*)buffer.buf;
    const size_t size = (size_t)buffer.len;
    if (buffer.itemsize != 1) return "expected an array of bytes";
    if (size < HEADER_BYTES || bytes[0] < INT8 || bytes[0] > FOUR_BITS ||
        bytes[1] > (bytes[0] == INT8))
        return "no packed nodes of a known layout";
    if (bytes[0] == FLOAT16) return "nodes in float16 are scored by torch";
    uint16_t count, dimension;
    memcpy(&count, bytes + 2, sizeof count);
    memcpy(&dimension, bytes + 4, sizeof dimension);
    if (count < 1 || count > MOST_NODES) return "the kernel takes 1 to 64 nodes an item";
    nodes.bytes = bytes;
    nodes.size = size;
    nodes.count = count;
    nodes.dimension = dimension;
    nodes.stride = (dimension + 3) / 4 * 4;
    nodes.four_bits = bytes[0] == FOUR_BITS;
    memcpy(&nodes.gram_step, bytes + 8, sizeof nodes.gram_step);
    nodes.scales = bytes + HEADER_BYTES;
    if (nodes.four_bits) {
        nodes.weights = nodes.scales + count * sizeof(uint16_t);
        nodes.rows = nodes.weights + count * sizeof(uint16_t);
        nodes.sums = nodes.gram = NULL;
    } else {
        nodes.weights = nodes.scales + count * sizeof(float);
        nodes.sums = nodes.weights + count * sizeof(float);
        const uint8_t* gram = nodes.sums + count * sizeof(int32_t);
        const size_t gram_values = bytes[1] ? (size_t)count * (count + 1) / 2 : 0;
        nodes.gram = bytes[1] ? gram : NULL;
        nodes.rows = gram + (gram_values + gram_values % 2) * sizeof(int16_t);
    }
    const size_t row_bytes = nodes.four_bits ? (dimension + 1) / 2 : nodes.stride;
    const size_t expected = (size_t)(nodes.rows - bytes) + count * row_bytes;
    return size == expected ? NULL : "their length isn't what their header says";
}

// Buffers that are given back however the call ends.
struct Buffers {
    Py_buffer* all;
    Py_ssize_t count = 0;

    explicit Buffers(Py_ssize_t most)
        : all((Py_buffer*)PyMem_Calloc((size_t)most, sizeof(Py_buffer))) {}
    ~Buffers() {
        while (count > 0) PyBuffer_Release(&all[--count]);
        PyMem_Free(all);
    }
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;

    bool take(PyObject* object, int flags) {
        if (PyObject_GetBuffer(object, &all[count], flags) != 0) return false;
        count++;
        return true;
    }
    const Py_buffer& last() const { return all[count - 1]; }
};

bool refuse(const char* who, Py_ssize_t number, const char* why) {
    if (number < 0)
        PyErr_Format(PyExc_ValueError, "%s: %s", who, why);
    else
        PyErr_Format(PyExc_ValueError, "%s %zd: %s", who, number, why);
    return false;
}

bool take_nodes(Buffers& buffers, PyObject* object, const char* who, Py_ssize_t number,
                PackedNodes& nodes) {
    if (!buffers.take(object, PyBUF_SIMPLE)) {
        PyErr_Clear();
        return refuse(who, number, "expected contiguous bytes");
    }
    const char* wrong = read(buffers.last(), nodes);
    return wrong ? refuse(who, number, wrong) : true;
}

bool take_all(Buffers& buffers, PyObject* query, PyObject* candidates, PyObject* scores,
              PackedNodes* nodes, Request& request) {
    if (!take_nodes(buffers, query, "query", -1, request.query)) return false;
    const Py_ssize_t count = PyList_GET_SIZE(candidates);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!take_nodes(buffers, PyList_GET_ITEM(candidates, i), "candidate", i, nodes[i]))
            return false;
        if (nodes[i].dimension != request.query.dimension)
            return refuse("candidate", i, "its dimension isn't the query's");
    }
    if (!buffers.take(scores, PyBUF_WRITABLE)) return false;
    if ((size_t)buffers.last().len != (size_t)count * sizeof(float))
        return refuse("scores", -1, "expected a float32 for each candidate");
    request.candidates = nodes;
    request.candidate_count = (size_t)count;
    request.scores = (float*)buffers.last().buf;
    return true;
}

PyObject* score(PyObject*, PyObject* arguments) {
    const char* name;
    PyObject *query, *candidates, *scores;
    int hard, from_query, from_candidates;
    Request request;
    if (!PyArg_ParseTuple(arguments, "sOO!Offppp", &name, &query, &PyList_Type, &candidates,
                          &scores, &request.query_temperature, &request.candidate_temperature,
                          &hard, &from_query, &from_candidates))
        return NULL;
    const Variant* chosen = NULL;
    for (const Variant& variant : variants)
        if (variant.available && strcmp(variant.name, name) == 0) chosen = &variant;
    if (!chosen) return PyErr_Format(PyExc_ValueError, "variant: no %s on this machine", name);
    request.hard = hard;
    request.from_query = from_query;
    request.from_candidates = from_candidates;

    const Py_ssize_t count = PyList_GET_SIZE(candidates);
    Buffers buffers(count + 2);
    PackedNodes* nodes = (PackedNodes*)PyMem_Calloc((size_t)count + 1, sizeof(PackedNodes));
    bool done = false;
    if (!buffers.all || !nodes) {
        PyErr_NoMemory();
    } else if (take_all(buffers, query, candidates, scores, nodes, request)) {
        Py_BEGIN_ALLOW_THREADS;
        done = chosen->score(request);
        Py_END_ALLOW_THREADS;
        if (!done) PyErr_NoMemory();
    }
    PyMem_Free(nodes);
    if (!done) return NULL;
    Py_RETURN_NONE;
}

PyObject* available_variants(PyObject*, PyObject*) {
    PyObject* names = PyList_New(0);
    for (const Variant& variant : variants) {
        if (!names || !variant.available) continue;
        PyObject* name = PyUnicode_FromString(variant.name);
        if (!name || PyList_Append(names, name) != 0) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

PyMethodDef methods[] = {
    {"variants", available_variants, METH_NOARGS, "Names of what this machine runs, best first."},
    {"score", score, METH_VARARGS, "Scores candidates against a query, see model/fused.py."},
    {NULL, NULL, 0, NULL},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "model._kernel", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

}  // namespace

PyMODINIT_FUNC PyInit__kernel() {
    detect();
    return PyModule_Create(&definition);
}
