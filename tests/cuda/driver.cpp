// libcuda.so.1 for a machine without GPU: memory is the host's, a stream is a thread that works off what it was
// given, and kernels run on the CPU (fibers.h). What a stream does, it does late, so that whoever does not wait for
// it reads what was there before. Every allocation ends at a page that may not be touched.
//
// Only what pycuda and edged call is here. The functions whose names begin with `emulated_` are for tests.
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "fibers.h"
#include "cuda/kernels.cu"

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

enum Result {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_CONTEXT = 201,
    ALREADY_REGISTERED = 712,
    NOT_REGISTERED = 713,
    NOT_FOUND = 500,
    NOT_READY = 600,
    LAUNCH_FAILED = 719,
    CAPTURE_UNSUPPORTED = 900,
    UNKNOWN = 999,
};

using Work = std::function<void()>;

std::atomic<bool> lost{false}, refuses_capture{false};
std::atomic<int> fault{OK};
std::atomic<long> allocations{0}, alive{0}, launches{0}, replays{0}, waits{0};
std::atomic<unsigned> seed{1};

int state() { return lost ? UNKNOWN : fault.load(); }

// ---- memory

struct Region {
    char* whole;
    size_t mapped, slack;
};
std::mutex memory_lock;
std::map<char*, Region> regions;
std::map<char*, size_t> registered;
const char CANARY = 0x5a;

// Ends at a forbidden page, but for what alignment to 256 bytes takes.
void* allocate(size_t size) {
    const size_t page = sysconf(_SC_PAGESIZE), rounded = (size + 255) / 256 * 256;
    const size_t pages = (rounded + page - 1) / page * page;
    char* whole = (char*)mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (whole == MAP_FAILED) return nullptr;
    mprotect(whole + pages, page, PROT_NONE);
    char* start = whole + pages - rounded;
    memset(start, 0xa5, rounded);  // nobody may count on zeros
    memset(start + size, CANARY, rounded - size);
    std::lock_guard guard(memory_lock);
    regions[start] = {whole, pages + page, rounded - size};
    allocations++, alive++;
    return start;
}

// ---- streams

struct Stream {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<Work> queue;
    bool busy = false, over = false;
    std::vector<Work>* recording = nullptr;  // while captured
    std::thread thread{[this] { run(); }};

    void run() {
        std::unique_lock guard(lock);
        while (true) {
            changed.wait(guard, [this] { return over || !queue.empty(); });
            if (queue.empty()) return;
            Work work = std::move(queue.front());
            queue.pop_front();
            busy = true;
            guard.unlock();
            usleep(50);
            try {
                if (state() == OK) work();
            } catch (const std::exception& error) {
                fprintf(stderr, "kernel: %s\n", error.what());
                fault = LAUNCH_FAILED;
            }
            guard.lock();
            busy = false;
            changed.notify_all();
        }
    }

    void push(Work work) {
        std::lock_guard guard(lock);
        if (recording) {
            recording->push_back(std::move(work));
            return;
        }
        queue.push_back(std::move(work));
        changed.notify_all();
    }

    bool push_if_busy(const Work& work) {
        std::lock_guard guard(lock);
        if (queue.empty() && !busy) return false;
        queue.push_back(work);
        return true;
    }

    void drain() {
        std::unique_lock guard(lock);
        changed.wait(guard, [this] { return queue.empty() && !busy; });
    }

    ~Stream() {
        {
            std::lock_guard guard(lock);
            over = true;
            changed.notify_all();
        }
        thread.join();
    }
};

std::mutex streams_lock;
std::vector<Stream*> streams;

// Memory is given back when what streams were given before has been done, as cuMemFree waits for it. (It does not wait
// here: a stream may be about to call Python, and whoever frees may hold Python's lock.)
int release(void* address) {
    Region region;
    {
        std::lock_guard guard(memory_lock);
        auto found = regions.find((char*)address);
        if (found == regions.end()) return INVALID_VALUE;
        region = found->second;
        regions.erase(found);
        alive--;
    }
    auto bury = [region] {
        const char* end = region.whole + region.mapped - sysconf(_SC_PAGESIZE);
        for (size_t i = 1; i <= region.slack; i++)
            if (end[-(long)i] != CANARY) fault = LAUNCH_FAILED;
        munmap(region.whole, region.mapped);
    };
    std::lock_guard guard(streams_lock);
    for (Stream* stream : streams)
        if (stream->push_if_busy(bury)) return state();
    bury();
    return fault;
}

struct Event {
    struct Mark {
        std::atomic<bool> done{true};
        std::chrono::steady_clock::time_point at;  // to be read when it is done
    };
    std::shared_ptr<Mark> mark = std::make_shared<Mark>();
};

struct Graph {
    std::vector<Work> works;
};

int push(void* stream, Work work) {
    if (state() != OK) return state();
    if (!stream) return INVALID_VALUE;  // the default stream synchronises with everything: nothing here may use it
    ((Stream*)stream)->push(std::move(work));
    return OK;
}

// ---- kernels

template <typename... A, size_t... I>
Work unpacked(void (*kernel)(A...), const char* packed, std::index_sequence<I...>) {
    std::tuple<A...> values;
    size_t at = 0;
    auto take = [&](auto& value) {
        at = (at + sizeof(value) - 1) / sizeof(value) * sizeof(value);  // pointers and whole numbers only
        memcpy((void*)&value, packed + at, sizeof(value));
        at += sizeof(value);
    };
    (take(std::get<I>(values)), ...);
    return [kernel, values] { kernel(std::get<I>(values)...); };
}

template <typename... A>
Work bound(void (*kernel)(A...), const char* packed) {
    return unpacked(kernel, packed, std::index_sequence_for<A...>{});
}

struct Function {
    const char* name;
    Work (*bind)(const char* packed);
};

#define ENTRY(name) {#name, [](const char* packed) { return bound(&name, packed); }}
#define BOTH(name) ENTRY(name##_f16), ENTRY(name##_f32)
const Function functions[] = {
    BOTH(letterbox), ENTRY(image_quality), BOTH(rtmdet), BOTH(yolox), BOTH(yolov8),   BOTH(boxes),   ENTRY(rank),
    ENTRY(nms),      ENTRY(select_detections), BOTH(crop),   BOTH(simcc), BOTH(soft_argmax), ENTRY(copy),
};

thread_local std::vector<void*> contexts;
char the_context, the_module;

}  // namespace

// ---- what tests ask

extern "C" __attribute__((visibility("default"))) long emulated(const char* what) {
    if (!strcmp(what, "allocations")) return allocations;
    if (!strcmp(what, "alive")) return alive;
    if (!strcmp(what, "launches")) return launches;
    if (!strcmp(what, "replays")) return replays;
    if (!strcmp(what, "waits")) return waits;
    if (!strcmp(what, "registered")) return registered.size();
    return -1;
}
extern "C" __attribute__((visibility("default"))) void emulated_loss(int gone) { lost = gone; }
extern "C" __attribute__((visibility("default"))) void emulated_refusal(int refuses) { refuses_capture = refuses; }
extern "C" __attribute__((visibility("default"))) int emulated_size(const char* what) {
    if (!strcmp(what, "FrameParams")) return sizeof(FrameParams);
    if (!strcmp(what, "Counters")) return sizeof(Counters);
    if (!strcmp(what, "NetParams")) return sizeof(NetParams);
    if (!strcmp(what, "HeadLayout")) return sizeof(HeadLayout);
    if (!strcmp(what, "Box")) return sizeof(Box);
    return -1;
}

// ---- the driver's own

API cuInit(unsigned) { return lost ? UNKNOWN : OK; }
API cuDriverGetVersion(int* version) { return *version = 13000, OK; }
API cuDeviceGetCount(int* count) { return *count = 1, OK; }
API cuDeviceGet(int* device, int) { return *device = 0, OK; }
API cuDeviceGetName(char* name, int size, int) { return strncpy(name, "CPU in the place of a GPU", size), OK; }
API cuDeviceTotalMem_v2(size_t* size, int) { return *size = size_t(8) << 30, OK; }
API cuDeviceGetAttribute(int* value, int attribute, int) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : 1;  // compute capability 8.7; everything else is there
    return OK;
}
API cuDevicePrimaryCtxSetFlags_v2(int, unsigned) { return OK; }
API cuDevicePrimaryCtxRetain(void** context, int) { return *context = &the_context, state(); }
API cuDevicePrimaryCtxRelease_v2(int) { return state(); }
API cuCtxPushCurrent_v2(void* context) { return contexts.push_back(context), OK; }
API cuCtxPopCurrent_v2(void** context) {
    if (contexts.empty()) return INVALID_CONTEXT;
    if (context) *context = contexts.back();
    contexts.pop_back();
    return OK;
}
API cuCtxGetDevice(int* device) { return *device = 0, contexts.empty() ? INVALID_CONTEXT : OK; }
API cuCtxGetApiVersion(void*, unsigned* version) { return *version = 3020, OK; }
API cuCtxSynchronize() {
    std::lock_guard guard(streams_lock);
    for (Stream* stream : streams) stream->drain();
    return state();
}
API cuGetErrorString(int error, const char** text) {
    *text = error == LAUNCH_FAILED ? "unspecified launch failure" : error == UNKNOWN ? "unknown error" : "an error";
    return OK;
}

API cuMemAlloc_v2(void** device, size_t size) {
    if (state() != OK) return state();
    return (*device = allocate(size)) ? OK : OUT_OF_MEMORY;
}
API cuMemFree_v2(void* device) { return release(device); }
API cuMemHostAlloc(void** host, size_t size, unsigned) {
    if (state() != OK) return state();
    return (*host = allocate(size)) ? OK : OUT_OF_MEMORY;
}
API cuMemFreeHost(void* host) { return release(host); }
API cuMemHostGetDevicePointer_v2(void** device, void* host, unsigned) { return *device = host, state(); }
API cuMemHostRegister_v2(void* host, size_t size, unsigned) {
    if (state() != OK) return state();
    std::lock_guard guard(memory_lock);
    auto next = registered.upper_bound((char*)host);
    const bool meets_next = next != registered.end() && next->first < (char*)host + size;
    const bool meets_last = next != registered.begin() && std::prev(next)->first + std::prev(next)->second > (char*)host;
    if (meets_next || meets_last) return ALREADY_REGISTERED;
    registered[(char*)host] = size;
    return OK;
}
API cuMemHostUnregister(void* host) {
    std::lock_guard guard(memory_lock);
    return registered.erase((char*)host) ? OK : NOT_REGISTERED;
}
API cuMemcpyHtoD_v2(void* device, const void* host, size_t size) { return memcpy(device, host, size), state(); }
API cuMemcpyDtoH_v2(void* host, const void* device, size_t size) { return memcpy(host, device, size), state(); }
API cuMemcpyHtoDAsync_v2(void* device, const void* host, size_t size, void* stream) {
    return push(stream, [=] { memcpy(device, host, size); });
}
API cuMemcpyDtoHAsync_v2(void* host, const void* device, size_t size, void* stream) {
    return push(stream, [=] { memcpy(host, device, size); });
}
API cuMemcpyDtoDAsync_v2(void* to, const void* from, size_t size, void* stream) {
    return push(stream, [=] { memcpy(to, from, size); });
}
API cuMemGetInfo_v2(size_t* free, size_t* total) { return *free = *total = size_t(8) << 30, state(); }
API cuMemsetD32Async(void* device, unsigned value, size_t count, void* stream) {
    return push(stream, [=] {
        for (size_t i = 0; i < count; i++) ((unsigned*)device)[i] = value;
    });
}

API cuStreamCreate(void** stream, unsigned) {
    Stream* made = new Stream;
    std::lock_guard guard(streams_lock);
    streams.push_back(made);
    return *stream = made, state();
}
API cuStreamDestroy_v2(void* stream) {
    {
        std::lock_guard guard(streams_lock);
        std::erase(streams, (Stream*)stream);
    }
    delete (Stream*)stream;
    return OK;
}
API cuStreamSynchronize(void* stream) {
    if (!stream || ((Stream*)stream)->recording) return CAPTURE_UNSUPPORTED;
    ((Stream*)stream)->drain();
    waits++;
    return state();
}
API cuStreamBeginCapture_v2(void* stream, int) {
    if (refuses_capture) return CAPTURE_UNSUPPORTED;
    ((Stream*)stream)->drain();
    ((Stream*)stream)->recording = new std::vector<Work>;
    return state();
}
API cuStreamEndCapture(void* stream, void** graph) {
    auto* works = std::exchange(((Stream*)stream)->recording, nullptr);
    if (!works) return INVALID_VALUE;
    *graph = new Graph{std::move(*works)};
    delete works;
    return state();
}
API cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
    return *executable = new Graph(*(Graph*)graph), state();
}
API cuGraphLaunch(void* executable, void* stream) {
    replays++;
    for (const Work& work : ((Graph*)executable)->works)
        if (int failed = push(stream, work)) return failed;
    return state();
}
API cuGraphDestroy(void* graph) { return delete (Graph*)graph, OK; }
API cuGraphExecDestroy(void* executable) { return delete (Graph*)executable, OK; }
API cuLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
    return push(stream, [=] { function(data); });
}

API cuEventCreate(void** event, unsigned) { return *event = new Event, state(); }
API cuEventDestroy_v2(void* event) { return delete (Event*)event, OK; }
API cuEventRecord(void* event, void* stream) {
    Event* own = (Event*)event;
    own->mark = std::make_shared<Event::Mark>();
    own->mark->done = false;
    return push(stream, [mark = own->mark] {
        mark->at = std::chrono::steady_clock::now();
        mark->done = true;
    });
}
API cuEventSynchronize(void* event) {
    Event* own = (Event*)event;
    waits++;
    while (!own->mark->done && state() == OK) usleep(20);
    return state();
}
API cuEventElapsedTime_v2(float* ms, void* begin, void* end) {
    const Event::Mark &from = *((Event*)begin)->mark, &to = *((Event*)end)->mark;
    if (!from.done || !to.done) return NOT_READY;
    *ms = std::chrono::duration<float, std::milli>(to.at - from.at).count();
    return state();
}

API cuModuleLoadDataEx(void** module, const void*, unsigned, void*, void*) { return *module = &the_module, state(); }
API cuModuleUnload(void*) { return OK; }
API cuModuleGetFunction(const Function** function, void*, const char* name) {
    for (const Function& known : functions)
        if (!strcmp(known.name, name)) return *function = &known, OK;
    return NOT_FOUND;
}
API cuFuncSetCacheConfig(void*, int) { return OK; }
API cuFuncSetBlockShape(void*, int, int, int) { return OK; }  // pycuda asks for it before every launch
API cuFuncGetAttribute(int* value, int, void*) { return *value = 0, OK; }
API cuLaunchKernel(
    const Function* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
    void* stream, void** parameters, void** extra) {
    if (parameters || !extra || bx * by * bz == 0 || bx * by * bz > 1024 || gx * gy * gz == 0) return INVALID_VALUE;
    launches++;
    const Work thread = function->bind((const char*)extra[1]);  // CU_LAUNCH_PARAM_BUFFER_POINTER comes first
    return push(stream, [=] { launch({gx, gy, gz}, {bx, by, bz}, seed++, thread); });
}
