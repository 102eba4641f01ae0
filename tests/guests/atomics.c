/* Every width and kind of atomic, compare-and-swap and exchange, in one thread: values are known. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#define ALL(type, name, start)                                                                             \
    static void name(void) {                                                                               \
        _Atomic type value = (type)(start);                                                                \
        type expected;                                                                                     \
        printf(#name ":");                                                                                 \
        printf(" %lld", (long long)atomic_fetch_add(&value, (type)5));                                     \
        printf(" %lld", (long long)atomic_fetch_sub(&value, (type)7));                                     \
        printf(" %lld", (long long)atomic_fetch_and(&value, (type)0x6f));                                  \
        printf(" %lld", (long long)atomic_fetch_or(&value, (type)0x11));                                   \
        printf(" %lld", (long long)atomic_fetch_xor(&value, (type)0x33));                                  \
        printf(" %lld", (long long)atomic_exchange(&value, (type)42));                                     \
        expected = (type)42;                                                                               \
        printf(" %d", atomic_compare_exchange_strong(&value, &expected, (type)(start)));                   \
        expected = (type)1;                                                                                \
        printf(" %d %lld", atomic_compare_exchange_strong(&value, &expected, (type)0), (long long)expected); \
        printf(" %lld\n", (long long)atomic_load(&value));                                                 \
    }

ALL(int8_t, signed8, -100)
ALL(uint8_t, unsigned8, 200)
ALL(int16_t, signed16, -30000)
ALL(uint16_t, unsigned16, 60000)
ALL(int32_t, signed32, -2000000000)
ALL(uint32_t, unsigned32, 4000000000u)
ALL(int64_t, signed64, -9000000000000000000)
ALL(uint64_t, unsigned64, 9000000000000000000)

int main(void) {
    signed8(), unsigned8(), signed16(), unsigned16(), signed32(), unsigned32(), signed64(), unsigned64();
    atomic_flag flag = ATOMIC_FLAG_INIT;
    printf("flag %d", atomic_flag_test_and_set(&flag));
    printf(" %d\n", atomic_flag_test_and_set(&flag));
    atomic_thread_fence(memory_order_seq_cst);
    return 0;
}
