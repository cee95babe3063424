#include "fibers.h"

#include <ucontext.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

thread_local Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

const size_t STACK = 64 << 10;

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool begun = false, ended = false;
};

thread_local std::vector<Fiber> fibers;
thread_local ucontext_t scheduler;
thread_local Fiber* running = nullptr;
thread_local const std::function<void()>* body = nullptr;

void enter() {
    (*body)();
    running->ended = true;
    swapcontext(&running->context, &scheduler);
}

void resume(Fiber& fiber) {
    if (!fiber.begun) {
        fiber.begun = true;
        fiber.stack.resize(STACK);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, enter, 0);
    }
    running = &fiber;
    swapcontext(&scheduler, &fiber.context);
    running = nullptr;
}

Dim3 place(unsigned i) { return {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)}; }

void start(unsigned i) {
    threadIdx = place(i);
    resume(fibers[i]);
}

// Every thread to its next __syncthreads, or to its end. `ended`: of those that already went.
bool all_ended(std::vector<unsigned>::const_iterator from, const std::vector<unsigned>& order, size_t ended) {
    for (; from != order.end(); ++from) {
        start(*from);
        ended += fibers[*from].ended;
    }
    if (ended != 0 && ended != order.size()) throw std::runtime_error("threads of a block part at __syncthreads");
    return ended != 0;
}

void run_block(std::vector<unsigned>& order, std::mt19937& random) {
    for (Fiber& fiber : fibers) fiber.begun = fiber.ended = false;
    std::shuffle(order.begin(), order.end(), random);
    start(order.front());
    if (fibers[order.front()].ended) {  // it met none, so the others must not either: no fibers are needed
        for (auto i = order.begin() + 1; i != order.end(); ++i) {
            threadIdx = place(*i);
            (*body)();
        }
        return;
    }
    for (bool over = all_ended(order.begin() + 1, order, 0); !over;) {
        std::shuffle(order.begin(), order.end(), random);
        over = all_ended(order.begin(), order, 0);
    }
}

}  // namespace

void __syncthreads() {
    if (!running) throw std::runtime_error("threads of a block part at __syncthreads");
    const Dim3 own = threadIdx;
    swapcontext(&running->context, &scheduler);
    threadIdx = own;
}

void launch(Dim3 grid, Dim3 block, unsigned seed, const std::function<void()>& thread) {
    std::mt19937 random(seed);
    gridDim = grid, blockDim = block, body = &thread;
    std::vector<unsigned> order(block.x * block.y * block.z);
    std::iota(order.begin(), order.end(), 0);
    fibers.resize(order.size());
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = {x, y, z};
                run_block(order, random);
            }
}
