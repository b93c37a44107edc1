// The kernel tables: which function serves which operation on which instruction set, and whether
// this CPU can run it. No arithmetic here.
#include "kernels/kernels.h"

#include <array>
#include <string>

#include "kernels/generic/generic.h"
#if TRILANE_X86_KERNELS
#include <cpuid.h>

#include "kernels/x86/x86.h"
#endif

namespace trilane::kernels {
namespace {

struct NamedIsa {
    Isa isa;
    std::string_view name;
};
constexpr std::array kIsas{
    NamedIsa{Isa::generic, "generic"},
    NamedIsa{Isa::avx2, "avx2"},
    NamedIsa{Isa::avxvnni, "avxvnni"},
    NamedIsa{Isa::avx512, "avx512"},
};

KernelTable make_generic() {
    KernelTable t;
    t.isa = Isa::generic;
    t.t2_i8 = generic::t2_i8;
    t.q8_0 = generic::q8_0;
    t.q4_0 = generic::q4_0;
    t.q4_k = generic::q4_k;
    t.q5_k = generic::q5_k;
    t.q6_k = generic::q6_k;
    t.f32 = generic::f32;
    t.f16 = generic::f16;
    t.bf16 = generic::bf16;
    t.quantize_token = generic::quantize_token;
    t.quantize_blocks = generic::quantize_blocks;
    t.rms_norm = generic::rms_norm;
    t.silu_mul = generic::silu_mul;
    t.relu2_mul = generic::relu2_mul;
    t.add = generic::add;
    t.to_f16 = generic::to_f16;
    t.from_f16 = generic::from_f16;
    t.attend = generic::attend;
    return t;
}

#if TRILANE_X86_KERNELS

bool cpu_has_f16c() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

bool cpu_has_avxvnni() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    constexpr unsigned kAvxVnniBit = 1U << 4;  // leaf 7, subleaf 1, EAX
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnniBit) != 0;
}

// __builtin_cpu_supports also asks the operating system (xgetbv) for the wide registers.
bool cpu_has_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c();
}

bool cpu_has_avx512() {
    return cpu_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
}

KernelTable make_avx2() {
    KernelTable t = make_generic();
    t.isa = Isa::avx2;
    t.t2_i8 = x86::t2_i8_avx2;
    t.q8_0 = x86::q8_0_avx2;
    t.q4_0 = x86::q4_0_avx2;
    t.q4_k = x86::q4_k_avx2;
    t.q5_k = x86::q5_k_avx2;
    t.q6_k = x86::q6_k_avx2;
    t.f32 = x86::f32_avx2;
    t.f16 = x86::f16_avx2;
    t.bf16 = x86::bf16_avx2;
    t.quantize_token = x86::quantize_token_avx2;
    t.quantize_blocks = x86::quantize_blocks_avx2;
    t.rms_norm = x86::rms_norm_avx2;
    t.silu_mul = x86::silu_mul_avx2;
    t.relu2_mul = x86::relu2_mul_avx2;
    t.add = x86::add_avx2;
    t.to_f16 = x86::to_f16_avx2;
    t.from_f16 = x86::from_f16_avx2;
    t.attend = x86::attend_avx2;
    return t;
}

KernelTable make_avxvnni() {
    KernelTable t = make_avx2();
    t.isa = Isa::avxvnni;
    t.t2_i8 = x86::t2_i8_avxvnni;
    t.q8_0 = x86::q8_0_avxvnni;
    t.q4_0 = x86::q4_0_avxvnni;
    t.q4_k = x86::q4_k_avxvnni;
    t.q5_k = x86::q5_k_avxvnni;
    t.q6_k = x86::q6_k_avxvnni;
    return t;
}

KernelTable make_avx512() {
    KernelTable t = make_avx2();
    t.isa = Isa::avx512;
    t.t2_i8 = x86::t2_i8_avx512;
    t.q8_0 = x86::q8_0_avx512;
    t.q4_0 = x86::q4_0_avx512;
    t.q4_k = x86::q4_k_avx512;
    t.q5_k = x86::q5_k_avx512;
    t.q6_k = x86::q6_k_avx512;
    t.f32 = x86::f32_avx512;
    t.f16 = x86::f16_avx512;
    t.bf16 = x86::bf16_avx512;
    t.attend = x86::attend_avx512;
    return t;
}

#endif

const KernelTable& table_of(Isa isa) {
    static const KernelTable generic_table = make_generic();
#if TRILANE_X86_KERNELS
    static const KernelTable avx2_table = make_avx2();
    static const KernelTable avxvnni_table = make_avxvnni();
    static const KernelTable avx512_table = make_avx512();
    switch (isa) {
        case Isa::generic:
            return generic_table;
        case Isa::avx2:
            return avx2_table;
        case Isa::avxvnni:
            return avxvnni_table;
        case Isa::avx512:
            return avx512_table;
    }
#else
    static_cast<void>(isa);
#endif
    return generic_table;
}

}  // namespace

std::string_view isa_name(Isa isa) {
    for (const NamedIsa& entry : kIsas) {
        if (entry.isa == isa) {
            return entry.name;
        }
    }
    return "unknown";
}

Result<Isa> isa_from_name(std::string_view name) {
    std::string known;
    for (const NamedIsa& entry : kIsas) {
        if (entry.name == name) {
            return entry.isa;
        }
        known += known.empty() ? "" : ", ";
        known += entry.name;
    }
    return fail(Fault::invalid, "unknown instruction set \"{}\"; use one of {}", name, known);
}

bool isa_available(Isa isa) {
#if TRILANE_X86_KERNELS
    static const bool has_avx2 = cpu_has_avx2();
    static const bool has_avxvnni = has_avx2 && cpu_has_avxvnni();
    static const bool has_avx512 = cpu_has_avx512();
    switch (isa) {
        case Isa::generic:
            return true;
        case Isa::avx2:
            return has_avx2;
        case Isa::avxvnni:
            return has_avxvnni;
        case Isa::avx512:
            return has_avx512;
    }
    return false;
#else
    return isa == Isa::generic;
#endif
}

Result<const KernelTable*> table_for(Isa isa) {
    if (!isa_available(isa)) {
        return fail(Fault::unavailable,
                    "this CPU cannot run the {} kernels; leave the choice open or use generic",
                    isa_name(isa));
    }
    return &table_of(isa);
}

const KernelTable& best_table() {
    // By width alone for now: the one place to change when candidates are timed at start instead.
    for (const Isa isa : {Isa::avx512, Isa::avxvnni, Isa::avx2}) {
        if (isa_available(isa)) {
            return table_of(isa);
        }
    }
    return table_of(Isa::generic);
}

}  // namespace trilane::kernels
